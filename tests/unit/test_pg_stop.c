/* test_pg_stop.c - stopping statements of the PostgreSQL client: deadlines, cancels, killed
 * sessions, and what neighbours on the same connection notice of it. */
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <stdio.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(pg_stop, .timeout = 120);

/* --- stopping --- */

static int body_deadline(void)
{
    struct aw_scope scope;
    PG_EXPECT_OK("CREATE TABLE stopped (v int)");
    aw_scope_enter(&scope, aw_after_ms(200));
    int status =
        pg_client_query("WITH x AS (INSERT INTO stopped VALUES (1)) SELECT pg_sleep(50)", NULL, 0);
    aw_scope_leave(&scope);
    cr_expect_eq(status, -ETIME, "%s", pg_client_error.message);
    pg_client_expect("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)%' AND "
                 "state = 'active' AND pid <> pg_backend_pid()", "0");
    pg_client_expect("SELECT count(*) FROM stopped", "0");
    return 0;
}

Test(pg_stop, a_deadline_cancels_on_the_server)
{
    pg_client_run(2, 4, body_deadline);
}

static int long_task(void *argument)
{
    (void)argument;
    return pg_client_query("SELECT pg_sleep(30)", NULL, 0);
}

static int body_cancelled(void)
{
    struct aw_task *running;
    struct aw_task *waiting;
    cr_assert_eq(aw_spawn(&running, long_task, NULL), 0);
    aw_sleep(100);
    cr_assert_eq(aw_spawn(&waiting, long_task, NULL), 0);
    aw_sleep(100);
    aw_cancel(waiting); /* waits for the only connection: taken back at once */
    cr_expect_eq(aw_await(waiting), -ECANCELED);
    aw_cancel(running);
    cr_expect_eq(aw_await(running), -ECANCELED);
    pg_client_expect("SELECT 1", "1");
    return 0;
}

Test(pg_stop, a_cancelled_task_stops_running_or_is_taken_back)
{
    pg_client_run(1, 16, body_cancelled);
}

#define PG_EXPECT_ENDED(sql)                                                                       \
    do {                                                                                           \
        cr_expect_eq(pg_client_query(sql, NULL, 0), -ESHUTDOWN, "%s", pg_client_error.message);    \
        cr_expect_str_eq(pg_client_error.code, "57P01");                                           \
    } while (0)

/* It sleeps, and has for longer than what is run again by itself when its session ends. */
#define HAS_BEGUN "wait_event = 'PgSleep' AND now() - query_start > interval '100 ms'"

/* Runs `sql`, which says how many statements it has ended, until there was one to end. */
static int end_one(const char *sql)
{
    char count[16] = "0";
    int status = 0;
    while (status >= 0 && strcmp(count, "0") == 0) {
        status = aw_sleep(10);
        if (status == 0)
            status = pg_client_query(sql, count, sizeof count);
    }
    return status < 0 ? status : 0;
}

static int killer_task(void *argument)
{
    (void)argument;
    return end_one("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE "
                   "'%pg_sleep(40)%' AND " HAS_BEGUN);
}

static int body_killed(void)
{
    struct aw_task *killer;
    cr_assert_eq(aw_spawn(&killer, killer_task, NULL), 0);
    PG_EXPECT_ENDED("SELECT pg_sleep(40)");
    cr_expect_eq(aw_await(killer), 0);
    pg_client_expect("SELECT 1", "1");
    PG_EXPECT_ENDED("SELECT pg_terminate_backend(pg_backend_pid())");
    pg_client_expect("SELECT 2", "2");
    return 0;
}

Test(pg_stop, a_killed_backend_is_replaced)
{
    pg_client_run(2, 1, body_killed);
}

/* --- neighbours on one connection --- */

/* Quick answers let the connection take up to sixteen at once. */
static void fill_depth(void)
{
    for (int i = 0; i < 6; i++) {
        PG_EXPECT_OK("SELECT 1");
    }
}

struct timed {
    const char *sql;
    uint64_t deadline_ms; /* 0: none */
    struct aw_error error;
};

static int timed_task(void *argument)
{
    struct timed *timed = argument;
    struct aw_scope scope;
    aw_scope_enter(&scope, timed->deadline_ms > 0 ? aw_after_ms(timed->deadline_ms) : AW_NEVER);
    int status = aw_pg_query(pg_client_pool, timed->sql, 0, NULL, NULL, &timed->error);
    aw_scope_leave(&scope);
    return status;
}

