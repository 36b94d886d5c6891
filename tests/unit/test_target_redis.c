/* test_target_redis.c - the Redis target: what it refuses, what it answers, and how it classes
 * failures. */
#include "support/fake_redis.h"
#include "support/redis.h"
#include "support/redis_pool.h"
#include "targets/target.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct redis_server server;

static void prepare(void)
{
    if (!redis_server_available())
        cr_skip_test("redis-server is not installed");
    redis_server_prepare(&server);
}

static void clean_up(void)
{
    redis_server_remove(&server);
}

TestSuite(target_redis, .init = prepare, .fini = clean_up, .timeout = 120);

/* --- the stage -------------------------------------------------------------------------------- */

static struct target target;
static unsigned news;

static void count_news(struct target *changed, void *context)
{
    (void)context;
    cr_expect_eq(changed, &target);
    news++;
}

struct stage {
    const char *uri;
    struct fake_redis *fake; /* its uri instead, when not NULL */
    void (*body)(struct fake_redis *fake);
};

static int run_stage(void *argument)
{
    struct stage *stage = argument;
    struct aw_group group;
    struct aw_error error = {0};
    if (stage->fake)
        fake_redis_start(stage->fake);
    aw_group_init(&group, AW_GROUP_COLLECT);
    target = (struct target){
        .type = &target_type_redis,
        .settings = {.name = "cache", .uri = stage->fake ? stage->fake->uri : stage->uri,
                     .connections = 2, .pipeline = 1024, .connect_timeout_ms = 30000},
        .group = &group,
        .up = true,
        .changed = count_news,
    };
    int result = target.type->start(&target, &error);
    cr_expect_eq(result, 0, "%s", error.message);
    if (result == 0) {
        stage->body(stage->fake);
        /* the daemon's order */
        aw_group_cancel(&group);
        target.type->stop(&target);
    }
    if (stage->fake)
        fake_redis_stop(stage->fake);
    return aw_group_wait(&group);
}

static void on_stage(struct stage stage)
{
    cr_expect_eq(aw_run(run_stage, &stage), 0);
}

static void against_redis(void (*body)(struct fake_redis *fake))
{
    redis_server_start(&server, NULL);
    on_stage((struct stage){.uri = server.unix_uri, .body = body});
}

/* Runs a command given as words separated by single spaces. */
static struct outcome execute(const char *text, size_t result_size_max)
{
    struct argument arguments[20];
    uint32_t count = 0;
    for (const char *word = text; *word; count++) {
        size_t length = strcspn(word, " ");
        arguments[count] = (struct argument){.data = word, .size = (uint32_t)length};
        word += length + (word[length] == ' ');
    }
    struct outcome outcome = {0};
    target.type->execute(&target,
                         &(struct execution){.arguments = arguments, .argument_count = count,
                                             .result_size_max = result_size_max}, &outcome);
    return outcome;
}

static void expect_result(const char *command, const char *expected)
{
    struct outcome outcome = execute(command, 1 << 20);
    cr_expect_eq(outcome.kind, OUTCOME_DONE, "%s: %s %s", command, outcome.code, outcome.message);
    cr_expect_eq(outcome.result.size, strlen(expected));
    cr_expect(outcome.result.size == strlen(expected) &&
              memcmp(outcome.result.data, expected, outcome.result.size) == 0,
              "%s gave %.*s", command, (int)outcome.result.size,
              outcome.result.data ? outcome.result.data : "");
    buffer_free(&outcome.result);
}

static void expect_outcome(const char *command, enum outcome_kind kind, const char *code)
{
    struct outcome outcome = execute(command, 100);
    cr_expect_eq(outcome.kind, kind, "%s: %d %s", command, (int)outcome.kind, outcome.message);
    cr_expect_str_eq(outcome.code, code);
    cr_expect_neq(outcome.message[0], '\0');
    cr_expect_eq(outcome.result.size, 0);
    buffer_free(&outcome.result);
}

/* --- check ------------------------------------------------------------------------------------ */

