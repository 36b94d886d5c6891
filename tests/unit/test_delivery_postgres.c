/* test_delivery_postgres.c - exactly-once on a real PostgreSQL: what a job's second run does after
 * each way in which the first one can have ended. */
#include "support/delivery.h"
#include "support/postgres.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(delivery_postgres, .timeout = 120);

#define COUNT(number) "*2\r\n*1\r\n$5\r\ncount\r\n*1\r\n$1\r\n" number "\r\n"
#define HAS_RECEIPT "SELECT count(*) FROM awaitd.receipt WHERE job_id = "

static void once(const char *uri, void (*body)(void))
{
    delivery_run(&target_type_postgres,
                 (struct target_settings){.uri = uri, .delivery = TARGET_EXACTLY_ONCE}, body);
}

/* Each test has a database of its own, since they run at the same time. */
static const char *own_database(const char *name)
{
    static char uri[300];
    char sql[100];
    PGconn *handle = PQconnectdb(postgres_shared_uri());
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
    PGresult *result = PQexec(handle, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(handle));
    PQclear(result);
    snprintf(uri, sizeof uri, "host=%s port=%s user=postgres dbname=%s", PQhost(handle),
             PQport(handle), name);
    PQfinish(handle);
    return uri;
}

static void body_twice(void)
{
    delivery_execute(0, "CREATE TABLE t (v int UNIQUE)", NULL);
    delivery_execute(1, "INSERT INTO t VALUES ($1) RETURNING v", "7", NULL);
    delivery_expect_result(1, "*2\r\n*1\r\n$1\r\nv\r\n*1\r\n$1\r\n7\r\n");
    delivery_execute(1, "INSERT INTO t VALUES ($1) RETURNING v", "7", NULL);
    delivery_expect_result(1, "+OK\r\n");
    delivery_expect("SELECT count(*) FROM t", COUNT("1"));

    delivery_execute(2, "TX", "2", "INSERT INTO t VALUES ($1)", "1", "8", "SELECT 1 AS a", "0",
                     NULL);
    delivery_expect_result(2, "*2\r\n+INSERT 0 1\r\n*2\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\n1\r\n");
    delivery_execute(2, "TX", "2", "INSERT INTO t VALUES ($1)", "1", "8", "SELECT 1 AS a", "0",
                     NULL);
    delivery_expect_result(2, "+OK\r\n");

    /* the same id of another daemon's store is another job */
    delivery_target.settings.store = "11111111-2222-4333-8444-555555555555";
    delivery_execute(1, "INSERT INTO t VALUES ($1)", "9", NULL);
    delivery_expect_result(1, "+INSERT 0 1\r\n");
}

Test(delivery_postgres, a_job_has_its_effect_once)
{
    once(own_database("twice"), body_twice);
}

static void body_failures(void)
{
    delivery_execute(0, "CREATE TABLE t (v int UNIQUE, w int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
                     NULL);
    delivery_execute(1, "INSERT INTO t VALUES (1, 1)", NULL);
    delivery_expect_result(1, "+INSERT 0 1\r\n");

    /* the user's own 23505, at the statement and at the commit, leaves no receipt */
    delivery_execute(2, "INSERT INTO t VALUES (1, 2)", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "23505");
    cr_expect_not(strstr(delivery_outcome.message, "statement"), "%s", delivery_outcome.message);
    delivery_execute(3, "INSERT INTO t VALUES (2, 1)", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "23505");
    delivery_execute(4, "TX", "2", "SELECT 1", "0", "INSERT INTO t VALUES (1, 3)", "0", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "23505");
    cr_expect(strstr(delivery_outcome.message, "statement 2: "), "%s", delivery_outcome.message);
    /* also when it is about the receipts themselves */
    delivery_execute(5, "INSERT INTO awaitd.receipt (store, job_id) VALUES ($1, 1)", DELIVERY_STORE,
                     NULL);
    delivery_expect_failure(OUTCOME_DEAD, "23505");
    delivery_execute(6, "DROP INDEX CONCURRENTLY t_v_key", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "25001");
    delivery_execute(7, "SELECT 1/0", NULL);
    delivery_expect_failure(OUTCOME_DEAD, "22012");
    delivery_expect("SELECT count(*) FROM awaitd.receipt", COUNT("1"));

    delivery_execute(7, "CREATE INDEX ON t (v)", NULL);
    delivery_expect_result(7, "+CREATE INDEX\r\n");
    delivery_execute(7, "CREATE INDEX ON t (v)", NULL);
    delivery_expect_result(7, "+OK\r\n");
    delivery_expect("SELECT count(*) FROM pg_indexes WHERE tablename = 't'", COUNT("3"));
}

Test(delivery_postgres, a_failed_job_leaves_no_receipt)
{
    once(own_database("failures"), body_failures);
}

static void body_refusals(void)
{
    struct aw_error error;
    cr_expect_eq(delivery_check(&error, "CALL p()", NULL), -EINVAL);
    cr_expect(strstr(error.message, "CALL is refused on an exactly-once target"), "%s",
              error.message);
    cr_expect_eq(delivery_check(&error, "/* */ do $$ BEGIN COMMIT; END $$", NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, "VACUUM", NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, "TX", "2", "SELECT 1", "0", "CALL p()", "0", NULL),
                 -EINVAL);
    cr_expect_eq(delivery_check(&error, "COMMIT", NULL), -EINVAL);
    cr_expect_eq(delivery_check(&error, "SELECT 1", NULL), 0);
    delivery_execute(1, "CALL p()", NULL); /* submitted before the target was exactly-once */
    delivery_expect_failure(OUTCOME_DEAD, "BADARGUMENT");
    delivery_target.settings.delivery = TARGET_AT_LEAST_ONCE;
    cr_expect_eq(delivery_check(&error, "CALL p()", NULL), 0);
}

