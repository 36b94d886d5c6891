/* test_sqlite_vfs.c - SQLite on the awaited VFS: what is written is there, also for others and
 * after a crash; locks hold between connections, processes and VFSes; a full disk rolls back. */
#include "support/process.h"

#include <await.h>
#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
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

TestSuite(sqlite_vfs, .init = enter_folder, .fini = leave_folder, .timeout = 60);

static struct aw_sqlite *open_with(unsigned flags)
{
    struct aw_sqlite *database = NULL;
    struct aw_error error = { 0 };
    struct aw_sqlite_options options = { .flags = flags, .busy_timeout_ms = 200 };
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
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    aw_sqlite_done(database, statement);
    return number;
}

static bool is_whole(struct aw_sqlite *database)
{
    sqlite3_stmt *statement = NULL;
    cr_assert_eq(aw_sqlite_prepare(database, "PRAGMA integrity_check", 22, &statement, NULL), 0);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    bool whole = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    aw_sqlite_done(database, statement);
    return whole;
}

/* What the stock unix VFS, in another process, says to `sql`: its first value, or the error. */
static void ask_stock(const char *sql, char *ret_answer, size_t size)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *handle = NULL;
        sqlite3_stmt *statement = NULL;
        const char *answer = "";
        int code = sqlite3_open_v2("test.db", &handle, SQLITE_OPEN_READWRITE, "unix");
        if (code == SQLITE_OK)
            code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            answer = (const char *)sqlite3_column_text(statement, 0);
        else if (code != SQLITE_DONE)
            answer = sqlite3_errstr(code);
        ssize_t written = write(ends[1], answer, strlen(answer));
        sqlite3_finalize(statement);
        sqlite3_close(handle);
        _exit(written < 0);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], ret_answer, size - 1);
    ret_answer[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    waitpid(child, NULL, 0);
}

static void expect_stock(const char *sql, const char *expected)
{
    char answer[200];
    ask_stock(sql, answer, sizeof(answer));
    cr_expect_str_eq(answer, expected, "%s gave %s", sql, answer);
}

/* --- round trips --- */

static int round_trip_body(void *argument)
{
    unsigned flags = *(unsigned *)argument;
    struct aw_sqlite *database = open_with(flags | AW_SQLITE_CREATE);
    run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB) STRICT");
    run(database, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
                  " INSERT INTO t SELECT i, randomblob(i * 10) FROM n");
    run(database, "BEGIN; DELETE FROM t WHERE i % 2 = 0; ROLLBACK");
    run(database, "BEGIN; UPDATE t SET v = zeroblob(5000) WHERE i <= 100; COMMIT");
    cr_expect_eq(number_of(database, "SELECT count(*) FROM t"), 500);
    cr_expect_gt(aw_sqlite_wal_size(database), 100000);
    cr_expect_eq(aw_sqlite_checkpoint(database, false, NULL), 0);
    cr_expect_eq(aw_sqlite_wal_size(database), 0);
    run(database, "DELETE FROM t WHERE i > 400");
    cr_expect(is_whole(database));
    cr_expect_eq(aw_sqlite_close(database), 0);
    cr_expect_neq(access("test.db-wal", F_OK), 0, "the last close removes the WAL");

    database = open_with(flags);
    cr_expect_eq(number_of(database, "SELECT count(*) FROM t"), 400);
    cr_expect_eq(number_of(database, "SELECT sum(length(v)) FROM t WHERE i <= 100"), 500000);
    run(database, "VACUUM");
    cr_expect(is_whole(database));
    cr_expect_eq(aw_sqlite_close(database), 0);
    return 0;
}

Test(sqlite_vfs, exclusive_round_trip)
{
    unsigned flags = AW_SQLITE_EXCLUSIVE;
    cr_assert_eq(aw_run(round_trip_body, &flags), 0);
    expect_stock("PRAGMA integrity_check", "ok");
    expect_stock("SELECT count(*) FROM t", "400");
}

Test(sqlite_vfs, shared_round_trip)
{
    unsigned flags = 0;
    cr_assert_eq(aw_run(round_trip_body, &flags), 0);
    expect_stock("PRAGMA integrity_check", "ok");
}

/* More than the gather holds: it spills in the middle of the transaction, and of the checkpoint. */
static int large_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = open_with(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB)");
    run(database, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24)"
                  " INSERT INTO t SELECT i, randomblob(1000000) FROM n");
    run(database, "CREATE TABLE copy AS SELECT i, v FROM t");
    cr_expect_eq(aw_sqlite_checkpoint(database, true, NULL), 0);
    cr_expect_eq(number_of(database, "SELECT count(*) FROM t JOIN copy USING (i)"
                                     " WHERE t.v = copy.v"), 24);
    cr_expect(is_whole(database));
    cr_expect_eq(aw_sqlite_close(database), 0);
    return 0;
}

