/* test_sqlite_vfs.c - SQLite on the awaited VFS: what is written is there, also for others and
 * after a crash; locks hold between connections, processes and VFSes; a full disk rolls back. */
#include "support/database.h"
#include "support/process.h"

#include <await.h>
#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static int descriptors_before;

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
    descriptors_before = open_descriptors();
}

static void leave_folder(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    folder_remove(folder);
}

TestSuite(sqlite_vfs, .init = enter_folder, .fini = leave_folder, .timeout = 120);

/* --- round trips --- */

static int round_trip_body(void *argument)
{
    unsigned flags = *(unsigned *)argument;
    struct aw_sqlite *database = database_open(flags | AW_SQLITE_CREATE);
    database_run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB) STRICT");
    database_run(database, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                           " WHERE i < 500) INSERT INTO t SELECT i, randomblob(i * 10) FROM n");
    database_run(database, "BEGIN; DELETE FROM t WHERE i % 2 = 0; ROLLBACK");
    database_run(database, "BEGIN; UPDATE t SET v = zeroblob(5000) WHERE i <= 100; COMMIT");
    cr_expect_eq(database_number(database, "SELECT count(*) FROM t"), 500);
    cr_expect_gt(aw_sqlite_wal_size(database), 100000);
    cr_expect_eq(aw_sqlite_checkpoint(database, false, NULL), 0);
    cr_expect_eq(aw_sqlite_wal_size(database), 0);
    database_run(database, "DELETE FROM t WHERE i > 400");
    cr_expect(database_is_whole(database));
    cr_expect_eq(aw_sqlite_close(database), 0);
    cr_expect_neq(access("test.db-wal", F_OK), 0, "the last close removes the WAL");

    database = database_open(flags);
    cr_expect_eq(database_number(database, "SELECT count(*) FROM t"), 400);
    cr_expect_eq(database_number(database, "SELECT sum(length(v)) FROM t WHERE i <= 100"), 500000);
    database_run(database, "VACUUM");
    cr_expect(database_is_whole(database));
    cr_expect_eq(aw_sqlite_close(database), 0);
    return 0;
}

Test(sqlite_vfs, exclusive_round_trip)
{
    unsigned flags = AW_SQLITE_EXCLUSIVE;
    cr_assert_eq(aw_run(round_trip_body, &flags), 0);
    stock_expect("PRAGMA integrity_check", "ok");
    stock_expect("SELECT count(*) FROM t", "400");
}

Test(sqlite_vfs, shared_round_trip)
{
    unsigned flags = 0;
    cr_assert_eq(aw_run(round_trip_body, &flags), 0);
    stock_expect("PRAGMA integrity_check", "ok");
}

/* More than the gather holds: it spills in the middle of the transaction, and of the checkpoint. */
static int large_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    database_run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB)");
    database_run(database, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                           " WHERE i < 24) INSERT INTO t SELECT i, randomblob(1000000) FROM n");
    database_run(database, "CREATE TABLE copy AS SELECT i, v FROM t");
    cr_expect_eq(aw_sqlite_checkpoint(database, true, NULL), 0);
    cr_expect_eq(database_number(database, "SELECT count(*) FROM t JOIN copy USING (i)"
                                           " WHERE t.v = copy.v"), 24);
    cr_expect(database_is_whole(database));
    cr_expect_eq(aw_sqlite_close(database), 0);
    return 0;
}

Test(sqlite_vfs, transaction_larger_than_memory_bound)
{
    cr_assert_eq(aw_run(large_body, NULL), 0);
    stock_expect("PRAGMA integrity_check", "ok");
}

/* What a crash now would leave: the files as they are, seen by others. */
static void expect_in_files(const char *sql, int64_t expected)
{
    char number[32];
    (void)snprintf(number, sizeof number, "%lld", (long long)expected);
    cr_assert_eq(system("rm -rf copy && mkdir copy && cp test.db test.db-wal copy"), 0);
    cr_assert_eq(chdir("copy"), 0);
    stock_expect("PRAGMA integrity_check", "ok");
    stock_expect(sql, number);
    cr_assert_eq(chdir(".."), 0);
}

