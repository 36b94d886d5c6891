/* test_pg_pool.c - how many connections a pool has, and how long it waits before it tries again. */
#include "clients/pg_internal.h"
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg_transaction.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <stdlib.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(pg_pool, .timeout = 120);

#define CONNECTIONS 4

static struct aw_pg_pool *pool;

static int sleep_on_server(void *argument)
{
    (void)argument;
    return aw_pg_query(pool, "SELECT pg_sleep(0.3)", 0, NULL, NULL, NULL);
}

static int sessions(void)
{
    char count[16];
    cr_assert_eq(pg_client_query("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                                 "'breathes'", count, sizeof count), 0);
    return atoi(count);
}

static void wait_for_sessions(int expected)
{
    for (int i = 0; i < 6000 && sessions() != expected; i++)
        cr_assert_eq(aw_sleep(10), 0);
    cr_assert_eq(sessions(), expected);
}

static int body_breathes(void)
{
    struct aw_error error = {0};
    const struct aw_pg_options options = {.uri = postgres_shared_uri(),
                                          .application_name = "breathes",
                                          .connections = CONNECTIONS,
                                          .idle_timeout_ms = 500};
    cr_assert_eq(aw_pg_pool_create(&pool, &options, &error), 0, "%s", error.message);
    for (int round = 0; round < 2; round++) {
        struct aw_group group;
        aw_group_init(&group, AW_GROUP_COLLECT);
        cr_assert_eq(aw_pg_query(pool, "SELECT 1", 0, NULL, NULL, &error), 0);
        wait_for_sessions(1);
        for (int i = 0; i < 3 * CONNECTIONS; i++)
            cr_assert_eq(aw_group_spawn(&group, sleep_on_server, NULL), 0);
        wait_for_sessions(CONNECTIONS);
        cr_assert_eq(aw_group_wait(&group), 0);
        wait_for_sessions(1); /* the surplus has been idle for its time */
    }
    aw_pg_pool_free(pool);
    return 0;
}

Test(pg_pool, grows_when_it_is_busy_and_shrinks_when_it_is_idle)
{
    pg_client_run(1, 1, body_breathes);
}

static int look_behind_gate(void *argument)
{
    (void)argument;
    return aw_pg_query(pool, "SELECT count(*) FROM gate", 0, NULL, NULL, NULL);
}

static int look(void *argument)
{
    (void)argument;
    return aw_pg_query(pool, "SELECT 1", 0, NULL, NULL, NULL);
}

/* Quick statements on both connections, so that they would take more than one at a time. */
static void warm(void)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (int i = 0; i < 32; i++)
        cr_assert_eq(aw_group_spawn(&group, look, NULL), 0);
    cr_assert_eq(aw_group_wait(&group), 0);
}

static int cancel_then_look(void)
{
    struct aw_task *task;
    int result = 0;
    warm();
    AW_WITH(result, aw_with_timeout(20))
    {
        result = aw_pg_query(pool, "SELECT pg_sleep(1000)", 0, NULL, NULL, NULL);
    }
    cr_expect_eq(result, -ETIME);
    cr_assert_eq(aw_spawn(&task, look_behind_gate, NULL), 0);
    aw_yield(); /* it has the other connection */
    AW_WITH(result, aw_with_timeout(5000))
    {
        result = look(NULL);
    }
    cr_expect_eq(result, 0, "%s", aw_error_text(result));
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    return 0;
}

/* A statement has just been cancelled: its connection is free in a moment, but for the cancelling
 * and a cleaning. Who comes then must not stand behind a statement that may take for ever. */
static int body_cancelled(void)
{
    struct aw_error error = {0};
    const struct aw_pg_options options = {.uri = postgres_shared_uri(), .connections = 2};
    cr_assert_eq(aw_pg_pool_create(&pool, &options, &error), 0, "%s", error.message);
    PG_EXPECT_OK("CREATE TABLE gate (v int)");
    struct aw_pg_transaction holder = {.pool = pg_client_pool};
    int result = 0;
    AW_WITH(result, aw_pg_with_transaction(&holder))
    {
        result = aw_pg_transaction_query(&holder, "LOCK TABLE gate", 0, NULL, NULL);
        for (int i = 0; i < 10 && result == 0; i++)
            result = cancel_then_look();
    }
    cr_expect_eq(result, 0, "%s", holder.error.message);
    aw_pg_pool_free(pool);
    PG_EXPECT_OK("DROP TABLE gate");
    return 0;
}

Test(pg_pool, nobody_waits_behind_others_for_a_connection_that_is_free_in_a_moment)
{
    pg_client_run(1, 1, body_cancelled);
}

static int body_backoff(void)
{
    uint32_t same = 0;
    for (uint32_t failures = 0; failures < 200; failures++) {
        uint64_t most_ms = failures < 6 ? (uint64_t)PG_BACKOFF_MIN_MS << failures
                                        : PG_BACKOFF_MAX_MS;
        most_ms = most_ms < PG_BACKOFF_MAX_MS ? most_ms : PG_BACKOFF_MAX_MS;
        uint64_t pause_ms = pg_backoff_ms(failures);
        cr_expect(pause_ms >= most_ms / 2 && pause_ms <= most_ms, "%u: %llu", failures,
                  (unsigned long long)pause_ms);
        same += failures >= 6 && pause_ms == pg_backoff_ms(failures);
    }
    cr_expect_lt(same, 20, "half of it is random");
    return 0;
}

Test(pg_pool, waits_longer_each_time_and_never_the_same)
{
    pg_client_run(1, 1, body_backoff);
}