Test(sqlite_vfs, transaction_larger_than_memory_bound)
{
    cr_assert_eq(aw_run(large_body, NULL), 0);
    expect_stock("PRAGMA integrity_check", "ok");
}

static int journal_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = open_with(AW_SQLITE_CREATE);
    run(database, "PRAGMA journal_mode=DELETE");
    run(database, "CREATE TABLE t(v); INSERT INTO t VALUES (1), (2)");
    run(database, "BEGIN; UPDATE t SET v = 9; ROLLBACK");
    expect_stock("SELECT sum(v) FROM t", "3");
    run(database, "BEGIN; UPDATE t SET v = v + 1; COMMIT");
    expect_stock("SELECT sum(v) FROM t", "5");
    cr_expect(is_whole(database));
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
    struct aw_sqlite *database = open_with(AW_SQLITE_CREATE);
    run(database, "PRAGMA temp_store=FILE; PRAGMA cache_size=10; PRAGMA cache_spill=ON");
    run(database, "CREATE TEMP TABLE x AS WITH RECURSIVE n(i) AS"
                  " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                  " SELECT i, hex(randomblob(100)) AS v FROM n");
    cr_expect_eq(number_of(database, "SELECT count(*) FROM (SELECT v FROM x ORDER BY v)"), 20000);
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
    struct aw_sqlite *database = open_with(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    run(database, "CREATE TABLE t(v); INSERT INTO t VALUES (1)");
    cr_expect_neq(access("test.db-shm", F_OK), 0, "the wal-index is in memory");
    expect_stock("SELECT count(*) FROM t", "database is locked");

    struct aw_sqlite *second = NULL;
    struct aw_error error = { 0 };
    struct aw_sqlite_options options = { .flags = AW_SQLITE_EXCLUSIVE, .busy_timeout_ms = 20 };
    cr_expect_eq(aw_sqlite_open(&second, "test.db", &options, &error), -EBUSY);
    cr_expect(strstr(error.message, "another process"), "%s", error.message);
    /* The failed open has closed a descriptor of the file; the lock must have survived that. */
    expect_stock("SELECT count(*) FROM t", "database is locked");
    run(database, "INSERT INTO t VALUES (2)");
    aw_sqlite_close(database);
    expect_stock("SELECT count(*) FROM t", "2");
    return 0;
}

Test(sqlite_vfs, exclusive_keeps_others_out)
{
    cr_assert_eq(aw_run(exclusive_body, NULL), 0);
}

static int two_connections_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *one = open_with(AW_SQLITE_CREATE);
    run(one, "CREATE TABLE t(v)");
    struct aw_sqlite *two = open_with(0);
    run(one, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)");
    cr_expect_eq(number_of(two, "SELECT count(*) FROM t"), 0, "uncommitted rows are private");
    cr_expect_eq(aw_sqlite_execute(two, "BEGIN IMMEDIATE", NULL), -EBUSY);
    expect_stock("INSERT INTO t VALUES (7)", "database is locked");
    run(one, "COMMIT");
    cr_expect_eq(number_of(two, "SELECT count(*) FROM t"), 1);
    run(two, "BEGIN; SELECT count(*) FROM t; INSERT INTO t VALUES (2); COMMIT");
    expect_stock("INSERT INTO t VALUES (3)", "");
    cr_expect_eq(number_of(one, "SELECT sum(v) FROM t"), 6, "another process's commit is seen");

    run(two, "BEGIN");
    cr_expect_eq(number_of(two, "SELECT count(*) FROM t"), 3);
    run(one, "INSERT INTO t VALUES (4)");
    cr_expect_eq(number_of(two, "SELECT count(*) FROM t"), 3, "a snapshot stays as it is");
    struct aw_error error = { 0 };
    cr_expect_eq(aw_sqlite_execute(two, "INSERT INTO t VALUES (5)", &error), -EBUSY);
    cr_expect_str_eq(error.code, "SQLITE_BUSY_SNAPSHOT");
    cr_expect_eq(aw_sqlite_checkpoint(one, true, NULL), -EBUSY, "a reader holds the WAL");
    run(two, "ROLLBACK");
    cr_expect_eq(aw_sqlite_checkpoint(one, true, NULL), 0);
    cr_expect(is_whole(two));
    aw_sqlite_close(one);
    cr_expect_eq(number_of(two, "SELECT count(*) FROM t"), 4, "closing one leaves the other");
    expect_stock("SELECT count(*) FROM t", "4");
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
    struct aw_sqlite *database = open_with(AW_SQLITE_CREATE);
    run(database, "CREATE TABLE t(v)");
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
    cr_expect_eq(number_of(database, "SELECT count(*) FROM t"), 0);
    cr_assert_eq(write(go[1], "x", 1), 1);
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect_eq(status, 0);
    run(database, "INSERT INTO t VALUES (2)");
    cr_expect_eq(number_of(database, "SELECT sum(v) FROM t"), 3);
    aw_sqlite_close(database);
    close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
    return 0;
}

