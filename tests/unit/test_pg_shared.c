/* test_pg_shared.c - shared connections and leases of the PostgreSQL client, cancelled at each of
 * their suspensions; and which sessions are quiet. */
#include "support/cancel.h"
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

TestSuite(pg_shared, .timeout = 300);

static int query(void *argument)
{
    (void)argument;
    return pg_client_query("SELECT 1", NULL, 0);
}

static int two_statements(void *argument)
{
    const struct aw_pg_statement statements[] = {{.sql = "SELECT 1", .sql_size = 8},
                                                 {.sql = "SELECT 2", .sql_size = 8}};
    const struct aw_pg_run run = {
        .statements = statements, .statement_count = 2, .explicit_transaction = true};
    struct aw_pg_results *results = NULL;
    int result = aw_pg_run(pg_client_pool, &run, &results, argument);
    cr_expect(result < 0 || aw_pg_result_count(results) == 2);
    aw_pg_results_free(results);
    return result;
}

static int lease(void *argument)
{
    struct aw_event changed;
    aw_event_init(&changed);
    struct aw_pg_lease *leased;
    int result = aw_pg_lease_enter(pg_client_pool, &changed, &leased, argument);
    if (result < 0)
        return result;
    const struct aw_pg_statement set = {.sql = "SET search_path = pg_catalog", .sql_size = 28};
    result = aw_pg_lease_run(leased, &set, 0, NULL, argument);
    cr_expect_not(aw_pg_lease_exit(leased), "no transaction was open");
    return result;
}

static int cancelled(void)
{
    struct aw_error error = {0};
    pg_client_cancel_once();
    pg_client_expect("SELECT 1", "1");
    cr_expect_gt(cancel_everywhere(query, NULL), 0);
    cr_expect_gt(cancel_everywhere(two_statements, &error), 0);
    cr_expect_gt(cancel_everywhere(lease, &error), 0);
    pg_client_expect("SHOW search_path", "\"$user\", public");
    return 0;
}

Test(pg_shared, cancelled_anywhere_leaves_nothing)
{
    pg_client_run(1, 4, cancelled);
}

static int sleep_on_the_server(void *argument)
{
    (void)argument;
    return pg_client_query("SELECT pg_sleep(60)", NULL, 0);
}

static int quiet_sessions(void)
{
    struct aw_pg_session sessions[4];
    pg_client_expect("SELECT 1", "1");
    cr_assert_eq(aw_pg_pool_quiet_sessions(pg_client_pool, 0, sessions, 4), 1);
    char pid[16];
    cr_expect_eq(pg_client_query("SELECT pg_backend_pid()", pid, sizeof pid), 0);
    cr_expect_eq(sessions[0].pid, atoi(pid));
    cr_expect_str_eq(sessions[0].name, "libawait");
    cr_expect_eq(aw_pg_pool_quiet_sessions(pg_client_pool, 0, sessions, 0), 0);

    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, sleep_on_the_server, NULL), 0);
    cr_assert_eq(aw_sleep(50), 0); /* it is on its way by then: the connection is open */
    cr_expect_eq(aw_pg_pool_quiet_sessions(pg_client_pool, aw_now_ns(), sessions, 4), 0,
                 "it works on something older");
    cr_expect_eq(aw_pg_pool_quiet_sessions(pg_client_pool, 0, sessions, 4), 1);
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    return 0;
}

Test(pg_shared, a_session_is_quiet_unless_it_works_on_something_older)
{
    pg_client_run(1, 4, quiet_sessions);
}
