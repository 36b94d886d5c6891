/* test_sqlite_sharing.c - what one connection holds in memory must never stand between another
 * connection and the file: partial checkpoints, rolled-back frames. */
#include "support/process.h"

#include <await.h>
#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
}

static void leave_folder(void)
{
    folder_remove(folder);
}

TestSuite(sqlite_sharing, .init = enter_folder, .fini = leave_folder, .timeout = 60);

static struct aw_sqlite *open_shared(void)
{
    struct aw_sqlite *database = NULL;
    struct aw_error error = { 0 };
    struct aw_sqlite_options options = { .flags = AW_SQLITE_CREATE, .busy_timeout_ms = 200 };
    int result = aw_sqlite_open(&database, "test.db", &options, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    return database;
}

static void run(struct aw_sqlite *database, const char *sql)
{
    struct aw_error error = { 0 };
    int result = aw_sqlite_execute(database, sql, &error);
    cr_assert_eq(result, 0, "%s: %s %s", sql, error.code, error.message);
}

static int64_t number_of(struct aw_sqlite *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    struct aw_error error = { 0 };
    int result = aw_sqlite_prepare(database, sql, strlen(sql), &statement, &error);
    cr_assert_eq(result, 0, "%s: %s", sql, error.message);
    int code = sqlite3_step(statement);
    cr_assert_eq(code, SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(aw_sqlite_handle(database)));
    int64_t number = sqlite3_column_int64(statement, 0);
    aw_sqlite_done(database, statement);
    return number;
}

static bool is_whole(struct aw_sqlite *database)
{
    return number_of(database, "SELECT count(*) FROM pragma_integrity_check"
                               " WHERE integrity_check = 'ok'") == 1;
}

static const char many_rows[] =
    "INSERT INTO t(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < 2000) SELECT hex(randomblob(200)) FROM n";

/* A checkpoint that a reader stops halfway advances without a sync: what it moved must be in the
 * file for everybody by then. */
static int partial_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *writer = open_shared();
    run(writer, "CREATE TABLE t(i INTEGER PRIMARY KEY, v); CREATE TABLE u(v)");
    run(writer, many_rows);
    struct aw_sqlite *reader = open_shared();
    run(reader, "BEGIN");
    cr_expect_eq(number_of(reader, "SELECT count(*) FROM t"), 2000);
    run(writer, "INSERT INTO u VALUES (1)");
    cr_expect_eq(aw_sqlite_checkpoint(writer, false, NULL), 0);
    cr_expect_gt(aw_sqlite_wal_size(writer), 0, "the reader has stopped it halfway");

    struct aw_sqlite *third = open_shared();
    cr_expect_eq(number_of(third, "SELECT count(*) FROM t WHERE length(v) = 400"), 2000);
    cr_expect(is_whole(third));
    run(third, "DELETE FROM t WHERE i > 1000");
    run(reader, "ROLLBACK");
    cr_expect_eq(number_of(writer, "SELECT count(*) FROM t"), 1000);
    cr_expect_eq(aw_sqlite_checkpoint(third, true, NULL), 0);
    cr_expect(is_whole(writer));
    cr_expect_eq(aw_sqlite_close(writer), 0);
    cr_expect(is_whole(third));
    cr_expect_eq(number_of(reader, "SELECT count(*) FROM t"), 1000);
    aw_sqlite_close(reader);
    aw_sqlite_close(third);
    return 0;
}

Test(sqlite_sharing, partial_checkpoint)
{
    cr_assert_eq(aw_run(partial_body, NULL), 0);
}

/* Frames of a transaction that outgrew the page cache and was rolled back lie where the next
 * writer, which may be another connection, puts its own. */
static int rolled_back_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *one = open_shared();
    struct aw_sqlite *two = open_shared();
    run(one, "PRAGMA cache_size=10; PRAGMA cache_spill=ON");
    run(one, "CREATE TABLE t(i INTEGER PRIMARY KEY, v)");
    for (int round = 0; round < 5; round++) {
        run(one, "BEGIN IMMEDIATE");
        run(one, many_rows);
        run(one, "ROLLBACK");
        run(two, "BEGIN IMMEDIATE");
        run(two, many_rows);
        run(two, "COMMIT");
        cr_expect_eq(number_of(one, "SELECT count(*) FROM t"), (round * 2 + 1) * 2000);
        cr_expect(is_whole(one));
        run(one, many_rows);
        cr_expect_eq(number_of(two, "SELECT count(*) FROM t"), (round * 2 + 2) * 2000);
        cr_expect(is_whole(two));
    }
    aw_sqlite_close(one);
    aw_sqlite_close(two);
    two = open_shared();
    cr_expect_eq(number_of(two, "SELECT count(*) FROM t"), 20000);
    cr_expect(is_whole(two));
    aw_sqlite_close(two);
    return 0;
}

Test(sqlite_sharing, frames_of_a_rolled_back_transaction)
{
    cr_assert_eq(aw_run(rolled_back_body, NULL), 0);
}