Test(delivery_postgres, what_could_commit_by_itself_is_refused)
{
    once(postgres_shared_uri(), body_refusals);
}

/* --- an old backend of a dead daemon --- */

static PGconn *zombie;

static void zombie_does(const char *sql)
{
    PGresult *result = PQexec(zombie, sql);
    cr_assert(PQresultStatus(result) == PGRES_COMMAND_OK, "%s", PQerrorMessage(zombie));
    PQclear(result);
}

static int run_again(void *argument)
{
    (void)argument;
    delivery_execute(1, "INSERT INTO t VALUES (1)", NULL);
    return 0;
}

/* The job runs again while the zombie is at work, which then ends in this way. */
static void meet_zombie(const char *ending, const char *result)
{
    struct aw_task *task;
    zombie_does("BEGIN");
    zombie_does("INSERT INTO awaitd.receipt VALUES ('" DELIVERY_STORE "', 1)");
    zombie_does("INSERT INTO t VALUES (1)");
    cr_assert_eq(aw_spawn(&task, run_again, NULL), 0);
    aw_sleep(200);
    cr_expect_not(aw_finished(task), "it must wait for how the zombie ends");
    zombie_does(ending);
    cr_assert_eq(aw_await(task), 0);
    delivery_expect_result(1, result);
    delivery_expect("SELECT count(*) FROM t", COUNT("1"));
    delivery_execute(0, "TRUNCATE t, awaitd.receipt", NULL);
}

static void body_zombie(void)
{
    zombie = PQconnectdb(delivery_target.settings.uri);
    delivery_execute(0, "CREATE TABLE t (v int)", NULL);
    delivery_execute(9, "SELECT 1", NULL); /* makes the table of receipts */
    meet_zombie("COMMIT", "+OK\r\n");
    meet_zombie("ROLLBACK", "+INSERT 0 1\r\n");
    PQfinish(zombie);
}

Test(delivery_postgres, a_backend_that_commits_late_does_not_double_the_effect)
{
    once(own_database("zombie"), body_zombie);
}

/* --- a killed session --- */

static void body_killed(void)
{
    delivery_execute(0, "CREATE TABLE t (v int)", NULL);
    delivery_execute(0, "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                        "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
                     NULL);
    delivery_execute(0, "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON t DEFERRABLE INITIALLY "
                        "DEFERRED FOR EACH ROW EXECUTE FUNCTION die()", NULL);
    delivery_execute(1, "INSERT INTO t VALUES (1)", NULL); /* dies inside its commit */
    cr_expect(delivery_outcome.kind == OUTCOME_INTERRUPTED ||
                  delivery_outcome.kind == OUTCOME_RETRY,
              "%d: %s", delivery_outcome.kind, delivery_outcome.message);
    delivery_expect(HAS_RECEIPT "1", COUNT("0"));
    delivery_execute(0, "DROP TRIGGER die ON t", NULL);
    delivery_execute(1, "INSERT INTO t VALUES (1)", NULL);
    delivery_expect_result(1, "+INSERT 0 1\r\n");
    delivery_expect("SELECT count(*) FROM t", COUNT("1"));
}

Test(delivery_postgres, a_session_killed_at_the_commit_leaves_all_or_nothing)
{
    once(own_database("killed"), body_killed);
}

/* --- least privileges --- */

static const char *admin_uri;

static void administer(const char *sql)
{
    PGconn *handle = PQconnectdb(admin_uri);
    PGresult *result = PQexec(handle, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(handle));
    PQclear(result);
    PQfinish(handle);
}

static void body_poor(void)
{
    delivery_execute(1, "SELECT 1 AS a", NULL);
    cr_expect_eq(delivery_outcome.kind, OUTCOME_UNAVAILABLE, "%s", delivery_outcome.message);
    cr_expect(strstr(delivery_outcome.message, "CREATE TABLE IF NOT EXISTS awaitd.receipt"), "%s",
              delivery_outcome.message);
    cr_expect(strstr(delivery_outcome.message,
                     "GRANT INSERT, SELECT, DELETE ON awaitd.receipt TO <role>;"), "%s",
              delivery_outcome.message);
    cr_expect_not(delivery_target.up);
    cr_expect(strstr(delivery_target.down_reason, "awaitd.receipt"));

    administer("CREATE SCHEMA IF NOT EXISTS awaitd; CREATE TABLE IF NOT EXISTS awaitd.receipt "
               "(store uuid, job_id bigint, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY "
               "(store, job_id)); GRANT USAGE ON SCHEMA awaitd TO poor; GRANT INSERT ON "
               "awaitd.receipt TO poor");
    for (int i = 0; i < 1200 && !delivery_target.up; i++) {
        aw_sleep(50);
    }
    cr_expect(delivery_target.up, "it asks again by itself");
    delivery_execute(1, "SELECT 1 AS a", NULL);
    delivery_expect_result(1, "*2\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\n1\r\n");
    delivery_execute(1, "SELECT 1 AS a", NULL);
    delivery_expect_result(1, "+OK\r\n");
}

Test(delivery_postgres, a_role_that_may_not_make_the_table_says_what_to_run)
{
    static char uri[320];
    admin_uri = own_database("poor");
    administer("CREATE ROLE poor LOGIN");
    snprintf(uri, sizeof uri, "%s", admin_uri);
    memcpy(strstr(uri, "user=postgres"), "user=poor    ", 13);
    once(uri, body_poor);
}
