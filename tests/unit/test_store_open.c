/* test_store_open.c - what the store refuses to open, with a reason that helps, and a full disk. */
#include "support/store_stage.h"

#include "queue/store_schema.h"

#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(store_open, .init = stage_enter_folder, .fini = stage_leave_folder, .timeout = 120);

/* --- what cannot be opened ---------------------------------------------------------- */

static void execute(const char *sql)
{
    struct aw_sqlite *database;
    struct aw_sqlite_options options = {.flags = AW_SQLITE_CREATE};
    struct aw_error error = {0};
    cr_assert_eq(aw_sqlite_open(&database, "queue.db", &options, &error), 0, "%s", error.message);
    cr_assert_eq(aw_sqlite_execute(database, sql, &error), 0, "%s", error.message);
    cr_assert_eq(aw_sqlite_close(database), 0);
}

static void expect_refused(int number, const char *words)
{
    struct aw_error error;
    cr_expect_eq(stage_open_at(".", &error), number, "%s", error.message);
    cr_expect_not_null(strstr(error.message, words), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "queue.db"), "%s", error.message);
    cr_expect_null(store);
}

static void newer_schema(void)
{
    stage_open();
    stage_close();
    execute("PRAGMA user_version = 1000");
    expect_refused(-EINVAL, "newer awaitd");
    char back[64];
    (void)snprintf(back, sizeof back, "PRAGMA user_version = %d", STORE_SCHEMA_VERSION);
    execute(back);
    stage_open();
    stage_close();
}

Test(store_open, a_newer_schema_is_refused)
{
    stage_run(newer_schema);
}

static void first_version(void)
{
    execute(store_migrations[0]);
    execute("INSERT INTO lane (id, queue, target, ready, done) "
            "VALUES (1, 'default', 'local', 1, 1)");
    execute("INSERT INTO job VALUES (7, 1, 2, 1024, NULL, 0, 3, 0, NULL, NULL, 0, 0, 0, 0, 0, "
            "NULL, NULL, NULL, x'010000000100000041')");
    execute("INSERT INTO job VALUES (8, 1, 4, 1024, 99, 1, 3, 0, NULL, 50, 0, 0, 0, 0, 0, "
            "NULL, NULL, NULL, x'010000000100000041')");
    execute("PRAGMA user_version = 1");
    char owner[64];
    (void)snprintf(owner, sizeof owner, "PRAGMA application_id = %d", STORE_APPLICATION_ID);
    execute(owner);
    stage_open();
    const struct lane *lane = &lanes[0];
    cr_expect_eq(lane->counts[JOB_READY], 1);
    cr_expect_eq(lane->bytes, 9, "that of the finished job is not counted");
    stage_insert_batch(100, 20); /* with all columns of today */
    stage_close();
}

Test(store_open, an_earlier_schema_is_migrated)
{
    stage_run(first_version);
}

static void foreign_database(void)
{
    execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY)");
    expect_refused(-EINVAL, "some other SQLite database");
    execute("PRAGMA user_version = 1");
    expect_refused(-EINVAL, "some other SQLite database");
}

Test(store_open, a_foreign_database_is_refused)
{
    stage_run(foreign_database);
}

static void overwrite(off_t offset, size_t size)
{
    int fd = open("queue.db", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    char noise[8192];
    memset(noise, 0xa5, sizeof noise);
    cr_assert_leq(size, sizeof noise);
    cr_assert_eq(pwrite(fd, noise, size, offset), (ssize_t)size);
    close(fd);
}

static void no_database(void)
{
    overwrite(0, 5000);
    expect_refused(-EBADMSG, "not a database");
}

Test(store_open, a_file_that_is_no_database_is_refused)
{
    stage_run(no_database);
}

static void damaged_database(void)
{
    stage_open();
    stage_insert_batch(1, 500);
    stage_close();
    struct stat status;
    cr_assert_eq(stat("queue.db", &status), 0);
    overwrite(status.st_size / 4096 / 2 * 4096, 4096);
    expect_refused(-EBADMSG, "restore a backup");
}

Test(store_open, a_damaged_database_is_refused)
{
    stage_run(damaged_database);
}

static void open_elsewhere(int ready, int end)
{
    stage_open();
    char byte = 'r';
    if (write(ready, &byte, 1) != 1 || read(end, &byte, 1) < 0)
        _exit(1);
    stage_close();
}

static int pipes[2][2];

static void hold_open(void)
{
    open_elsewhere(pipes[0][1], pipes[1][0]);
}

static void locked(void)
{
    expect_refused(-EBUSY, "locked by another process");
}

Test(store_open, a_store_another_process_has_open_is_refused)
{
    cr_assert_eq(pipe(pipes[0]), 0);
    cr_assert_eq(pipe(pipes[1]), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        stage_run(hold_open);
        _exit(0);
    }
    char byte;
    cr_assert_eq(read(pipes[0][0], &byte, 1), 1);
    stage_run(locked);
    cr_assert_eq(write(pipes[1][1], "e", 1), 1);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void missing_folder(void)
{
    struct aw_error error;
    cr_expect_eq(stage_open_at("./no-such-folder", &error), -ENOENT, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "no-such-folder/queue.db"), "%s", error.message);
}

Test(store_open, a_missing_folder_is_named)
{
    stage_run(missing_folder);
}

/* --- a full disk -------------------------------------------------------------------- */

static int insert_large(uint64_t id, char *data, uint32_t size)
{
    struct argument argument = {.data = data, .size = size};
    struct job *job = job_new(&argument, 1);
    cr_assert_not_null(job);
    job->id = id;
    job->lane = &lanes[0];
    job->state = JOB_READY;
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    struct aw_error error = {0};
    int result = store_begin(store, &error);
    if (result == 0)
        result = store_apply(store, &change, &error);
    if (result == 0)
        result = store_commit(store, &error);
    if (result == -ENOSPC)
        cr_expect_not_null(strstr(error.message, "full"), "%s", error.message);
    job_free(job);
    return result;
}

static void full_disk(void)
{
    stage_open();
    static char data[200000];
    memset(data, 'x', sizeof data);
    uint64_t id = 0;
    int result;
    while ((result = insert_large(++id, data, sizeof data)) == 0)
        cr_assert_leq(id, 100, "the disk never fills");
    cr_assert_eq(result, -ENOSPC);
    cr_assert_eq(store_roll_back(store, NULL), 0);
    cr_expect_eq(lanes[0].counts[JOB_READY], (int64_t)id - 1);
    struct stored_job row;
    cr_expect_eq(store_read_job(store, id, stage_copy_row, &row, NULL), -ENOENT);
    cr_expect_eq(store_read_job(store, id - 1, stage_copy_row, &row, NULL), 0);
    cr_assert_eq(unlink("ballast"), 0);
    cr_expect_eq(insert_large(id, data, sizeof data), 0);
    stage_check_counts();
    cr_expect_eq(lanes[0].counts[JOB_READY], (int64_t)id);
    stage_close();
}

Test(store_open, a_full_disk_refuses_the_batch_and_nothing_else)
{
    if (mkdir("small", 0700) != 0 || mount("none", "small", "tmpfs", 0, "size=16m") != 0)
        cr_skip_test("needs to mount a small file system");
    cr_assert_eq(chdir("small"), 0);
    int ballast = open("ballast", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(posix_fallocate(ballast, 0, 12 << 20), 0);
    close(ballast);
    stage_run(full_disk);
    cr_assert_eq(chdir(".."), 0);
    cr_expect_eq(umount("small"), 0);
}
