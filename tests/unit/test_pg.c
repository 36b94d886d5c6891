/* test_pg.c - the PostgreSQL client against a real server: sharing, transactions, errors, limits.
 */
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(pg, .timeout = 120);

/* --- results --- */

static int body_results(void)
{
    struct aw_pg_value parameters[] = {{"41", 2, false}, {NULL, 0, true}, {"h\xc3\xa9", 3, false}};
    struct aw_pg_results *results = NULL;
    struct aw_error error = {0};
    int status = aw_pg_query(pg_client_pool, "SELECT $1::int + 1 AS n, $2::text, $3::text AS t", 3,
                             parameters, &results, &error);
    cr_assert_eq(status, 0, "%s", error.message);
    cr_expect_str_eq(aw_pg_tag(results, 0), "SELECT 1");
    cr_expect_eq(aw_pg_column_count(results, 0), 3);
    cr_expect_str_eq(aw_pg_column_name(results, 0, 0), "n");
    cr_expect_eq(aw_pg_column_type(results, 0, 0), 23);
    cr_expect_eq(aw_pg_row_count(results, 0), 1);
    cr_expect_str_eq(aw_pg_value_at(results, 0, 0, 0).data, "42");
    cr_expect(aw_pg_value_at(results, 0, 0, 1).null);
    cr_expect_str_eq(aw_pg_value_at(results, 0, 0, 2).data, "h\xc3\xa9");
    cr_expect(aw_pg_value_at(results, 0, 1, 0).null, "past the end");
    aw_pg_results_free(results);

    status = aw_pg_query(pg_client_pool, "SELECT 1 AS a WHERE false", 0, NULL, &results, &error);
    cr_assert_eq(status, 0);
    cr_expect(aw_pg_has_rows(results, 0));
    cr_expect_eq(aw_pg_row_count(results, 0), 0);
    cr_expect_str_eq(aw_pg_column_name(results, 0, 0), "a");
    aw_pg_results_free(results);

    status =
        aw_pg_query(pg_client_pool, "CREATE TABLE results_t (v text)", 0, NULL, &results, &error);
    cr_assert_eq(status, 0);
    cr_expect_not(aw_pg_has_rows(results, 0));
    cr_expect_str_eq(aw_pg_tag(results, 0), "CREATE TABLE");
    aw_pg_results_free(results);
    return 0;
}

Test(pg, gives_columns_rows_nulls_and_tags)
{
    pg_client_run(1, 1, body_results);
}

static int body_tcp(void)
{
    pg_client_expect("SELECT 'over tcp'", "over tcp");
    return 0;
}

Test(pg, connects_over_tcp_by_name)
{
    pg_client_run_on(postgres_shared_tcp_uri(), 1, 1, body_tcp);
}

/* One host refuses, one has no such name, one is a folder without a server; the last one answers.
 */
Test(pg, tries_the_hosts_of_the_uri_in_turn)
{
    char uri[512];
    unsigned port = 0;
    cr_assert_eq(sscanf(strstr(postgres_shared_uri(), "port=") + 5, "%u", &port), 1);
    snprintf(uri, sizeof uri,
             "postgresql://postgres@127.0.0.1:1,no-such-host.invalid:2,%%2Ftmp%%2Fabsent:3,"
             "localhost:%u/postgres", port);
    pg_client_run_on(uri, 1, 1, body_tcp);
}

/* --- many tasks on few connections --- */

struct number_task {
    int number;
    bool failing;
};

static int number_task(void *argument)
{
    struct number_task *task = argument;
    char text[32];
    snprintf(text, sizeof text, "%d", task->number);
    struct aw_pg_value parameter = {text, strlen(text), false};
    struct aw_pg_results *results = NULL;
    struct aw_error error = {0};
    int status =
        aw_pg_query(pg_client_pool, task->failing ? "SELECT $1::int / 0" : "SELECT $1::int * 2", 1,
                    &parameter, &results, &error);
    if (task->failing) {
        return status == -EREMOTEIO && strcmp(error.code, "22012") == 0 ? 0 : -EIO;
    }
    if (status == 0 && atoi(aw_pg_value_at(results, 0, 0, 0).data) != 2 * task->number) {
        status = -EBADMSG;
    }
    aw_pg_results_free(results);
    return status;
}

