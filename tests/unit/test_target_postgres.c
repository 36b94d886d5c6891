/* test_target_postgres.c - jobs on a real PostgreSQL: arguments, results, outcomes, outage. */
#include "support/postgres.h"
#include "targets/target.h"

#include <await.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(target_postgres, .timeout = 120);

static struct target target;
static struct aw_group group;
static struct outcome outcome;
static int changes;

static void count_change(struct target *changed, void *context)
{
    (void)changed;
    (void)context;
    changes++;
}

struct setting {
    const char *uri;
    uint32_t connections;
    void (*body)(void);
};

static int with_target(void *argument)
{
    const struct setting *setting = argument;
    struct aw_error error = {0};
    target = (struct target){
        .type = &target_type_postgres,
        .settings = {.name = "main",
                     .uri = setting->uri,
                     .connections = setting->connections,
                     .pipeline = 16,
                     .connect_timeout_ms = 30000},
        .group = &group,
        .up = true,
        .changed = count_change,
    };
    aw_group_init(&group, AW_GROUP_COLLECT);
    int status = target.type->start(&target, &error);
    cr_assert_eq(status, 0, "%s", error.message);
    setting->body();
    outcome_set(&outcome, OUTCOME_DONE, "", "%s", "");
    aw_group_cancel(&group);
    target.type->stop(&target);
    return aw_group_wait(&group);
}

static void run_on(const char *uri, uint32_t connections, void (*body)(void))
{
    struct setting setting = {uri, connections, body};
    cr_assert_eq(aw_run(with_target, &setting), 0);
}

#define ARGUMENTS_MAX 16

struct call {
    struct argument arguments[ARGUMENTS_MAX];
    uint32_t count;
};

static struct call collect(va_list words)
{
    struct call call = {0};
    for (const char *word; (word = va_arg(words, const char *)) != NULL;) {
        cr_assert_lt(call.count, ARGUMENTS_MAX);
        call.arguments[call.count++] = (struct argument){word, (uint32_t)strlen(word), false};
    }
    return call;
}

static void execute_into(struct outcome *into, const struct call *call, enum result_format format,
                         size_t size_max)
{
    const struct execution execution = {.arguments = call->arguments,
                                        .argument_count = call->count,
                                        .format = format,
                                        .result_size_max = size_max};
    target.type->execute(&target, &execution, into);
}

/* Executes the arguments (ended by NULL) and leaves the outcome in `outcome`. */
__attribute__((sentinel)) static void execute(enum result_format format, ...)
{
    va_list words;
    va_start(words, format);
    struct call call = collect(words);
    va_end(words);
    execute_into(&outcome, &call, format, 1u << 20);
}

__attribute__((sentinel)) static int check(struct aw_error *error, ...)
{
    va_list words;
    va_start(words, error);
    struct call call = collect(words);
    va_end(words);
    return target_type_postgres.check(&target, call.arguments, call.count, error);
}

#define EXPECT_RESULT(text)                                                                  \
    do {                                                                                     \
        cr_expect_eq(outcome.kind, OUTCOME_DONE, "%s %s", outcome.code, outcome.message);     \
        cr_expect(outcome.result.size == strlen(text) &&                                     \
                      memcmp(outcome.result.data, text, strlen(text)) == 0,                  \
                  "got %.*s", (int)outcome.result.size, outcome.result.data);                \
    } while (0)

#define EXPECT_FAILURE(expected_kind, sqlstate)                                              \
    do {                                                                                     \
        cr_expect_eq(outcome.kind, expected_kind, "%d: %s %s", outcome.kind, outcome.code,    \
                     outcome.message);                                                       \
        cr_expect_str_eq(outcome.code, sqlstate, "%s", outcome.message);                     \
    } while (0)

/* --- arguments --- */

Test(target_postgres, checks_the_form_of_arguments)
{
    struct aw_error error;
    cr_expect_eq(check(&error, "SELECT 1", NULL), 0);
    cr_expect_eq(check(&error, "SELECT $1", "a", NULL), 0);
    cr_expect_eq(check(&error, "TX", "2", "SELECT $1", "1", "a", "SELECT 2", "0", NULL), 0);
    cr_expect_eq(check(&error, "tx", "1", "SELECT 1", "0", NULL), 0);
    cr_expect_eq(check(&error, NULL), -EINVAL);
    cr_expect_eq(check(&error, "", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", "0", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", "4000000000", "SELECT 1", "0", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", "2", "SELECT 1", "0", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", "1", "SELECT 1", "2", "a", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", "1", "SELECT 1", "0", "a", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", "1", "SELECT 1", "-1", NULL), -EINVAL);
    cr_expect_eq(check(&error, "TX", "1", "COMMIT", "0", NULL), -EINVAL);
    cr_expect_eq(check(&error, "set a = b", NULL), -EINVAL);
    cr_expect(strstr(error.message, "SET is refused") != NULL, "%s", error.message);
    struct argument nul[] = {{"SELECT $1", 9, false}, {"a\0b", 3, false}};
    cr_expect_eq(target_type_postgres.check(&target, nul, 2, &error), -EINVAL);
    struct argument absent[] = {{NULL, 0, true}};
    cr_expect_eq(target_type_postgres.check(&target, absent, 1, &error), -EINVAL);
}