static void insert_bytes(struct aw_sqlite *database, int size)
{
    char sql[96];
    (void)snprintf(sql, sizeof sql, "INSERT INTO t(v) VALUES (randomblob(%d))", size);
    database_run(database, sql);
}

/* Commits of all sizes, which begin and end anywhere in a block; after some a rolled back one has
 * left frames behind, or a checkpoint has let the WAL begin anew over the old ones. */
static int commits_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    database_run(database, "PRAGMA cache_size=10; PRAGMA cache_spill=ON");
    database_run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB) STRICT");
    for (int i = 1; i <= 200; i++) {
        insert_bytes(database, i * 7919 % 30000);
        if (i % 20 == 7)
            database_run(database, "BEGIN; UPDATE t SET v = randomblob(length(v)); ROLLBACK");
        if (i % 60 == 0)
            cr_expect_eq(aw_sqlite_checkpoint(database, false, NULL), 0);
        else if (i % 12 == 0)
            expect_in_files("SELECT count(*) FROM t", i);
    }
    cr_expect(database_is_whole(database));
    cr_expect_eq(aw_sqlite_close(database), 0);
    return 0;
}

Test(sqlite_vfs, files_hold_every_commit)
{
    cr_assert_eq(aw_run(commits_body, NULL), 0);
    stock_expect("SELECT count(*) FROM t", "200");
}

/* A WAL beyond what is kept of it in memory, then one that begins anew within. */
static int long_wal_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    database_run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB) STRICT");
    for (int i = 1; i <= 40; i++)
        insert_bytes(database, 700000 + i * 500);
    cr_expect_gt(aw_sqlite_wal_size(database), 26000000);
    expect_in_files("SELECT count(*) FROM t", 40);
    cr_expect_eq(aw_sqlite_checkpoint(database, false, NULL), 0);
    insert_bytes(database, 10);
    insert_bytes(database, 5000);
    expect_in_files("SELECT count(*) FROM t", 42);
    cr_expect_eq(aw_sqlite_close(database), 0);
    return 0;
}

Test(sqlite_vfs, wal_beyond_memory)
{
    cr_assert_eq(aw_run(long_wal_body, NULL), 0);
    stock_expect("SELECT count(*) FROM t", "42");
}

static int journal_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE);
    database_run(database, "PRAGMA journal_mode=DELETE");
    database_run(database, "CREATE TABLE t(v); INSERT INTO t VALUES (1), (2)");
    database_run(database, "BEGIN; UPDATE t SET v = 9; ROLLBACK");
    stock_expect("SELECT sum(v) FROM t", "3");
    database_run(database, "BEGIN; UPDATE t SET v = v + 1; COMMIT");
    stock_expect("SELECT sum(v) FROM t", "5");
    cr_expect(database_is_whole(database));
    struct aw_error error = { 0 };
    cr_expect_eq(aw_sqlite_execute(database, "PRAGMA synchronous=OFF", &error), -EINVAL);
    cr_expect(strstr(error.message, "durable"), "%s", error.message);
    aw_sqlite_close(database);
    return 0;
}

Test(sqlite_vfs, rollback_journal)
{
    cr_assert_eq(aw_run(journal_body, NULL), 0);
}

/* Sorting and statement journals go to files without a name. */
static int temporary_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE);
    database_run(database, "PRAGMA temp_store=FILE; PRAGMA cache_size=10; PRAGMA cache_spill=ON");
    database_run(database, "CREATE TEMP TABLE x AS WITH RECURSIVE n(i) AS"
                           " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                           " SELECT i, hex(randomblob(100)) AS v FROM n");
    cr_expect_eq(database_number(database, "SELECT count(*) FROM (SELECT v FROM x ORDER BY v)"),
                 20000);
    aw_sqlite_close(database);
    return 0;
}

Test(sqlite_vfs, temporary_files)
{
    cr_assert_eq(aw_run(temporary_body, NULL), 0);
}