#define MANY 500

static int body_many(void)
{
    static struct number_task arguments[MANY];
    static struct aw_task *tasks[MANY];
    for (int i = 0; i < MANY; i++) {
        arguments[i] = (struct number_task){i, i % 7 == 3};
        cr_assert_eq(aw_spawn(&tasks[i], number_task, &arguments[i]), 0);
    }
    int status = aw_gather(MANY, tasks, NULL);
    char count[32];
    cr_expect_eq(pg_client_query(
                     "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'libawait'",
                     count, sizeof count),
                 0);
    return status;
}

Test(pg, every_task_gets_its_own_answer_with_errors_in_between)
{
    pg_client_run(2, 16, body_many);
}

static int sleep_task(void *argument)
{
    (void)argument;
    return pg_client_query("SELECT pg_sleep(1)", NULL, 0);
}

struct interval {
    double begin;
    double end;
};

static int interval_task(void *argument)
{
    struct interval *interval = argument;
    struct aw_pg_results *results = NULL;
    int status = aw_pg_query(pg_client_pool,
                             "SELECT extract(epoch FROM t), extract(epoch FROM clock_timestamp()) "
                             "FROM (SELECT clock_timestamp() AS t, pg_sleep(1)) AS s",
                             0, NULL, &results, NULL);
    if (status == 0) {
        interval->begin = strtod(aw_pg_value_at(results, 0, 0, 0).data, NULL);
        interval->end = strtod(aw_pg_value_at(results, 0, 0, 1).data, NULL);
    }
    aw_pg_results_free(results);
    return status;
}

static int body_sleeps(void)
{
    struct interval intervals[3] = {0};
    struct aw_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(aw_spawn(&tasks[i], interval_task, &intervals[i]), 0);
    }
    int status = aw_gather(3, tasks, NULL);
    for (int i = 0; i < 3; i++) {
        cr_expect_lt(intervals[i].begin, intervals[(i + 1) % 3].end, "one after the other");
    }
    return status;
}

Test(pg, slow_statements_run_side_by_side)
{
    pg_client_run(8, 16, body_sleeps);
}

static int body_limited(void)
{
    struct aw_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(aw_spawn(&tasks[i], sleep_task, NULL), 0);
    }
    int status = aw_gather(3, tasks, NULL);
    cr_expect(aw_pg_pool_is_up(pg_client_pool), "one connection works");
    return status;
}

static int body_make_role(void)
{
    PG_EXPECT_OK("CREATE ROLE limited LOGIN CONNECTION LIMIT 1");
    return 0;
}

Test(pg, makes_do_with_the_connections_the_server_allows)
{
    char uri[256];
    const char *shared = postgres_shared_uri();
    pg_client_run(1, 1, body_make_role);
    snprintf(uri, sizeof uri, "%.*s&user=limited", (int)(strstr(shared, "&user=") - shared),
             shared);
    pg_client_run_on(uri, 4, 16, body_limited);
}

/* --- transactions --- */

static int run_all(const char *const *sql, uint32_t count, bool explicit_transaction,
                   struct aw_pg_results **ret_results)
{
    struct aw_pg_statement statements[8];
    for (uint32_t i = 0; i < count; i++) {
        statements[i] = (struct aw_pg_statement){.sql = sql[i], .sql_size = strlen(sql[i])};
    }
    struct aw_pg_run run = {.statements = statements,
                            .statement_count = count,
                            .explicit_transaction = explicit_transaction};
    pg_client_error = (struct aw_error){0};
    return aw_pg_run(pg_client_pool, &run, ret_results, &pg_client_error);
}