/* Starts them in one turn, so that they share the only connection, and waits for all. */
static void run_together(struct timed *timed, size_t count, int *results)
{
    struct aw_task *tasks[16];
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(aw_spawn(&tasks[i], timed_task, &timed[i]), 0);
    }
    int first_error = aw_gather(count, tasks, results);
    (void)first_error; /* the caller looks at each */
}

static int body_neighbours(void)
{
    int results[8];
    PG_EXPECT_OK("CREATE TABLE neighbours (v int)");
    for (int round = 0; round < 5; round++) {
        struct timed timed[8] = {{.sql = "SELECT pg_sleep(30)", .deadline_ms = 100}};
        for (int i = 1; i < 8; i++) {
            timed[i].sql = "INSERT INTO neighbours SELECT 1 FROM pg_sleep(0.01)";
        }
        fill_depth();
        run_together(timed, 8, results);
        cr_expect_eq(results[0], -ETIME, "%s", timed[0].error.message);
        for (int i = 1; i < 8; i++) {
            cr_expect_eq(results[i], 0, "%d: %s", i, timed[i].error.message);
        }
    }
    pg_client_expect("SELECT count(*) FROM neighbours", "35");
    return 0;
}

Test(pg_stop, a_cancel_costs_the_neighbours_nothing)
{
    pg_client_run(1, 16, body_neighbours);
}

static int body_behind(void)
{
    int results[2];
    struct timed timed[2] = {{.sql = "SELECT pg_sleep(1)"},
                             {.sql = "SELECT pg_sleep(31)", .deadline_ms = 100}};
    fill_depth();
    run_together(timed, 2, results);
    cr_expect_eq(results[0], 0, "%s", timed[0].error.message);
    cr_expect_eq(results[1], -ETIME, "%s", timed[1].error.message);
    pg_client_expect("SELECT 1", "1");
    return 0;
}

Test(pg_stop, a_deadline_behind_a_neighbour_is_kept_when_its_turn_comes)
{
    pg_client_run(1, 16, body_behind);
}

static int body_abandoned(void)
{
    int results[2];
    struct timed timed[2] = {{.sql = "SELECT pg_sleep(7)"},
                             {.sql = "SELECT pg_sleep(32)", .deadline_ms = 100}};
    fill_depth();
    run_together(timed, 2, results);
    cr_expect_eq(results[0], 0, "the neighbour is spared: %s", timed[0].error.message);
    cr_expect_eq(results[1], -ECONNABORTED, "%s", timed[1].error.message);
    pg_client_expect("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(32)%' AND "
                 "state = 'active' AND pid <> pg_backend_pid()", "0");
    return 0;
}

Test(pg_stop, a_run_stuck_behind_a_slow_neighbour_is_left_and_stopped_later)
{
    pg_client_run(1, 16, body_abandoned);
}

static int foreign_cancel_task(void *argument)
{
    (void)argument;
    return end_one("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE "
                   "'%pg_sleep(41)%' AND " HAS_BEGUN);
}

static int body_foreign_cancel(void)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, foreign_cancel_task, NULL), 0);
    PG_EXPECT_CODE("SELECT pg_sleep(41)", "57014");
    return aw_await(task);
}

Test(pg_stop, a_cancel_by_somebody_else_is_the_statements_error)
{
    pg_client_run(2, 1, body_foreign_cancel);
}

/* --- connections that end while nothing runs on them --- */

static int body_idle_killed(void)
{
    int results[2];
    struct timed timed[2] = {{.sql = "SELECT pg_sleep(0.2)"}, {.sql = "SELECT pg_sleep(0.2)"}};
    run_together(timed, 2, results);
    for (int round = 0; round < 3; round++) {
        PG_EXPECT_OK("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                     "application_name = 'idle_test' AND pid <> pg_backend_pid()");
        for (int i = 0; i < 5; i++) {
            PG_EXPECT_OK("SELECT 1");
        }
        run_together(timed, 2, results);
        cr_expect_eq(results[0], 0, "%s", timed[0].error.message);
        cr_expect_eq(results[1], 0, "%s", timed[1].error.message);
    }
    return 0;
}

Test(pg_stop, a_connection_that_ends_idle_is_replaced_without_a_word)
{
    char uri[256];
    snprintf(uri, sizeof uri, "%s&application_name=idle_test", postgres_shared_uri());
    pg_client_run_on(uri, 2, 1, body_idle_killed);
}
