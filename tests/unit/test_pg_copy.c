/* test_pg_copy.c - COPY in and out, against a real server. */
#include "support/cancel.h"
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg_copy.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

#define ACTIVITY "pg_stat_activity WHERE datname = current_database() AND "

TestSuite(pg_copy, .timeout = 120);

#define IN "COPY points FROM STDIN"

static void make_table(void)
{
    PG_EXPECT_OK("DROP TABLE IF EXISTS points");
    PG_EXPECT_OK("CREATE TABLE points (x int, t text)");
}

static int write_text(struct aw_pg_copy *copy, const char *text, struct aw_error *reterr)
{
    return aw_pg_copy_write(copy, text, strlen(text), reterr);
}

static int body_in(void)
{
    struct aw_pg_copy *copy = NULL;
    struct aw_error error = {0};
    uint64_t rows = 0;
    make_table();
    cr_assert_eq(aw_pg_copy_in(&copy, pg_client_pool, IN, &error), 0, "%s", error.message);
    cr_expect_eq(write_text(copy, "1\ton", &error), 0);
    cr_expect_eq(write_text(copy, "e\n2\t\\N\n", &error), 0, "cut anywhere");
    const char *data = NULL;
    cr_expect_eq(aw_pg_copy_read(copy, &data, &error), -EINVAL, "the other way");
    cr_expect_eq(aw_pg_copy_end(copy, &rows, &error), 0, "%s", error.message);
    cr_expect_eq(rows, 2);
    cr_expect_eq(aw_pg_copy_end(copy, &rows, &error), -EINVAL, "again");
    cr_expect_eq(write_text(copy, "3\tx\n", &error), -EINVAL, "after the end");
    aw_pg_copy_close(copy);
    pg_client_expect("SELECT string_agg(x || coalesce(t, '-'), ',' ORDER BY x) FROM points",
                     "1one,2-");

    cr_assert_eq(aw_pg_copy_in(&copy, pg_client_pool, IN, &error), 0);
    cr_expect_eq(write_text(copy, "9\tnever\n", &error), 0);
    aw_pg_copy_close(copy); /* not ended */
    pg_client_expect("SELECT count(*) FROM points", "2");
    return 0;
}

Test(pg_copy, rows_go_in_when_the_copy_is_ended_and_only_then)
{
    pg_client_run_apart(1, 1, body_in);
}

#define LARGE_ROWS 300000

/* 30 MB in, all of it out again. */
static int body_large(void)
{
    struct aw_pg_copy *copy = NULL;
    struct aw_error error = {0};
    uint64_t rows = 0;
    make_table();
    cr_assert_eq(aw_pg_copy_in(&copy, pg_client_pool, IN, &error), 0);
    int result = 0;
    for (int i = 0; i < LARGE_ROWS && result == 0; i++) {
        char line[160];
        int size = snprintf(line, sizeof line, "%d\t%0100d\n", i, i);
        result = aw_pg_copy_write(copy, line, (size_t)size, &error);
    }
    cr_expect_eq(result, 0, "%s", error.message);
    cr_expect_eq(aw_pg_copy_end(copy, &rows, &error), 0, "%s", error.message);
    cr_expect_eq(rows, LARGE_ROWS);
    aw_pg_copy_close(copy);

    cr_assert_eq(aw_pg_copy_out(&copy, pg_client_pool,
                                "COPY (SELECT * FROM points ORDER BY x) TO STDOUT", &error),
                 0);
    const char *data = NULL;
    int count = 0;
    while ((result = aw_pg_copy_read(copy, &data, &error)) > 0) {
        cr_assert_eq(atoi(data), count);
        cr_assert_eq(data[result - 1], '\n');
        count++;
    }
    cr_expect_eq(result, 0, "%s", error.message);
    cr_expect_eq(count, LARGE_ROWS);
    cr_expect_eq(aw_pg_copy_read(copy, &data, &error), 0, "again");
    cr_expect_eq(write_text(copy, "x", &error), -EINVAL, "the other way");
    aw_pg_copy_close(copy);
    return 0;
}

Test(pg_copy, carries_more_than_every_buffer_both_ways)
{
    pg_client_run_apart(1, 1, body_large);
}

static int body_errors(void)
{
    struct aw_pg_copy *copy = NULL;
    struct aw_error error = {0};
    make_table();
    cr_expect_eq(aw_pg_copy_in(&copy, pg_client_pool, "SELECT 1", &error), -EINVAL);
    cr_expect_eq(aw_pg_copy_in(&copy, pg_client_pool, "COPY absent FROM STDIN", &error),
                 -EREMOTEIO);
    cr_expect_str_eq(error.code, "42P01");
    cr_expect_eq(aw_pg_copy_in(&copy, pg_client_pool, "COPY points TO STDOUT", &error), -EINVAL);
    cr_expect_eq(aw_pg_copy_out(&copy, pg_client_pool, IN, &error), -EINVAL);

    cr_assert_eq(aw_pg_copy_in(&copy, pg_client_pool, IN, &error), 0);
    cr_expect_eq(write_text(copy, "1\tgood\nbad\tbad\n", &error), 0);
    for (int i = 0; i < 10000; i++) {
        cr_assert_eq(write_text(copy, "2\tbehind the error, which the server skips\n", &error), 0);
    }
    cr_expect_eq(aw_pg_copy_end(copy, NULL, &error), -EREMOTEIO);
    cr_expect_str_eq(error.code, "22P02");
    cr_expect_eq(aw_pg_copy_end(copy, NULL, &error), -EREMOTEIO, "again");
    aw_pg_copy_close(copy);
    pg_client_expect("SELECT count(*) FROM points", "0");

    cr_assert_eq(aw_pg_copy_out(&copy, pg_client_pool,
                                "COPY (SELECT 1 / (5 - g) FROM generate_series(1, 9) g) TO STDOUT",
                                &error),
                 0);
    const char *data = NULL;
    int result = 0;
    int count = 0;
    while ((result = aw_pg_copy_read(copy, &data, &error)) > 0) {
        count++;
    }
    cr_expect_eq(result, -EREMOTEIO);
    cr_expect_eq(count, 4);
    cr_expect_str_eq(error.code, "22012");
    cr_expect_eq(aw_pg_copy_read(copy, &data, &error), -EREMOTEIO, "again");
    aw_pg_copy_close(copy);
    return 0;
}

