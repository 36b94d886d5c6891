/* test_pg_transaction.c - transactions as context managers, against a real server. */
#include "support/cancel.h"
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg_transaction.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

#define ACTIVITY "pg_stat_activity WHERE datname = current_database() AND "

TestSuite(pg_transaction, .timeout = 120);

static int insert(struct aw_pg_transaction *transaction, const char *value)
{
    const struct aw_pg_value parameter = {value, strlen(value), false};
    return aw_pg_transaction_query(transaction, "INSERT INTO kept VALUES ($1)", 1, &parameter,
                                   NULL);
}

static void make_table(void)
{
    PG_EXPECT_OK("DROP TABLE IF EXISTS kept");
    PG_EXPECT_OK("CREATE TABLE kept (v text UNIQUE DEFERRABLE INITIALLY DEFERRED)");
}

static void expect_kept(const char *count)
{
    pg_client_expect("SELECT count(*) FROM kept", count);
    /* and the connection is back, as new; the pool's own cleaning may be under way for a moment */
    char open[8] = "";
    for (int i = 0; i < 6000 && strcmp(open, "0") != 0; i++) {
        if (i > 0)
            aw_sleep(10);
        cr_expect_eq(pg_client_query("SELECT count(*) FROM " ACTIVITY "state LIKE 'idle in%'", open,
                                     sizeof open), 0);
    }
    cr_expect_str_eq(open, "0", "a transaction is left open");
}

static int leave_by_return(struct aw_pg_transaction *transaction)
{
    int result = 0;
    AW_WITH(result, aw_pg_with_transaction(transaction))
    {
        result = insert(transaction, "returned");
        return 17;
    }
    return result;
}

static int body_ends(void)
{
    struct aw_pg_transaction transaction = {.pool = pg_client_pool};
    int result = 0;
    make_table();
    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        result = insert(&transaction, "a");
        if (result == 0)
            result = insert(&transaction, "b");
        pg_client_expect("SELECT count(*) FROM kept", "0"); /* seen by nobody yet */
    }
    cr_expect_eq(result, 0, "%s", transaction.error.message);
    expect_kept("2");

    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        result = insert(&transaction, "failed");
        if (result == 0)
            result = -EDOM;
    }
    cr_expect_eq(result, -EDOM);
    expect_kept("2");

    cr_expect_eq(leave_by_return(&transaction), 17);
    expect_kept("2");
    cr_expect_eq(insert(&transaction, "outside"), -EINVAL);

    transaction.modes = "ISOLATION LEVEL SERIALIZABLE, READ ONLY";
    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        result = insert(&transaction, "read only");
    }
    cr_expect_eq(result, -EREMOTEIO);
    cr_expect_str_eq(transaction.error.code, "25006");
    expect_kept("2");

    transaction.modes = "ISOLATION LEVEL NONSENSE";
    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        cr_expect_fail("the body runs though BEGIN failed");
    }
    cr_expect_eq(result, -EREMOTEIO);
    cr_expect_str_eq(transaction.error.code, "42601");
    expect_kept("2");
    return 0;
}

Test(pg_transaction, commits_at_a_good_end_and_rolls_back_at_every_other)
{
    pg_client_run_apart(2, 1, body_ends);
}

static int body_commit_fails(void)
{
    struct aw_pg_transaction transaction = {.pool = pg_client_pool};
    int result = 0;
    make_table();
    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        result = insert(&transaction, "twice");
        if (result == 0)
            result = insert(&transaction, "twice"); /* the constraint waits for COMMIT */
        cr_expect_eq(result, 0);
    }
    cr_expect_eq(result, -EREMOTEIO);
    cr_expect_str_eq(transaction.error.code, "23505", "%s", transaction.error.message);
    expect_kept("0");

    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        cr_expect_eq(insert(&transaction, "before"), 0);
        cr_expect_eq(aw_pg_transaction_query(&transaction, "SELECT 1/0", 0, NULL, NULL),
                     -EREMOTEIO);
        cr_expect_eq(insert(&transaction, "after"), -EREMOTEIO);
        cr_expect_str_eq(transaction.error.code, "25P02");
        result = 0; /* the body does not say that it failed */
    }
    cr_expect_eq(result, -EREMOTEIO);
    cr_expect_str_eq(transaction.error.code, "40000");
    expect_kept("0");

    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        cr_expect_eq(aw_pg_transaction_query(&transaction, "ROLLBACK", 0, NULL, NULL), 0);
    }
    cr_expect_eq(result, -EREMOTEIO);
    cr_expect_str_eq(transaction.error.code, "25P01");
    return 0;
}

Test(pg_transaction, a_commit_that_does_not_commit_is_a_failure)
{
    pg_client_run_apart(2, 1, body_commit_fails);
}

static int body_deadline(void)
{
    struct aw_pg_transaction transaction = {.pool = pg_client_pool};
    int result = 0;
    make_table();
    AW_WITH(result, aw_with_timeout(300))
    {
        AW_WITH(result, aw_pg_with_transaction(&transaction))
        {
            result = insert(&transaction, "late");
            if (result == 0)
                result =
                    aw_pg_transaction_query(&transaction, "SELECT pg_sleep(100)", 0, NULL, NULL);
        }
    }
    cr_expect_eq(result, -ETIME, "%d", result);
    expect_kept("0");

    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        result = insert(&transaction, "killed");
        PG_EXPECT_OK("SELECT pg_terminate_backend(pid) FROM " ACTIVITY
                     "state = 'idle in transaction'");
    }
    cr_expect(result == -ENOTCONN || result == -ESHUTDOWN || result == -ECONNRESET, "%d", result);
    expect_kept("0");
    return 0;
}

Test(pg_transaction, a_deadline_or_a_lost_connection_rolls_back)
{
    pg_client_run_apart(2, 1, body_deadline);
}

static int twice(void *argument)
{
    (void)argument;
    struct aw_pg_transaction transaction = {.pool = pg_client_pool};
    int result = 0;
    AW_WITH(result, aw_pg_with_transaction(&transaction))
    {
        result = insert(&transaction, "x");
        if (result == 0)
            result = aw_pg_transaction_query(&transaction, "DELETE FROM kept", 0, NULL, NULL);
    }
    return result;
}

static int body_cancelled(void)
{
    make_table();
    pg_client_cancel_once();
    cr_expect_geq(cancel_everywhere(twice, NULL), 3);
    expect_kept("0");
    return 0;
}

Test(pg_transaction, leaves_nothing_open_wherever_it_is_cancelled)
{
    pg_client_run_apart(1, 1, body_cancelled);
}
