/* test_pg_rows.c - rows one by one, against a real server. */
#include "support/cancel.h"
#include "support/pg_client.h"
#include "support/postgres.h"

#include <await.h>
#include <await/pg_rows.h>

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

POSTGRES_BEFORE_TESTS
POSTGRES_AFTER_TESTS

#define ACTIVITY "pg_stat_activity WHERE datname = current_database() AND "

TestSuite(pg_rows, .timeout = 120);

static int open_rows(struct aw_pg_rows **ret_rows, const char *sql, struct aw_error *reterr)
{
    const struct aw_pg_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    return aw_pg_rows_open(ret_rows, pg_client_pool, &statement, reterr);
}

static void expect_stopped(const char *word)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM " ACTIVITY "state = 'active' AND query LIKE '%s%%'", word);
    pg_client_expect(sql, "0");
}

static int body_values(void)
{
    struct aw_pg_rows *rows = NULL;
    struct aw_error error = {0};
    const struct aw_pg_value parameters[] = {{"5", 1, false}, {NULL, 0, true}};
    const char *sql = "SELECT g AS number, $2::text AS nothing FROM generate_series(1, $1::int) g";
    const struct aw_pg_statement statement = {sql, strlen(sql), parameters, 2};
    cr_assert_eq(aw_pg_rows_open(&rows, pg_client_pool, &statement, &error), 0, "%s",
                 error.message);
    cr_expect_eq(aw_pg_rows_column_count(rows), 2);
    cr_expect_str_eq(aw_pg_rows_column_name(rows, 0), "number");
    cr_expect_eq(aw_pg_rows_column_type(rows, 0), 23);
    cr_expect_str_eq(aw_pg_rows_column_name(rows, 2), "");
    cr_expect(aw_pg_rows_value(rows, 0).null, "before the first row");
    for (int i = 1; i <= 5; i++) {
        cr_expect_eq(aw_pg_rows_next(rows, &error), 1);
        cr_expect_eq(atoi(aw_pg_rows_value(rows, 0).data), i);
        cr_expect_not(aw_pg_rows_value(rows, 0).null);
        cr_expect(aw_pg_rows_value(rows, 1).null);
        cr_expect(aw_pg_rows_value(rows, 2).null, "past the last column");
    }
    cr_expect_eq(aw_pg_rows_next(rows, &error), 0);
    cr_expect_eq(aw_pg_rows_next(rows, &error), 0, "again");
    cr_expect(aw_pg_rows_value(rows, 0).null, "after the last row");
    aw_pg_rows_close(rows);

    cr_assert_eq(open_rows(&rows, "SELECT 1 AS one WHERE false", &error), 0);
    cr_expect_str_eq(aw_pg_rows_column_name(rows, 0), "one");
    cr_expect_eq(aw_pg_rows_next(rows, &error), 0);
    aw_pg_rows_close(rows);

    cr_assert_eq(open_rows(&rows, "CREATE TABLE made (v int)", &error), 0);
    cr_expect_eq(aw_pg_rows_next(rows, &error), 0);
    aw_pg_rows_close(rows);
    pg_client_expect("SELECT count(*) FROM made", "0");
    return 0;
}

Test(pg_rows, gives_columns_values_and_the_end)
{
    pg_client_run_apart(1, 1, body_values);
}

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    cr_assert(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * 4;
}

#define LARGE_ROWS 200000

/* 200 MB of rows. */
static int body_memory(void)
{
    struct aw_pg_rows *rows = NULL;
    struct aw_error error = {0};
    cr_assert_eq(
        open_rows(&rows, "SELECT g, repeat('x', 1000) FROM generate_series(1, 200000) g", &error),
        0);
    long before_kib = resident_kib();
    long count = 0;
    int result = 0;
    while ((result = aw_pg_rows_next(rows, &error)) > 0) {
        count++;
        cr_assert_eq(atol(aw_pg_rows_value(rows, 0).data), count);
    }
    cr_expect_eq(result, 0, "%s", error.message);
    cr_expect_eq(count, LARGE_ROWS);
    bool quarantine = false; /* that of the sanitizer keeps what is freed */
#ifdef __SANITIZE_ADDRESS__
    quarantine = true;
#endif
    cr_expect(quarantine || resident_kib() - before_kib < 32 * 1024, "it is kept in memory");
    aw_pg_rows_close(rows);
    return 0;
}

Test(pg_rows, holds_one_row_at_a_time)
{
    pg_client_run_apart(1, 1, body_memory);
}