static int refused_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = NULL;
    struct aw_error error = { 0 };
    cr_expect_eq(aw_sqlite_open(&database, "absent.db", NULL, &error), -ENOENT);
    cr_expect_str_eq(error.code, "SQLITE_CANTOPEN");
    cr_expect(strstr(error.message, "absent.db") && strstr(error.message, "No such file"),
              "%s", error.message);
    struct aw_sqlite_options create = { .flags = AW_SQLITE_CREATE };
    cr_expect_lt(aw_sqlite_open(&database, "no/folder/x.db", &create, &error), 0);
    cr_expect_lt(aw_sqlite_open(&database, ":memory:", &create, &error), 0);
    FILE *file = fopen("text.db", "w");
    for (int i = 0; i < 400; i++)
        fputs("this is no database ", file);
    fclose(file);
    cr_expect_eq(aw_sqlite_open(&database, "text.db", NULL, &error), -EBADMSG);
    cr_expect_str_eq(error.code, "SQLITE_NOTADB");
    return 0;
}

Test(sqlite_vfs, what_cannot_be_opened)
{
    cr_assert_eq(aw_run(refused_body, NULL), 0);
}

/* --- locks --- */

static int exclusive_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    database_run(database, "CREATE TABLE t(v); INSERT INTO t VALUES (1)");
    cr_expect_neq(access("test.db-shm", F_OK), 0, "the wal-index is in memory");
    stock_expect("SELECT count(*) FROM t", "database is locked");

    struct aw_sqlite *second = NULL;
    struct aw_error error = { 0 };
    struct aw_sqlite_options options = { .flags = AW_SQLITE_EXCLUSIVE, .busy_timeout_ms = 20 };
    cr_expect_eq(aw_sqlite_open(&second, "test.db", &options, &error), -EBUSY);
    cr_expect(strstr(error.message, "another process"), "%s", error.message);
    /* The failed open has closed a descriptor of the file; the lock must have survived that. */
    stock_expect("SELECT count(*) FROM t", "database is locked");
    database_run(database, "INSERT INTO t VALUES (2)");
    aw_sqlite_close(database);
    stock_expect("SELECT count(*) FROM t", "2");
    return 0;
}

Test(sqlite_vfs, exclusive_keeps_others_out)
{
    cr_assert_eq(aw_run(exclusive_body, NULL), 0);
}

static int two_connections_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *one = database_open(AW_SQLITE_CREATE);
    database_run(one, "CREATE TABLE t(v)");
    struct aw_sqlite *two = database_open(0);
    database_run(one, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
    cr_expect_eq(database_number(two, "SELECT count(*) FROM t"), 0, "uncommitted rows are private");
    cr_expect_eq(aw_sqlite_execute(two, "BEGIN IMMEDIATE", NULL), -EBUSY);
    stock_expect("INSERT INTO t VALUES (7)", "database is locked");
    database_run(one, "COMMIT");
    cr_expect_eq(database_number(two, "SELECT count(*) FROM t"), 1);
    database_run(two, "BEGIN; SELECT count(*) FROM t; INSERT INTO t VALUES (2); COMMIT");
    stock_expect("INSERT INTO t VALUES (3)", "");
    cr_expect_eq(database_number(one, "SELECT sum(v) FROM t"), 6,
                 "another process's commit is seen");

    database_run(two, "BEGIN");
    cr_expect_eq(database_number(two, "SELECT count(*) FROM t"), 3);
    database_run(one, "INSERT INTO t VALUES (4)");
    cr_expect_eq(database_number(two, "SELECT count(*) FROM t"), 3, "a snapshot stays as it is");
    struct aw_error error = { 0 };
    cr_expect_eq(aw_sqlite_execute(two, "INSERT INTO t VALUES (5)", &error), -EBUSY);
    cr_expect_str_eq(error.code, "SQLITE_BUSY_SNAPSHOT");
    cr_expect_eq(aw_sqlite_checkpoint(one, true, NULL), -EBUSY, "a reader holds the WAL");
    database_run(two, "ROLLBACK");
    cr_expect_eq(aw_sqlite_checkpoint(one, true, NULL), 0);
    cr_expect(database_is_whole(two));
    aw_sqlite_close(one);
    cr_expect_eq(database_number(two, "SELECT count(*) FROM t"), 4, "closing one leaves the other");
    stock_expect("SELECT count(*) FROM t", "4");
    aw_sqlite_close(two);
    return 0;
}

