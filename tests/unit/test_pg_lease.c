/* test_pg_lease.c - leases of the PostgreSQL client: who gets a connection when, beside the runs of
 * others, and what is left of a lease when it is over. */
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(pg_lease, .timeout = 120);

static struct aw_event changed[4];

static struct aw_pg_lease *enter(int number)
{
    struct aw_pg_lease *lease = NULL;
    struct aw_error error = {0};
    aw_event_init(&changed[number]);
    int status = aw_pg_lease_enter(pg_client_pool, &changed[number], &lease, &error);
    cr_assert_eq(status, 0, "%s", error.message);
    return lease;
}

/* Runs a statement; its first value goes to `text` (may be NULL). */
static int run(struct aw_pg_lease *lease, const char *sql, char *text, size_t size)
{
    const struct aw_pg_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    struct aw_pg_results *results = NULL;
    pg_client_error = (struct aw_error){0};
    int status = aw_pg_lease_run(lease, &statement, 0, &results, &pg_client_error);
    if (status == 0 && text != NULL) {
        strncpy(text, aw_pg_value_at(results, 0, 0, 0).data, size - 1);
        text[size - 1] = '\0';
    }
    aw_pg_results_free(results);
    return status;
}

#define RUN(lease, sql) \
    cr_assert_eq(run(lease, sql, NULL, 0), 0, "%s: %s", sql, pg_client_error.message)

static int run_job(void *argument)
{
    int *done = argument;
    PG_EXPECT_OK("SELECT pg_sleep(0.001)");
    (*done)++;
    return 0;
}

/* A pool of one connection that never rests: the lease waits for those sent before, and those
 * that come later for the lease. */
static int body_drains(void)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    int done = 0;
    for (int i = 0; i < 100; i++)
        cr_assert_eq(aw_group_spawn(&group, run_job, &done), 0);
    PG_EXPECT_OK("SELECT 1");
    struct aw_pg_lease *lease = enter(0);
    int before = done;
    for (int i = 0; i < 20; i++)
        cr_assert_eq(aw_group_spawn(&group, run_job, &done), 0);
    RUN(lease, "BEGIN");
    RUN(lease, "SELECT pg_sleep(0.05)");
    cr_expect_eq(done, before, "nobody else uses the connection");
    cr_expect(aw_pg_lease_exit(lease), "a transaction was open");
    cr_assert_eq(aw_group_wait(&group), 0);
    cr_expect_eq(done, 120);
    return 0;
}

Test(pg_lease, gets_a_connection_that_is_never_idle)
{
    pg_client_run(1, 16, body_drains);
}

static int body_leaves_nothing(void)
{
    char text[64] = "";
    for (int i = 0; i < 3; i++) /* prepared by the pool */
        pg_client_expect("SELECT 40 + 2", "42");
    struct aw_pg_lease *lease = enter(0);
    RUN(lease, "CREATE TEMP TABLE mine (n int)");
    RUN(lease, "SET work_mem = '77777kB'");
    RUN(lease, "PREPARE mine AS SELECT 1");
    RUN(lease, "SELECT pg_advisory_lock(1)");
    RUN(lease, "DEALLOCATE ALL");
    cr_expect_not(aw_pg_lease_exit(lease));
    pg_client_expect("SELECT count(*) FROM pg_class WHERE relname = 'mine'", "0");
    pg_client_expect("SELECT current_setting('work_mem') = '77777kB'", "f");
    pg_client_expect("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0");
    for (int i = 0; i < 3; i++)
        pg_client_expect("SELECT 40 + 2", "42");
    lease = enter(0);
    cr_assert_eq(run(lease, "SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'", text,
                     sizeof text), 0);
    cr_expect_str_eq(text, "0");
    cr_expect_not(aw_pg_lease_exit(lease));
    return 0;
}

Test(pg_lease, leaves_nothing_in_the_session)
{
    pg_client_run(1, 1, body_leaves_nothing);
}

/* --- waiting --- */

static int order[4];
static int entered;