Test(sqlite_vfs, foreign_process_holds_the_lock)
{
    cr_assert_eq(aw_run(foreign_lock_body, NULL), 0);
}

/* --- crashes --- */

struct crash {
    unsigned flags;
    int report; /* each committed row's number goes there, after the commit has returned */
};

static int crash_body(void *argument)
{
    struct crash *crash = argument;
    struct aw_sqlite *database = NULL;
    struct aw_sqlite_options options = { .flags = crash->flags | AW_SQLITE_CREATE };
    if (aw_sqlite_open(&database, "test.db", &options, NULL) < 0)
        return -EIO;
    if (aw_sqlite_execute(database, "CREATE TABLE IF NOT EXISTS t(i INTEGER PRIMARY KEY, v)",
                          NULL) < 0)
        return -EIO;
    for (int i = 0;; i++) {
        if (aw_sqlite_execute(database,
                              "BEGIN IMMEDIATE; INSERT INTO t(v) VALUES (randomblob(300));"
                              "INSERT INTO t(v) VALUES (randomblob(9000)); COMMIT", NULL) < 0)
            return -EIO;
        int64_t last = sqlite3_last_insert_rowid(aw_sqlite_handle(database));
        if (write(crash->report, &last, sizeof(last)) != sizeof(last))
            return -EIO;
        if (i % 40 == 39 && aw_sqlite_checkpoint(database, i % 80 == 79, NULL) < 0)
            return -EIO;
    }
}

static int verify_body(void *argument)
{
    int64_t acknowledged = *(int64_t *)argument;
    struct aw_sqlite *database = open_with(AW_SQLITE_EXCLUSIVE);
    cr_expect(is_whole(database));
    int64_t last = number_of(database, "SELECT max(i) FROM t");
    cr_expect_geq(last, acknowledged, "acknowledged %lld, found %lld", (long long)acknowledged,
                  (long long)last);
    cr_expect_eq(number_of(database, "SELECT count(*) FROM t"), last,
                 "half a transaction is there");
    cr_expect_eq(last % 2, 0);
    aw_sqlite_close(database);
    return 0;
}

static void crash_once(unsigned flags, unsigned delay_us, int64_t *acknowledged)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        struct crash crash = { .flags = flags, .report = ends[1] };
        _exit(aw_run(crash_body, &crash) < 0);
    }
    close(ends[1]);
    int64_t last;
    cr_assert_eq(read(ends[0], &last, sizeof(last)), (ssize_t)sizeof(last), "the child failed");
    *acknowledged = last;
    usleep(delay_us);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(ends[0], &last, sizeof(last)) == (ssize_t)sizeof(last))
        *acknowledged = last;
    close(ends[0]);
}

static void crash_rounds(unsigned flags)
{
    int64_t acknowledged = 0;
    srand((unsigned)getpid());
    for (int round = 0; round < 8; round++) {
        crash_once(flags, (unsigned)(rand() % 60000), &acknowledged);
        if (round % 2 == 0)
            expect_stock("PRAGMA integrity_check", "ok");
        cr_assert_eq(aw_run(verify_body, &acknowledged), 0);
    }
}

Test(sqlite_vfs, exclusive_survives_kill)
{
    crash_rounds(AW_SQLITE_EXCLUSIVE);
}

Test(sqlite_vfs, shared_survives_kill)
{
    crash_rounds(0);
}

/* --- a full disk --- */

static int full_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = open_with(AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE);
    run(database, "CREATE TABLE t(i INTEGER PRIMARY KEY, v BLOB)");
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
    cr_expect_eq(number_of(database, "SELECT count(*) FROM t"), rows);
    result = aw_sqlite_checkpoint(database, false, &error);
    cr_expect(result == 0 || result == -ENOSPC, "%d %s", result, error.message);
    cr_expect_not(aw_sqlite_failed(database));
    cr_expect(is_whole(database));

    cr_expect_eq(unlink("ballast"), 0);
    cr_expect_eq(aw_sqlite_checkpoint(database, true, &error), 0, "%s", error.message);
    run(database, "INSERT INTO t(v) VALUES (zeroblob(50000))");
    cr_expect_eq(number_of(database, "SELECT count(*) FROM t"), rows + 1);
    cr_expect(is_whole(database));
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
    expect_stock("PRAGMA integrity_check", "ok");
    cr_assert_eq(chdir(".."), 0);
    cr_expect_eq(umount("small"), 0);
}