static void check_all_or_nothing(bool explicit_transaction)
{
    static const char *const bad[] = {"INSERT INTO tx VALUES (1)", "INSERT INTO tx VALUES (1/0)",
                                      "INSERT INTO tx VALUES (2)"};
    static const char *const good[] = {"INSERT INTO tx VALUES (1)", "SELECT count(*) FROM tx"};
    struct aw_pg_results *results = NULL;
    PG_EXPECT_OK("DROP TABLE IF EXISTS tx");
    PG_EXPECT_OK("CREATE TABLE tx (v int)");
    cr_expect_eq(run_all(bad, 3, explicit_transaction, NULL), -EREMOTEIO);
    cr_expect_str_eq(pg_client_error.code, "22012");
    cr_expect(strstr(pg_client_error.message, "statement 2") != NULL, "%s",
              pg_client_error.message);
    pg_client_expect("SELECT count(*) FROM tx", "0");
    cr_assert_eq(run_all(good, 2, explicit_transaction, &results), 0, "%s",
                 pg_client_error.message);
    cr_expect_eq(aw_pg_result_count(results), 2);
    cr_expect_str_eq(aw_pg_tag(results, 0), "INSERT 0 1");
    cr_expect_str_eq(aw_pg_value_at(results, 1, 0, 0).data, "1");
    aw_pg_results_free(results);
    pg_client_expect("SELECT count(*) FROM tx", "1");
}

static int body_transaction(void)
{
    check_all_or_nothing(false);
    check_all_or_nothing(true);
    return 0;
}

Test(pg, several_statements_are_all_or_nothing)
{
    pg_client_run(1, 1, body_transaction);
}

