/* test_receipt_cleaner.c - which receipts go, and what keeps them: jobs that are not finished,
 * young receipts, and above all sessions that could still commit an old run of the job. */
#include "support/delivery.h"
#include "support/postgres.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(receipt_cleaner, .timeout = 120);

#define NAME "awaitd/" DELIVERY_STORE
/* The fence's question. The linker counts it (tests.mk): what the server shows of a session is only
 * its last statement. */
#define LOOK "SELECT pg_backend_pid() = "
static int looks_begun;

int __real_aw_pg_query(struct aw_pg_pool *pool, const char *sql, uint32_t count,
                       const struct aw_pg_value *values, struct aw_pg_results **ret_results,
                       struct aw_error *reterr);
int __wrap_aw_pg_query(struct aw_pg_pool *pool, const char *sql, uint32_t count,
                       const struct aw_pg_value *values, struct aw_pg_results **ret_results,
                       struct aw_error *reterr);

int __wrap_aw_pg_query(struct aw_pg_pool *pool, const char *sql, uint32_t count,
                       const struct aw_pg_value *values, struct aw_pg_results **ret_results,
                       struct aw_error *reterr)
{
    looks_begun += strncmp(sql, LOOK, strlen(LOOK)) == 0;
    return __real_aw_pg_query(pool, sql, count, values, ret_results, reterr);
}

static uint64_t finished_max; /* jobs up to this one are finished */

static int is_finished(struct target *target, void *context, const uint64_t *ids, uint32_t count,
                       bool *ret_finished)
{
    (void)target;
    (void)context;
    for (uint32_t i = 0; i < count; i++) {
        ret_finished[i] = ids[i] <= finished_max;
    }
    return 0;
}

/* A session beside the target, with a database of the test's own. */
static PGconn *beside;
static char uri[300];

static void own_database(const char *name, const char *more)
{
    char sql[100];
    PGconn *handle = PQconnectdb(postgres_shared_uri());
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    PGresult *result = PQexec(handle, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(handle));
    PQclear(result);
    snprintf(uri, sizeof uri, "host=%s port=%s user=postgres dbname=%s", PQhost(handle),
             PQport(handle), name);
    PQfinish(handle);
    beside = PQconnectdb(uri);
    cr_assert_eq(PQstatus(beside), CONNECTION_OK, "%s", PQerrorMessage(beside));
    strcat(uri, more);
}

static long long number(const char *sql)
{
    PGresult *result = PQexec(beside, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(beside));
    long long value = atoll(PQgetvalue(result, 0, 0));
    PQclear(result);
    return value;
}

static void wait_for(const char *sql, long long value)
{
    for (int i = 0; i < 6000 && number(sql) != value; i++) {
        aw_sleep(10);
    }
    cr_assert_eq(number(sql), value, "%s", sql);
}

/* Until the fence has been looked at so often from now on: when the next look begins, these have
 * ended. */
static void wait_for_looks(int times)
{
    int enough = looks_begun + times + 1;
    for (int i = 0; i < 6000 && looks_begun < enough; i++) {
        aw_sleep(10);
    }
    cr_assert_geq(looks_begun, enough, "the cleaner does not look");
}

static void once(uint64_t keep_ms, void (*body)(void))
{
    delivery_finished = is_finished;
    finished_max = 0;
    delivery_run(&target_type_postgres,
                 (struct target_settings){.uri = uri,
                                          .connections = 3,
                                          .delivery = TARGET_EXACTLY_ONCE,
                                          .receipt_keep_ms = keep_ms},
                 body);
    PQfinish(beside);
}

static void submit(uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++) {
        delivery_execute(id, "INSERT INTO t VALUES (1)", NULL);
        delivery_expect_result(id, "+INSERT 0 1\r\n");
    }
}

static void begin(void)
{
    delivery_execute(0, "CREATE TABLE t (v int)", NULL);
    submit(1, 5);
}

#define RECEIPTS "SELECT count(*) FROM awaitd.receipt"