Test(sqlite_vfs, connections_and_processes_conflict_properly)
{
    cr_assert_eq(aw_run(two_connections_body, NULL), 0);
}

/* The other way round: a process with the stock VFS holds the lock, we wait and get it. */
static int foreign_lock_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE);
    database_run(database, "CREATE TABLE t(v)");
    int ready[2];
    int go[2];
    cr_assert_eq(pipe(ready) | pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *handle = NULL;
        char c = 'x';
        int code = sqlite3_open_v2("test.db", &handle, SQLITE_OPEN_READWRITE, "unix");
        code |= sqlite3_exec(handle, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)", 0, 0, 0);
        if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
            code = 1;
        code |= sqlite3_exec(handle, "COMMIT", 0, 0, 0);
        code |= sqlite3_close(handle);
        _exit(code != 0);
    }
    char c;
    cr_assert_eq(read(ready[0], &c, 1), 1);
    struct aw_error error = { 0 };
    cr_expect_eq(aw_sqlite_execute(database, "INSERT INTO t VALUES (2)", &error), -EBUSY);
    cr_expect_str_eq(error.code, "SQLITE_BUSY");
    cr_expect_eq(database_number(database, "SELECT count(*) FROM t"), 0);
    cr_assert_eq(write(go[1], "x", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect_eq(status, 0);
    database_run(database, "INSERT INTO t VALUES (2)");
    cr_expect_eq(database_number(database, "SELECT sum(v) FROM t"), 3);
    aw_sqlite_close(database);
    close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
    return 0;
}

Test(sqlite_vfs, foreign_process_holds_the_lock)
{
    cr_assert_eq(aw_run(foreign_lock_body, NULL), 0);
}

/* --- a full disk --- */

static int full_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = database_open(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    database_run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB)");
    struct aw_error error = { 0 };
    int result = 0;
    int rows = 0;
    while (result == 0 && rows < 1000) {
        result = aw_sqlite_execute(database, "INSERT INTO t(v) VALUES (zeroblob(50000))", &error);
        rows += result == 0;
    }
    cr_expect_eq(result, -ENOSPC, "%s", error.message);
    cr_expect_str_eq(error.code, "SQLITE_FULL");
    cr_expect_gt(rows, 10);
    cr_expect_not(aw_sqlite_failed(database), "a full disk is a known outcome");
    cr_expect_eq(database_number(database, "SELECT count(*) FROM t"), rows);
    result = aw_sqlite_checkpoint(database, false, &error);
    cr_expect(result == 0 || result == -ENOSPC, "%d %s", result, error.message);
    cr_expect_not(aw_sqlite_failed(database));
    cr_expect(database_is_whole(database));

    cr_expect_eq(unlink("ballast"), 0);
    cr_expect_eq(aw_sqlite_checkpoint(database, true, &error), 0, "%s", error.message);
    database_run(database, "INSERT INTO t(v) VALUES (zeroblob(50000))");
    cr_expect_eq(database_number(database, "SELECT count(*) FROM t"), rows + 1);
    cr_expect(database_is_whole(database));
    aw_sqlite_close(database);
    return 0;
}

Test(sqlite_vfs, full_disk_rolls_back)
{
    if (geteuid() != 0 || mkdir("small", 0700) != 0 ||
        mount("none", "small", "tmpfs", 0, "size=4m") != 0)
        cr_skip_test("needs to mount a small file system");
    cr_assert_eq(chdir("small"), 0);
    FILE *ballast = fopen("ballast", "w");
    for (int i = 0; i < 2560 * 1024; i++)
        fputc(i, ballast);
    fclose(ballast);
    cr_expect_eq(aw_run(full_body, NULL), 0);
    stock_expect("PRAGMA integrity_check", "ok");
    cr_assert_eq(chdir(".."), 0);
    cr_expect_eq(umount("small"), 0);
}