static int enter_and_leave(void *argument)
{
    int number = *(int *)argument;
    struct aw_pg_lease *lease = enter(number);
    order[entered++] = number;
    RUN(lease, "SELECT 1");
    cr_expect_not(aw_pg_lease_exit(lease));
    return 0;
}

static int body_order(void)
{
    static int numbers[] = {1, 2, 3};
    struct aw_pg_lease *lease = enter(0);
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(aw_group_spawn(&group, enter_and_leave, &numbers[i]), 0);
    RUN(lease, "SELECT pg_sleep(0.01)");
    cr_expect_eq(entered, 0);
    cr_expect_not(aw_pg_lease_exit(lease));
    cr_assert_eq(aw_group_wait(&group), 0);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(order[i], i + 1);
    return 0;
}

Test(pg_lease, are_granted_in_order)
{
    pg_client_run(1, 1, body_order);
}

static int body_gives_up(void)
{
    struct aw_pg_lease *held = enter(0);
    struct aw_pg_lease *lease = NULL;
    struct aw_error error = {0};
    struct aw_scope scope;
    aw_event_init(&changed[1]);
    aw_scope_enter(&scope, aw_after_ms(20));
    cr_expect_eq(aw_pg_lease_enter(pg_client_pool, &changed[1], &lease, &error), -ETIME);
    aw_scope_leave(&scope);
    cr_expect_not(aw_pg_lease_exit(held));
    pg_client_expect("SELECT 1", "1"); /* the one that has left keeps nothing from anybody */
    return 0;
}

Test(pg_lease, that_stops_waiting_is_forgotten)
{
    pg_client_run(1, 1, body_gives_up);
}

/* --- interruptions and losses --- */

static int body_interrupted(void)
{
    char text[64] = "";
    struct aw_pg_lease *lease = enter(0);
    RUN(lease, "BEGIN");
    RUN(lease, "SAVEPOINT s");
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(20));
    cr_expect_eq(run(lease, "SELECT pg_sleep(600)", NULL, 0), -ETIME);
    aw_scope_leave(&scope);
    RUN(lease, "ROLLBACK TO s");
    cr_assert_eq(run(lease, "SELECT 'alive'", text, sizeof text), 0);
    cr_expect_str_eq(text, "alive");
    cr_expect(aw_pg_lease_is_alive(lease, NULL));
    cr_expect(aw_pg_lease_exit(lease));
    return 0;
}

Test(pg_lease, survives_a_statement_that_was_stopped)
{
    pg_client_run(2, 1, body_interrupted);
}

static int body_lost(void)
{
    char text[64] = "";
    char sql[128];
    struct aw_error error = {0};
    struct aw_pg_lease *lease = enter(0);
    RUN(lease, "BEGIN");
    cr_assert_eq(run(lease, "SELECT pg_backend_pid()", text, sizeof text), 0);
    aw_event_clear(&changed[0]);
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%s)", text);
    pg_client_expect(sql, "t");
    cr_assert_eq(aw_event_wait(&changed[0]), 0, "its owner is told while it rests");
    cr_expect_not(aw_pg_lease_is_alive(lease, &error));
    cr_expect_neq(error.message[0], '\0');
    cr_expect_eq(run(lease, "COMMIT", NULL, 0), -ENOTCONN);
    cr_expect(aw_pg_lease_exit(lease), "a transaction was open");
    lease = enter(0);
    RUN(lease, "SELECT 1");
    cr_expect_not(aw_pg_lease_exit(lease));
    return 0;
}

Test(pg_lease, tells_that_its_connection_is_lost)
{
    pg_client_run(2, 1, body_lost);
}

static int body_refusals(void)
{
    struct aw_pg_lease *lease = enter(0);
    static const char *const refused[] = {"COPY pg_class TO STDOUT", "LISTEN x", "", "-- nothing"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        cr_expect_eq(run(lease, refused[i], NULL, 0), -EINVAL, "%s", refused[i]);
    RUN(lease, "SELECT 1");
    cr_expect_not(aw_pg_lease_exit(lease));
    return 0;
}

Test(pg_lease, refuses_what_cannot_travel)
{
    pg_client_run(1, 1, body_refusals);
}