static void body_finished(void)
{
    begin();
    /* of another daemon's store, of the same age */
    (void)number("INSERT INTO awaitd.receipt VALUES ('11111111-2222-4333-8444-555555555555', 1) "
                 "RETURNING job_id");
    finished_max = 3;
    wait_for(RECEIPTS, 3);
    cr_expect_eq(number("SELECT count(*) FROM awaitd.receipt WHERE store = '" DELIVERY_STORE
                        "' AND job_id IN (4, 5)"), 2);
    delivery_execute(4, "INSERT INTO t VALUES (1)", NULL);
    delivery_expect_result(4, "+OK\r\n");
    finished_max = 5;
    wait_for(RECEIPTS, 1);
}

Test(receipt_cleaner, only_receipts_of_finished_jobs_go)
{
    own_database("finished", "");
    once(1, body_finished);
}

static void body_many(void)
{
    delivery_execute(1, "SELECT 1", NULL); /* makes the table */
    (void)number("WITH i AS (INSERT INTO awaitd.receipt SELECT '" DELIVERY_STORE
                 "', n FROM generate_series(2, 5000) n RETURNING 1) SELECT count(*) FROM i");
    finished_max = 4000;
    wait_for(RECEIPTS, 1000);
}

Test(receipt_cleaner, goes_on_page_by_page)
{
    own_database("many", "");
    once(1, body_many);
}

static void body_young(void)
{
    begin();
    (void)number("UPDATE awaitd.receipt SET at = at - interval '2 hours' WHERE job_id <= 2 "
                 "RETURNING job_id");
    finished_max = 5;
    wait_for(RECEIPTS, 3);
    cr_expect_eq(number("SELECT min(job_id) FROM awaitd.receipt"), 3);
}

Test(receipt_cleaner, young_receipts_stay)
{
    own_database("young", "");
    once(3600000, body_young);
}

/* --- sessions that are left over --- */

static void body_zombie(void)
{
    char name[400];
    snprintf(name, sizeof name, "%s application_name=" NAME "/0123456789abcdef", uri);
    PGconn *zombie = PQconnectdb(name);
    cr_assert_eq(PQstatus(zombie), CONNECTION_OK);
    begin();
    finished_max = 5;
    wait_for_looks(3);
    cr_expect_eq(number(RECEIPTS), 5);
    /* now it reads what was sent to it long ago */
    PGresult *result = PQexec(zombie, "BEGIN; INSERT INTO awaitd.receipt VALUES ('" DELIVERY_STORE
                                      "', 3); INSERT INTO t VALUES (1); COMMIT");
    cr_expect_eq(PQresultStatus(result), PGRES_FATAL_ERROR);
    cr_expect_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), "23505");
    PQclear(result);
    wait_for_looks(1);
    cr_expect_eq(number(RECEIPTS), 5);
    PQfinish(zombie);
    wait_for(RECEIPTS, 0);
    cr_expect_eq(number("SELECT count(*) FROM t"), 5);
}

Test(receipt_cleaner, a_session_left_behind_keeps_them_and_cannot_double_an_effect)
{
    own_database("left_behind", "");
    once(1, body_zombie);
}

static int run_long(void *argument)
{
    (void)argument;
    delivery_execute(9, "INSERT INTO t SELECT 1 FROM gate", NULL);
    return 0;
}

static void body_long(void)
{
    struct aw_task *task;
    delivery_execute(0, "CREATE TABLE gate (v int)", NULL);
    begin();
    (void)number("SELECT 1");
    PQclear(PQexec(beside, "BEGIN; LOCK TABLE gate"));
    cr_assert_eq(aw_spawn(&task, run_long, NULL), 0);
    wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'", 1);
    finished_max = 5;
    PGconn *other = PQconnectdb(uri);
    PGconn *holder = beside;
    beside = other; /* the other one is inside its transaction, where the statistics stand still */
    wait_for_looks(3);
    cr_expect_eq(number(RECEIPTS), 5, "the job in flight was sent before they were finished");
    PQclear(PQexec(holder, "COMMIT"));
    cr_assert_eq(aw_await(task), 0);
    wait_for(RECEIPTS, 1);
    PQfinish(holder);
}