static void checks(struct fake_redis *fake)
{
    (void)fake;
    struct aw_error error = {0};
    struct argument words[] = {{"SET", 3, false}, {"k", 1, false}, {NULL, 0, true}};
    cr_expect_eq(target.type->check(&target, words, 0, &error), -EINVAL);
    cr_expect_eq(target.type->check(&target, words, 2, &error), 0);
    cr_expect_eq(target.type->check(&target, words, 3, &error), -EINVAL);
    cr_expect_not_null(strstr(error.message, "argument 3"), "%s", error.message);
    struct argument multi = {"multi", 5, false};
    cr_expect_eq(target.type->check(&target, &multi, 1, &error), -EINVAL);
    cr_expect_not_null(strstr(error.message, "Lua"), "%s", error.message);
    struct argument empty = {"", 0, false};
    cr_expect_eq(target.type->check(&target, &empty, 1, &error), -EINVAL);
    struct argument blocking[] = {{"BLPOP", 5, false}, {"k", 1, false}, {"0", 1, false}};
    cr_expect_eq(target.type->check(&target, blocking, 3, &error), 0);
}

Test(target_redis, checks_commands_before_they_are_stored)
{
    against_redis(checks);
}

/* --- results ---------------------------------------------------------------------------------- */

static void results(struct fake_redis *fake)
{
    (void)fake;
    expect_result("SET k v", "+OK\r\n");
    expect_result("GET k", "$1\r\nv\r\n");
    expect_result("GET absent", "_\r\n");
    expect_result("STRLEN k", ":1\r\n");
    expect_result("SET  empty", "+OK\r\n");
    expect_result("MGET k absent", "*2\r\n$1\r\nv\r\n_\r\n");
    expect_result("EVAL return{1,{},{redis.error_reply('WORD\ttext')}} 0",
                  "*3\r\n:1\r\n*0\r\n*1\r\n-ERR WORD\ttext\r\n");
}

Test(target_redis, replies_pass_through)
{
    against_redis(results);
}

static void binary(struct fake_redis *fake)
{
    (void)fake;
    const struct argument set[] = {{"SET", 3, false}, {"a\0b", 3, false}, {"\0\r\n\xff", 4, false}};
    const struct argument get[] = {{"GET", 3, false}, {"a\0b", 3, false}};
    struct outcome outcome = {0};
    target.type->execute(&target, &(struct execution){.arguments = set, .argument_count = 3,
                                                      .result_size_max = 100}, &outcome);
    cr_expect_eq(outcome.kind, OUTCOME_DONE);
    buffer_free(&outcome.result);
    target.type->execute(&target, &(struct execution){.arguments = get, .argument_count = 2,
                                                      .result_size_max = 100}, &outcome);
    cr_expect_eq(outcome.kind, OUTCOME_DONE);
    cr_expect_eq(outcome.result.size, 10);
    cr_expect_eq(memcmp(outcome.result.data, "$4\r\n\0\r\n\xff\r\n", 10), 0);
    buffer_free(&outcome.result);
}

Test(target_redis, arguments_and_results_hold_any_byte)
{
    against_redis(binary);
}

static void too_big(struct fake_redis *fake)
{
    (void)fake;
    expect_result("SETRANGE k 93 x", ":94\r\n");
    expect_outcome("GET k", OUTCOME_DEAD, "RESULTTOOBIG"); /* 94 bytes and 7 around them */
    expect_result("SETRANGE k 500 x", ":501\r\n");
    expect_outcome("GET k", OUTCOME_DEAD, "RESULTTOOBIG");
    expect_result("SET k 0123456789", "+OK\r\n");
    struct outcome outcome = execute("GET k", 17);
    cr_expect_eq(outcome.kind, OUTCOME_DONE);
    buffer_free(&outcome.result);
    outcome = execute("GET k", 16);
    cr_expect_eq(outcome.kind, OUTCOME_DEAD);
}

Test(target_redis, results_have_a_limit)
{
    against_redis(too_big);
}

/* --- failures --------------------------------------------------------------------------------- */

static void job_errors(struct fake_redis *fake)
{
    (void)fake;
    expect_result("SET k v", "+OK\r\n");
    expect_outcome("LPUSH k x", OUTCOME_DEAD, "WRONGTYPE");
    expect_outcome("GET", OUTCOME_DEAD, "ERR");
    expect_outcome("NOSUCH", OUTCOME_DEAD, "ERR");
    expect_outcome("EVALSHA ffffffffffffffffffffffffffffffffffffffff 0", OUTCOME_DEAD, "NOSCRIPT");
    expect_outcome("MULTI", OUTCOME_DEAD, "ERR");
    expect_result("CONFIG SET maxmemory 1", "+OK\r\n");
    expect_outcome("SET k w", OUTCOME_RETRY, "OOM");
    expect_result("CONFIG SET maxmemory 0", "+OK\r\n");
    expect_result("REPLICAOF 127.0.0.1 1", "+OK\r\n");
    expect_outcome("SET k w", OUTCOME_RETRY, "READONLY");
    cr_expect_eq(news, 0);
}