static int body_errors(void)
{
    struct aw_pg_rows *rows = NULL;
    struct aw_error error = {0};
    cr_expect_eq(open_rows(&rows, "SELECT nonsense", &error), -EREMOTEIO);
    cr_expect_str_eq(error.code, "42703");
    cr_expect_eq(open_rows(&rows, "COPY pg_class TO STDOUT", &error), -EINVAL);
    cr_expect_eq(open_rows(&rows, "", &error), -EINVAL);

    cr_assert_eq(open_rows(&rows, "SELECT 1 / (1000 - g) FROM generate_series(1, 2000) g", &error),
                 0);
    int result = 1;
    long count = 0;
    while ((result = aw_pg_rows_next(rows, &error)) > 0) {
        count++;
    }
    cr_expect_eq(result, -EREMOTEIO);
    cr_expect_eq(count, 999);
    cr_expect_str_eq(error.code, "22012");
    error = (struct aw_error){0};
    cr_expect_eq(aw_pg_rows_next(rows, &error), -EREMOTEIO, "again");
    cr_expect_str_eq(error.code, "22012");
    aw_pg_rows_close(rows);

    cr_assert_eq(
        open_rows(&rows, "SELECT g, repeat('y', 500) FROM generate_series(1, 1000000) g", &error),
        0);
    cr_expect_eq(aw_pg_rows_next(rows, &error), 1);
    PG_EXPECT_OK("SELECT pg_terminate_backend(pid) FROM " ACTIVITY
                 "query LIKE 'SELECT g, repeat(''y''%'");
    while ((result = aw_pg_rows_next(rows, &error)) > 0) {
    }
    cr_expect(result == -ESHUTDOWN || result == -ECONNRESET, "%d %s", result, error.message);
    aw_pg_rows_close(rows);
    PG_EXPECT_OK("SELECT 1");
    return 0;
}

Test(pg_rows, an_error_in_the_middle_ends_them)
{
    pg_client_run_apart(1, 1, body_errors);
}

static int body_stop(void)
{
    struct aw_pg_rows *rows = NULL;
    struct aw_error error = {0};
    int result = 0;
    AW_WITH(result, aw_with_timeout(300))
    {
        result = open_rows(&rows, "SELECT pg_sleep(100)", &error);
    }
    cr_expect_eq(result, -ETIME, "%d %s", result, error.message);
    expect_stopped("SELECT pg_sleep");

    /* Interrupted between two rows: it goes on with the next. */
    cr_assert_eq(open_rows(&rows,
                           "SELECT g, CASE WHEN g = 6 THEN pg_sleep(1)::text "
                           "ELSE repeat('x', 20000) END FROM generate_series(1, 9) g",
                           &error),
                 0);
    int count = 0;
    bool interrupted = false;
    do {
        AW_WITH(result, aw_with_timeout(20))
        {
            result = aw_pg_rows_next(rows, &error);
        }
        interrupted = interrupted || result == -ETIME;
        count += result == 1;
        cr_expect(result != 1 || atoi(aw_pg_rows_value(rows, 0).data) == count);
    } while (result == 1 || result == -ETIME);
    cr_expect_eq(result, 0);
    cr_expect(interrupted);
    cr_expect_eq(count, 9);
    aw_pg_rows_close(rows);

    cr_assert_eq(open_rows(&rows, "SELECT generate_series(1, 2000000000)", &error), 0);
    cr_expect_eq(aw_pg_rows_next(rows, &error), 1);
    aw_pg_rows_close(rows);
    expect_stopped("SELECT generate_series");
    return 0;
}

Test(pg_rows, a_deadline_or_closing_stops_the_statement_on_the_server)
{
    pg_client_run_apart(1, 1, body_stop);
}

static int read_few(void *argument)
{
    (void)argument;
    struct aw_pg_rows *rows = NULL;
    struct aw_error error = {0};
    int result = open_rows(&rows, "SELECT g FROM generate_series(1, 3) g", &error);
    while (result >= 0 && (result = aw_pg_rows_next(rows, &error)) > 0) {
    }
    aw_pg_rows_close(rows);
    return result;
}

static int body_cancelled(void)
{
    pg_client_cancel_once();
    cr_expect_geq(cancel_everywhere(read_few, NULL), 3);
    return 0;
}

Test(pg_rows, leaves_nothing_open_wherever_it_is_cancelled)
{
    pg_client_run_apart(1, 1, body_cancelled);
}

#define READERS 12

/* With places for four. */
static int body_places(void)
{
    struct aw_task *tasks[READERS];
    for (int i = 0; i < READERS; i++) {
        cr_assert_eq(aw_spawn(&tasks[i], read_few, NULL), 0);
    }
    cr_expect_eq(aw_gather(READERS, tasks, NULL), 0);
    struct aw_pg_rows *open[4] = {NULL};
    struct aw_error error = {0};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(open_rows(&open[i], "SELECT 1", &error), 0);
    }
    struct aw_pg_rows *rows = NULL;
    int result = 0;
    AW_WITH(result, aw_with_timeout(50))
    {
        result = open_rows(&rows, "SELECT 1", &error);
    }
    cr_expect_eq(result, -ETIME);
    aw_pg_rows_close(open[0]);
    cr_expect_eq(open_rows(&open[0], "SELECT 1", &error), 0);
    for (int i = 0; i < 4; i++) {
        aw_pg_rows_close(open[i]);
    }
    return 0;
}

Test(pg_rows, those_above_the_limit_wait_their_turn)
{
    pg_client_run_apart(1, 1, body_places);
}

static int body_absent(void)
{
    struct aw_pg_rows *rows = NULL;
    struct aw_error error = {0};
    cr_expect_eq(open_rows(&rows, "SELECT 1", &error), -ENOTCONN);
    return 0;
}

Test(pg_rows, without_a_server_there_are_none)
{
    pg_client_run_on("postgresql://postgres@127.0.0.1:1/x", 1, 1, body_absent);
}