/* --- results --- */

static void body_results(void)
{
    execute(FORMAT_ROWS, "CREATE TABLE results_t (id int PRIMARY KEY, v text)", NULL);
    EXPECT_RESULT("+CREATE TABLE\r\n");
    execute(FORMAT_ROWS, "INSERT INTO results_t VALUES ($1, $2)", "1", "hello", NULL);
    EXPECT_RESULT("+INSERT 0 1\r\n");
    execute(FORMAT_ROWS, "SELECT id, v, NULL AS n FROM results_t", NULL);
    EXPECT_RESULT(
        "*2\r\n*3\r\n$2\r\nid\r\n$1\r\nv\r\n$1\r\nn\r\n*3\r\n$1\r\n1\r\n$5\r\nhello\r\n_\r\n");
    execute(FORMAT_ROWS, "SELECT 1 AS one WHERE false", NULL);
    EXPECT_RESULT("*1\r\n*1\r\n$3\r\none\r\n");
    execute(FORMAT_ROWS, "TX", "2", "INSERT INTO results_t VALUES ($1, 'b')", "1", "2",
            "SELECT count(*) AS c FROM results_t", "0", NULL);
    EXPECT_RESULT("*2\r\n+INSERT 0 1\r\n*2\r\n*1\r\n$1\r\nc\r\n*1\r\n$1\r\n2\r\n");
    struct call call = {{{"SELECT $1::text IS NULL", 23, false}, {NULL, 0, true}}, 2};
    execute_into(&outcome, &call, FORMAT_ROWS, 1000);
    EXPECT_RESULT("*2\r\n*1\r\n$8\r\n?column?\r\n*1\r\n$1\r\nt\r\n");
}

Test(target_postgres, gives_tags_and_rows)
{
    run_on(postgres_shared_uri(), 2, body_results);
}

static void body_json(void)
{
    execute(FORMAT_JSON,
            "SELECT 1 AS i, 1.50::numeric AS n, 'NaN'::float8 AS f, true AS b, NULL AS z, "
            "'{\"k\": [1]}'::jsonb AS j, E'a\"\\n\\\\\xc3\xa9' AS \"t\"\"x\" UNION ALL "
            "SELECT -2, -0.5, 1e20, false, NULL, '1', ''", NULL);
    const char *json =
        "[{\"i\":1,\"n\":1.50,\"f\":\"NaN\",\"b\":true,\"z\":null,\"j\":{\"k\": [1]},"
        "\"t\\\"x\":\"a\\\"\\u000a\\\\\xc3\xa9\"},"
        "{\"i\":-2,\"n\":-0.5,\"f\":1e+20,\"b\":false,\"z\":null,\"j\":1,\"t\\\"x\":\"\"}]";
    char expected[512];
    snprintf(expected, sizeof expected, "$%zu\r\n%s\r\n", strlen(json), json);
    EXPECT_RESULT(expected);
    execute(FORMAT_JSON, "SELECT 1 AS a WHERE false", NULL);
    EXPECT_RESULT("$2\r\n[]\r\n");
}

Test(target_postgres, gives_json)
{
    run_on(postgres_shared_uri(), 1, body_json);
}

/* --- outcomes --- */

static void body_dead(void)
{
    execute(FORMAT_ROWS, "SELEC 1", NULL);
    EXPECT_FAILURE(OUTCOME_DEAD, "42601");
    execute(FORMAT_ROWS, "SELECT 1", "surplus", NULL);
    EXPECT_FAILURE(OUTCOME_DEAD, "08P01");
    execute(FORMAT_ROWS, "SELECT $1::int, $2::int", "1", NULL);
    EXPECT_FAILURE(OUTCOME_DEAD, "08P01");
    execute(FORMAT_ROWS, "SELECT $1::int", "x", NULL);
    EXPECT_FAILURE(OUTCOME_DEAD, "22P02");
    execute(FORMAT_ROWS, "SELECT $1::text", "\xff", NULL);
    EXPECT_FAILURE(OUTCOME_DEAD, "22021");
    execute(FORMAT_ROWS, "COPY x FROM STDIN", NULL);
    EXPECT_FAILURE(OUTCOME_DEAD, "BADARGUMENT");
    struct call call = {{{"SELECT repeat('x', 5000)", 24, false}}, 1};
    execute_into(&outcome, &call, FORMAT_ROWS, 1000);
    EXPECT_FAILURE(OUTCOME_DEAD, "RESULTTOOBIG");
    execute(FORMAT_ROWS, "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$", NULL);
    EXPECT_FAILURE(OUTCOME_RETRY, "40001");
    execute(FORMAT_ROWS, "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53300'; END $$", NULL);
    EXPECT_FAILURE(OUTCOME_RETRY, "53300");
    execute(FORMAT_ROWS, "DO $$ BEGIN RAISE EXCEPTION 'could not extend file \"base/5/16384\"' "
                         "USING ERRCODE = '53100'; END $$", NULL);
    EXPECT_FAILURE(OUTCOME_UNAVAILABLE, "53100");
    execute(FORMAT_ROWS, "DO $$ BEGIN RAISE EXCEPTION 'could not write to file "
                         "\"base/pgsql_tmp/pgsql_tmp1.0\"' USING ERRCODE = '53100'; END $$", NULL);
    EXPECT_FAILURE(OUTCOME_RETRY, "53100");
    execute(FORMAT_ROWS, "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '25006'; END $$", NULL);
    EXPECT_FAILURE(OUTCOME_RETRY, "25006");
    execute(FORMAT_ROWS, "SELECT 1", NULL);
    cr_expect_eq(outcome.kind, OUTCOME_DONE);
    cr_expect(target.up);
    cr_expect_eq(changes, 0, "errors of statements are not an outage");
}