Test(target_redis, the_jobs_own_failures_leave_the_target_up)
{
    against_redis(job_errors);
}

static void words(struct fake_redis *fake)
{
    static const struct {
        const char *reply;
        enum outcome_kind kind;
        const char *code;
    } cases[] = {
        {"-TRYAGAIN later\r\n", OUTCOME_RETRY, "TRYAGAIN"},
        {"-BUSY script\r\n", OUTCOME_RETRY, "BUSY"},
        {"-BUSYGROUP exists\r\n", OUTCOME_DEAD, "BUSYGROUP"},
        {"-MISCONF disk\r\n", OUTCOME_UNAVAILABLE, "MISCONF"},
        {"-NOREPLICAS few\r\n", OUTCOME_RETRY, "NOREPLICAS"},
        {"-UNKILLABLE wrote\r\n", OUTCOME_RETRY, "UNKILLABLE"},
        {"-NOPERM no\r\n", OUTCOME_DEAD, "NOPERM"},
        {"-NOAUTH no\r\n", OUTCOME_DEAD, "NOAUTH"},
        {"-MOVED 1 h:1\r\n", OUTCOME_DEAD, "MOVED"},
        {"-ASK 1 h:1\r\n", OUTCOME_DEAD, "ASK"},
        {"what is this", OUTCOME_INTERRUPTED, "CONNECTIONLOST"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fake_redis_says(fake, cases[i].reply);
        expect_outcome("GET k", cases[i].kind, cases[i].code);
    }
    cr_expect_eq(news, 0);
    static const char *const down[] = {"CLUSTERDOWN", "LOADING", "MASTERDOWN"};
    for (size_t i = 0; i < 3; i++) {
        char reply[40];
        snprintf(reply, sizeof reply, "-%s now\r\n", down[i]);
        fake_redis_says(fake, reply);
        expect_outcome("GET k", OUTCOME_UNAVAILABLE, down[i]);
        cr_expect(!target.up);
        cr_expect_not_null(strstr(target.down_reason, down[i]), "%s", target.down_reason);
        expect_outcome("GET k", OUTCOME_UNAVAILABLE, "UNAVAILABLE");
        for (int step = 0; step < 6000 && !target.up; step++) cr_expect_eq(aw_sleep(10), 0);
        cr_expect(target.up);
    }
    cr_expect_eq(news, 6);
}

Test(target_redis, classes_errors_by_their_word)
{
    struct fake_redis fake = {0};
    on_stage((struct stage){.fake = &fake, .body = words});
}

static void interrupted(struct fake_redis *fake)
{
    (void)fake;
    struct aw_scope scope;
    expect_result("SET k v", "+OK\r\n");
    aw_scope_enter(&scope, aw_after_ms(30));
    expect_outcome("BLPOP list 0", OUTCOME_STOPPED, "STOPPED");
    aw_scope_leave(&scope);
    expect_result("GET k", "$1\r\nv\r\n");
}

Test(target_redis, a_deadline_stops_an_execution)
{
    against_redis(interrupted);
}

static void gone(struct fake_redis *fake)
{
    (void)fake;
    expect_result("SET k v", "+OK\r\n");
    redis_server_stop(&server, SIGKILL);
    for (int step = 0; step < 6000 && target.up; step++) cr_expect_eq(aw_sleep(10), 0);
    cr_expect(!target.up);
    cr_expect_neq(target.down_since_ms, 0);
    expect_outcome("GET k", OUTCOME_UNAVAILABLE, "UNAVAILABLE");
    redis_server_start(&server, NULL);
    for (int step = 0; step < 6000 && !target.up; step++) cr_expect_eq(aw_sleep(10), 0);
    expect_result("GET k", "_\r\n");
    cr_expect_eq(news, 2);
}

Test(target_redis, an_outage_is_noticed_without_a_job_and_ends_by_itself)
{
    against_redis(gone);
}
