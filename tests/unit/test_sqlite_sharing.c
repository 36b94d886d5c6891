/* test_sqlite_sharing.c - what one connection holds in memory must never stand between another
 * connection and the file: partial checkpoints, rolled-back frames. */
#include "support/database.h"
#include "support/process.h"

#include <await.h>
#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <stdlib.h>
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

TestSuite(sqlite_sharing, .init = enter_folder, .fini = leave_folder, .timeout = 120);

static const char many_rows[] =
    "INSERT INTO t(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < 2000) SELECT hex(randomblob(200)) FROM n";

/* A checkpoint that a reader stops halfway advances without a sync: what it moved must be in the
 * file for everybody by then. */
static int partial_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *writer = database_open(AW_SQLITE_CREATE);
    database_run(writer, "CREATE TABLE t(i INTEGER PRIMARY KEY, v); CREATE TABLE u(v)");
    database_run(writer, many_rows);
    struct aw_sqlite *reader = database_open(AW_SQLITE_CREATE);
    database_run(reader, "BEGIN");
    cr_expect_eq(database_number(reader, "SELECT count(*) FROM t"), 2000);
    database_run(writer, "INSERT INTO u VALUES (1)");
    cr_expect_eq(aw_sqlite_checkpoint(writer, false, NULL), 0);
    cr_expect_gt(aw_sqlite_wal_size(writer), 0, "the reader has stopped it halfway");

    struct aw_sqlite *third = database_open(AW_SQLITE_CREATE);
    cr_expect_eq(database_number(third, "SELECT count(*) FROM t WHERE length(v) = 400"), 2000);
    cr_expect(database_is_whole(third));
    database_run(third, "DELETE FROM t WHERE i > 1000");
    database_run(reader, "ROLLBACK");
    cr_expect_eq(database_number(writer, "SELECT count(*) FROM t"), 1000);
    cr_expect_eq(aw_sqlite_checkpoint(third, true, NULL), 0);
    cr_expect(database_is_whole(writer));
    cr_expect_eq(aw_sqlite_close(writer), 0);
    cr_expect(database_is_whole(third));
    cr_expect_eq(database_number(reader, "SELECT count(*) FROM t"), 1000);
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
    struct aw_sqlite *one = database_open(AW_SQLITE_CREATE);
    struct aw_sqlite *two = database_open(AW_SQLITE_CREATE);
    database_run(one, "PRAGMA cache_size=10; PRAGMA cache_spill=ON");
    database_run(one, "CREATE TABLE t(i INTEGER PRIMARY KEY, v)");
    for (int round = 0; round < 5; round++) {
        database_run(one, "BEGIN IMMEDIATE");
        database_run(one, many_rows);
        database_run(one, "ROLLBACK");
        database_run(two, "BEGIN IMMEDIATE");
        database_run(two, many_rows);
        database_run(two, "COMMIT");
        cr_expect_eq(database_number(one, "SELECT count(*) FROM t"), (round * 2 + 1) * 2000);
        cr_expect(database_is_whole(one));
        database_run(one, many_rows);
        cr_expect_eq(database_number(two, "SELECT count(*) FROM t"), (round * 2 + 2) * 2000);
        cr_expect(database_is_whole(two));
    }
    aw_sqlite_close(one);
    aw_sqlite_close(two);
    two = database_open(AW_SQLITE_CREATE);
    cr_expect_eq(database_number(two, "SELECT count(*) FROM t"), 20000);
    cr_expect(database_is_whole(two));
    aw_sqlite_close(two);
    return 0;
}

Test(sqlite_sharing, frames_of_a_rolled_back_transaction)
{
    cr_assert_eq(aw_run(rolled_back_body, NULL), 0);
}