Test(pg_copy, an_error_in_the_middle_copies_nothing)
{
    pg_client_run_apart(1, 1, body_errors);
}

#define KILL                                                                 \
    "SELECT pg_terminate_backend(pid) FROM " ACTIVITY "query LIKE 'COPY %' " \
    "AND pid <> pg_backend_pid()"

static int body_killed(void)
{
    struct aw_pg_copy *copy = NULL;
    struct aw_error error = {0};
    make_table();
    cr_assert_eq(aw_pg_copy_in(&copy, pg_client_pool, IN, &error), 0);
    PG_EXPECT_OK(KILL);
    int result = 0;
    for (long i = 0; i < 10000000 && result == 0; i++) {
        result = write_text(copy, "2\tbehind the end of the session\n", &error);
    }
    cr_expect_eq(result, -ECONNRESET, "%d", result);
    cr_expect_eq(aw_pg_copy_end(copy, NULL, &error), -ECONNRESET);
    aw_pg_copy_close(copy);
    pg_client_expect("SELECT count(*) FROM points", "0");

    cr_assert_eq(
        aw_pg_copy_out(&copy, pg_client_pool,
                       "COPY (SELECT generate_series(1, 2000000000), repeat('x', 500)) TO STDOUT",
                       &error),
        0);
    const char *data = NULL;
    cr_expect_gt(aw_pg_copy_read(copy, &data, &error), 0);
    PG_EXPECT_OK(KILL);
    while ((result = aw_pg_copy_read(copy, &data, &error)) > 0) {
    }
    cr_expect(result == -ESHUTDOWN || result == -ECONNRESET, "%d %s", result, error.message);
    aw_pg_copy_close(copy);
    return 0;
}

Test(pg_copy, a_killed_session_is_an_error_not_an_end)
{
    pg_client_run_apart(1, 1, body_killed);
}

/* A writer that meets a lock at the end, a reader that stops, a start that waits for a lock. */
static int body_interrupted(void)
{
    struct aw_pg_copy *copy = NULL;
    struct aw_error error = {0};
    make_table();
    PG_EXPECT_OK("CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                 "'BEGIN PERFORM pg_sleep(100); RETURN NULL; END'");
    PG_EXPECT_OK("CREATE TRIGGER slow AFTER INSERT ON points EXECUTE FUNCTION slow()");
    cr_assert_eq(aw_pg_copy_in(&copy, pg_client_pool, IN, &error), 0);
    cr_expect_eq(write_text(copy, "1\tx\n", &error), 0);
    int result = 0;
    AW_WITH(result, aw_with_timeout(300))
    {
        result = aw_pg_copy_end(copy, NULL, &error);
    }
    cr_expect_eq(result, -ETIME, "%d %s", result, error.message);
    aw_pg_copy_close(copy);
    pg_client_expect("SELECT count(*) FROM points", "0");

    copy = NULL;
    AW_WITH(result, aw_with_timeout(300))
    {
        result = aw_pg_copy_out(&copy, pg_client_pool,
                                "COPY (SELECT 1 FROM (SELECT pg_sleep(100) OFFSET 0) s) TO STDOUT",
                                &error);
        const char *data = NULL;
        while (result == 0) {
            result = aw_pg_copy_read(copy, &data, &error);
        }
    }
    cr_expect_eq(result, -ETIME);
    aw_pg_copy_close(copy);
    pg_client_expect("SELECT count(*) FROM " ACTIVITY "state = 'active' "
                     "AND query LIKE 'COPY %'",
                     "0");
    return 0;
}

Test(pg_copy, a_deadline_stops_it_on_the_server)
{
    pg_client_run_apart(1, 1, body_interrupted);
}

static int copy_both_ways(void *argument)
{
    (void)argument;
    struct aw_pg_copy *copy = NULL;
    struct aw_error error = {0};
    int result = aw_pg_copy_in(&copy, pg_client_pool, IN, &error);
    if (result < 0) {
        return result;
    }
    result = write_text(copy, "1\tx\n", &error);
    if (result == 0) {
        result = aw_pg_copy_end(copy, NULL, &error);
    }
    aw_pg_copy_close(copy);
    if (result < 0) {
        return result;
    }
    result = aw_pg_copy_out(&copy, pg_client_pool, "COPY points TO STDOUT", &error);
    if (result < 0) {
        return result;
    }
    const char *data = NULL;
    while ((result = aw_pg_copy_read(copy, &data, &error)) > 0) {
    }
    aw_pg_copy_close(copy);
    return result;
}

static int body_cancelled(void)
{
    make_table();
    pg_client_cancel_once();
    cr_expect_geq(cancel_everywhere(copy_both_ways, NULL), 3);
    return 0;
}

Test(pg_copy, leaves_nothing_open_wherever_it_is_cancelled)
{
    pg_client_run_apart(1, 1, body_cancelled);
}