Test(receipt_cleaner, what_was_in_flight_before_is_waited_for)
{
    own_database("long", "");
    once(1, body_long);
}

static void body_foreign(void)
{
    begin();
    finished_max = 5;
    wait_for_looks(3);
    cr_expect_eq(number(RECEIPTS), 5);
}

Test(receipt_cleaner, sessions_under_another_name_cannot_be_judged)
{
    own_database("foreign_name", " application_name=other");
    once(1, body_foreign);
}

/* --- another target of the same daemon on the same database --- */

static int run_on(void *argument)
{
    struct target *target = argument;
    static const char sql[] = "INSERT INTO t SELECT 1 FROM gate";
    const struct argument words[] = {{sql, sizeof sql - 1, false}};
    const struct execution execution = {
        .arguments = words, .argument_count = 1, .job_id = 77, .result_size_max = 1000};
    struct outcome outcome = {0};
    target->type->execute(target, &execution, &outcome);
    cr_expect_eq(outcome.kind, OUTCOME_DONE, "%s", outcome.message);
    buffer_free(&outcome.result);
    return 0;
}

static void body_two_targets(void)
{
    struct target other = delivery_target;
    struct aw_error error = {0};
    struct aw_task *task;
    delivery_execute(0, "CREATE TABLE gate (v int)", NULL);
    begin();
    other.finished = NULL; /* it does not clean itself */
    cr_assert_eq(other.type->start(&other, &error), 0, "%s", error.message);
    PGconn *holder = beside;
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE gate"));
    beside = PQconnectdb(uri);
    cr_assert_eq(aw_spawn(&task, run_on, &other), 0);
    wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'", 1);
    finished_max = 5;
    wait_for_looks(3);
    cr_expect_eq(number(RECEIPTS), 5, "the other target's session carries something older");
    PQclear(PQexec(holder, "COMMIT"));
    cr_assert_eq(aw_await(task), 0);
    wait_for(RECEIPTS, 1); /* its sessions are still there, and quiet */
    cr_expect_geq(number("SELECT count(*) FROM pg_stat_activity WHERE "
                         "starts_with(application_name, '" NAME "/')"), 2);
    other.type->stop(&other);
    PQfinish(holder);
}

Test(receipt_cleaner, targets_on_one_database_know_of_each_other)
{
    own_database("two_targets", "");
    once(1, body_two_targets);
}

/* --- SQLite: nobody is left behind --- */

static void body_sqlite(void)
{
    static const char count[] = "SELECT count(*) AS n, sum(job) AS s FROM awaitd_receipt";
    delivery_execute(0, "CREATE TABLE t (v INTEGER)", NULL);
    submit(1, 5);
    finished_max = 3;
    for (int i = 0; i < 6000; i++) {
        delivery_execute(0, count, NULL);
        if (memmem(delivery_outcome.result.data, delivery_outcome.result.size, "$1\r\n2\r\n", 7)) {
            break;
        }
        aw_sleep(10);
    }
    delivery_expect(count, "*2\r\n*2\r\n$1\r\nn\r\n$1\r\ns\r\n*2\r\n$1\r\n2\r\n$1\r\n9\r\n");
    delivery_execute(4, "INSERT INTO t VALUES (1)", NULL);
    delivery_expect_result(4, "+OK\r\n");
}

Test(receipt_cleaner, sqlite_receipts_of_finished_jobs_go)
{
    char folder[64];
    char path[100];
    folder_make(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/once.db", folder);
    delivery_finished = is_finished;
    delivery_run(&target_type_sqlite,
                 (struct target_settings){.path = path,
                                          .pipeline = 1,
                                          .delivery = TARGET_EXACTLY_ONCE,
                                          .receipt_keep_ms = 1},
                 body_sqlite);
    folder_remove(folder);
}