Test(target_postgres, tells_errors_that_may_pass_from_those_that_stay)
{
    run_on(postgres_shared_uri(), 1, body_dead);
}

static void body_stopped(void)
{
    struct aw_scope scope;
    execute(FORMAT_ROWS, "SELECT 1", NULL); /* now there is a connection */
    aw_scope_enter(&scope, aw_after_ms(500));
    execute(FORMAT_ROWS, "SELECT pg_sleep(60)", NULL);
    aw_scope_leave(&scope);
    EXPECT_FAILURE(OUTCOME_STOPPED, "57014");
    execute(FORMAT_ROWS, "SELECT pg_terminate_backend(pg_backend_pid())", NULL);
    EXPECT_FAILURE(OUTCOME_RETRY, "57P01");
    execute(FORMAT_ROWS, "DO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$",
            NULL);
    EXPECT_FAILURE(OUTCOME_INTERRUPTED, "57P01");
    execute(FORMAT_ROWS, "SELECT 1", NULL);
    cr_expect_eq(outcome.kind, OUTCOME_DONE);
}

Test(target_postgres, stops_at_the_deadline_and_outlives_killed_sessions)
{
    run_on(postgres_shared_uri(), 1, body_stopped);
}

/* --- outage --- */

#define WAITING 200

static int outage_task(void *argument)
{
    (void)argument;
    struct call call = {{{"SELECT pg_sleep(0.001)", 22, false}}, 1};
    struct outcome own = {0};
    execute_into(&own, &call, FORMAT_ROWS, 1000);
    int status = own.kind == OUTCOME_DONE || own.kind == OUTCOME_UNAVAILABLE ||
                         own.kind == OUTCOME_INTERRUPTED
                     ? (int)own.kind
                     : -EIO;
    buffer_free(&own.result);
    return status;
}

static struct postgres server;

static void wait_until_up(bool up)
{
    for (int i = 0; i < 1200 && target.up != up; i++) {
        aw_sleep(50);
    }
    cr_assert_eq(target.up, up, "%s", target.down_reason);
}

static void body_outage(void)
{
    struct aw_task *tasks[WAITING];
    int results[WAITING];
    for (int i = 0; i < WAITING; i++) {
        cr_assert_eq(aw_spawn(&tasks[i], outage_task, NULL), 0);
    }
    aw_sleep(5);
    postgres_stop(&server, SIGINT);
    cr_assert_eq(aw_gather(WAITING, tasks, results), 0);
    wait_until_up(false);
    cr_expect_neq(target.down_reason[0], '\0');
    execute(FORMAT_ROWS, "SELECT 1", NULL);
    cr_expect_eq(outcome.kind, OUTCOME_UNAVAILABLE);
    postgres_start(&server);
    wait_until_up(true);
    execute(FORMAT_ROWS, "SELECT 1", NULL);
    cr_expect_eq(outcome.kind, OUTCOME_DONE, "%s", outcome.message);

    postgres_stop(&server, SIGQUIT); /* as a crash */
    wait_until_up(false);
    postgres_start(&server);
    wait_until_up(true);
    execute(FORMAT_ROWS, "SELECT 1", NULL);
    cr_expect_eq(outcome.kind, OUTCOME_DONE, "%s", outcome.message);
}

Test(target_postgres, comes_back_after_the_server_did)
{
    postgres_create(&server);
    postgres_start(&server);
    run_on(server.uri, 4, body_outage);
    postgres_remove(&server);
}

static void body_absent(void)
{
    wait_until_up(false);
    execute(FORMAT_ROWS, "SELECT 1", NULL);
    EXPECT_FAILURE(OUTCOME_UNAVAILABLE, "08001");
}

Test(target_postgres, is_down_while_nobody_listens)
{
    run_on("postgresql:///x?host=/tmp/no-such-folder&user=x", 2, body_absent);
}

static int start_wrong(void *argument)
{
    struct target wrong = {.settings = {.name = "wrong", .uri = argument}};
    struct aw_error error = {0};
    int status = target_type_postgres.start(&wrong, &error);
    cr_expect_not(strstr(error.message, "secret"), "%s", error.message);
    return status;
}

Test(target_postgres, refuses_a_wrong_uri_without_repeating_the_password)
{
    static char uri[] = "postgresql://u:secret@h:port x/d?nonsense=secret";
    cr_expect_eq(aw_run(start_wrong, uri), -EINVAL);
}