static int body_deferred(void)
{
    PG_EXPECT_OK("CREATE TABLE deferred_t (v int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    PG_EXPECT_OK("INSERT INTO deferred_t VALUES (1)");
    PG_EXPECT_CODE("INSERT INTO deferred_t VALUES (1)", "23505");
    static const char *const two[] = {"INSERT INTO deferred_t VALUES (2)",
                                      "INSERT INTO deferred_t VALUES (2)"};
    cr_expect_eq(run_all(two, 2, true, NULL), -EREMOTEIO);
    cr_expect_str_eq(pg_client_error.code, "23505");
    pg_client_expect("SELECT count(*) FROM deferred_t", "1");
    return 0;
}

Test(pg, a_deferred_constraint_fails_the_statement)
{
    pg_client_run(1, 1, body_deferred);
}

static int body_commit_inside(void)
{
    static const char *const with_do[] = {"INSERT INTO inside VALUES (1)",
                                          "DO $$ BEGIN COMMIT; RAISE 'x'; END $$"};
    PG_EXPECT_OK("CREATE TABLE inside (v int)");
    cr_expect_eq(run_all(with_do, 2, true, NULL), -EREMOTEIO);
    cr_expect_str_eq(pg_client_error.code, "2D000");
    pg_client_expect("SELECT count(*) FROM inside", "0");
    PG_EXPECT_CODE("DO $$ BEGIN EXECUTE 'BEGIN'; END $$", "0A000");
    PG_EXPECT_OK("DO $$ BEGIN INSERT INTO inside VALUES (1); COMMIT; END $$");
    PG_EXPECT_OK("VACUUM inside");
    PG_EXPECT_OK("VACUUM inside");
    pg_client_expect("SELECT count(*) FROM inside", "1");
    return 0;
}

Test(pg, nothing_inside_ends_the_transaction_or_leaves_one_open)
{
    pg_client_run(1, 1, body_commit_inside);
}

/* --- what is refused --- */

static int body_refused(void)
{
    static const char *const sql[] = {"BEGIN",
                                      "commit",
                                      " /* a /* b */ c */ ROLLBACK",
                                      "-- x\n;; SAVEPOINT a",
                                      "COPY t FROM STDIN",
                                      "SET search_path = x",
                                      "LISTEN a",
                                      "PREPARE a AS SELECT 1",
                                      "",
                                      " ; -- nothing"};
    for (size_t i = 0; i < sizeof sql / sizeof sql[0]; i++) {
        cr_expect_eq(pg_client_query(sql[i], NULL, 0), -EINVAL, "%s", sql[i]);
        cr_expect_neq(pg_client_error.message[0], '\0');
    }
    PG_EXPECT_CODE("SELECT 1; SELECT 2", "42601");
    struct aw_pg_value nul = {"a\0b", 3, false};
    cr_expect_eq(aw_pg_query(pg_client_pool, "SELECT $1", 1, &nul, NULL, &pg_client_error),
                 -EINVAL);
    cr_expect(strstr(pg_client_error.message, "parameter 1 holds a NUL byte") != NULL, "%s",
              pg_client_error.message);
    PG_EXPECT_CODE("SELECT $1::int", "08P01");
    pg_client_expect("SELECT 'still works'", "still works");
    return 0;
}

Test(pg, refuses_what_would_leak_and_reports_what_cannot_be_sent)
{
    pg_client_run(1, 1, body_refused);
}

/* --- prepared statements --- */

static int body_prepared(void)
{
    PG_EXPECT_OK("CREATE TABLE prepared_t AS SELECT 1 AS a");
    for (int i = 0; i < 3; i++) {
        PG_EXPECT_OK("SELECT * FROM prepared_t");
    }
    pg_client_expect("SELECT count(*) FROM pg_prepared_statements", "1");
    PG_EXPECT_OK("ALTER TABLE prepared_t ADD b int"); /* cached plan must not change result type */
    PG_EXPECT_OK("SELECT * FROM prepared_t");
    for (int i = 0; i < 5; i++) {
        PG_EXPECT_CODE("SELECT * FROM absent_table", "42P01");
    }
    PG_EXPECT_OK("SELECT * FROM prepared_t");
    for (int i = 0; i < 260; i++) { /* more texts than the cache holds, each prepared */
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT %d", i);
        PG_EXPECT_OK(sql);
        PG_EXPECT_OK(sql);
    }
    char count[16];
    cr_expect_eq(pg_client_query("SELECT count(*) FROM pg_prepared_statements", count,
                                 sizeof count),
                 0);
    cr_expect_leq(atoi(count), 100);
    return 0;
}

Test(pg, prepares_repeated_statements_and_survives_changes)
{
    pg_client_run(1, 1, body_prepared);
}

/* --- limits --- */

static int body_large(void)
{
    struct aw_pg_results *results = NULL;
    int status =
        aw_pg_query(pg_client_pool, "SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i",
                    0, NULL, &results, &pg_client_error);
    cr_assert_eq(status, 0, "%s", pg_client_error.message);
    cr_expect_eq(aw_pg_row_count(results, 0), 5000);
    cr_expect_str_eq(aw_pg_value_at(results, 0, 4999, 0).data, "5000");
    cr_expect_eq(aw_pg_value_at(results, 0, 4999, 1).size, 1000);
    aw_pg_results_free(results);

    const char *endless = "SELECT generate_series(1, 1000000000000)";
    struct aw_pg_statement statement = {.sql = endless, .sql_size = strlen(endless)};
    struct aw_pg_run run = {.statements = &statement,
                            .statement_count = 1,
                            .result_size_max = 100000};
    cr_expect_eq(aw_pg_run(pg_client_pool, &run, NULL, &pg_client_error), -EFBIG);
    cr_expect(strstr(pg_client_error.message, "100000") != NULL, "%s", pg_client_error.message);
    pg_client_expect("SELECT 1", "1");
    return 0;
}

Test(pg, reads_large_results_and_stops_at_the_limit)
{
    pg_client_run(1, 1, body_large);
}

static int body_large_parameter(void)
{
    size_t size = 8u << 20;
    char *data = malloc(size);
    memset(data, 'y', size);
    struct aw_pg_value value = {data, size, false};
    struct aw_pg_results *results = NULL;
    int status =
        aw_pg_query(pg_client_pool, "SELECT $1::text", 1, &value, &results, &pg_client_error);
    cr_assert_eq(status, 0, "%s", pg_client_error.message);
    struct aw_pg_value back = aw_pg_value_at(results, 0, 0, 0);
    cr_expect(back.size == size && memcmp(back.data, data, size) == 0);
    aw_pg_results_free(results);
    free(data);
    return 0;
}

Test(pg, echoes_a_parameter_larger_than_every_socket_buffer)
{
    pg_client_run(1, 1, body_large_parameter);
}
