/* test_sqlite_crash.c - a process killed at any moment: every acknowledged transaction is there,
 * whole, for us and for SQLite's own VFS. */
#include "support/database.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
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

TestSuite(sqlite_crash, .init = enter_folder, .fini = leave_folder, .timeout = 120);

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
    struct aw_sqlite *database = database_open(AW_SQLITE_EXCLUSIVE);
    cr_expect(database_is_whole(database));
    int64_t last = database_number(database, "SELECT max(i) FROM t");
    cr_expect_geq(last, acknowledged, "acknowledged %lld, found %lld", (long long)acknowledged,
                  (long long)last);
    cr_expect_eq(database_number(database, "SELECT count(*) FROM t"), last,
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
    database_patience_ms = 5000;
    srand((unsigned)getpid());
    for (int round = 0; round < 8; round++) {
        crash_once(flags, (unsigned)(rand() % 60000), &acknowledged);
        if (round % 2 == 0)
            stock_expect("PRAGMA integrity_check", "ok");
        cr_assert_eq(aw_run(verify_body, &acknowledged), 0);
    }
}

Test(sqlite_crash, exclusive_survives_kill)
{
    crash_rounds(AW_SQLITE_EXCLUSIVE);
}

Test(sqlite_crash, shared_survives_kill)
{
    crash_rounds(0);
}
