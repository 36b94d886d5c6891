/* test_file.c - files on the ring: results, errors, interruption, and that no descriptor is left
 * behind. */
#include "support/process.h"
#include "support/valgrind.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

TestSuite(file, .init = enter_folder, .fini = leave_folder);

static void put_file(const char *name, size_t size)
{
    FILE *file = fopen(name, "w");
    for (size_t i = 0; i < size; i++)
        fputc('a' + (int)(i % 26), file);
    fclose(file);
}

static int write_read_body(void *argument)
{
    (void)argument;
    int fd = aw_open("data", O_RDWR | O_CREAT | O_EXCL, 0640);
    cr_expect_geq(fd, 0);
    cr_expect_neq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    cr_expect_eq(aw_write_all(fd, "hello, ", 7, AW_AT_POSITION), 0);
    cr_expect_eq(aw_write_all(fd, "world", 5, AW_AT_POSITION), 0);
    cr_expect_eq(aw_write_durable(fd, "W", 1, 7), 1);
    char text[13] = "";
    cr_expect_eq(aw_read_exactly(fd, text, 12, 0), 0);
    cr_expect_str_eq(text, "hello, World");
    cr_expect_eq(aw_read(fd, text, 12, 7), 5, "a read at the end is short");
    cr_expect_eq(aw_read(fd, text, 12, 100), 0);
    cr_expect_eq(aw_read_exactly(fd, text, 12, 7), -ENODATA);
    cr_expect_eq(aw_read_exactly(fd, text, 0, 100), 0);
    cr_expect_eq(aw_sync(fd, true), 0);
    cr_expect_eq(aw_sync(fd, false), 0);
    cr_expect_eq(aw_truncate(fd, 5), 0);
    struct stat status;
    cr_expect_eq(aw_stat_fd(fd, &status), 0);
    cr_expect_eq(status.st_size, 5);
    cr_expect_eq(aw_close(fd), 0);
    cr_expect_eq(aw_close(fd), -EBADF);
    return 0;
}

Test(file, writes_and_reads_back)
{
    cr_assert_eq(aw_run(write_read_body, NULL), 0);
}

static int reserve_body(void *argument)
{
    (void)argument;
    int fd = aw_open("data", O_RDWR | O_CREAT, 0600);
    int result = aw_reserve_space(fd, 0, 1 << 20);
    if (result != -EOPNOTSUPP) {
        struct stat status;
        cr_expect_eq(result, 0);
        cr_expect_eq(aw_stat_fd(fd, &status), 0);
        cr_expect_eq(status.st_size, 0, "the size stays");
        cr_expect_geq(status.st_blocks, (1 << 20) / 512);
    }
    cr_expect_eq(aw_close(fd), 0);
    return 0;
}

Test(file, reserves_space_without_changing_the_size)
{
    cr_assert_eq(aw_run(reserve_body, NULL), 0);
}

static int stat_body(void *argument)
{
    (void)argument;
    put_file("data", 9000);
    struct stat expected, got;
    memset(&got, 0, sizeof got);
    cr_expect_eq(stat("data", &expected), 0);
    cr_expect_eq(aw_stat("data", &got), 0);
    cr_expect_eq(got.st_dev, expected.st_dev);
    cr_expect_eq(got.st_ino, expected.st_ino);
    cr_expect_eq(got.st_mode, expected.st_mode);
    cr_expect_eq(got.st_nlink, expected.st_nlink);
    cr_expect_eq(got.st_uid, expected.st_uid);
    cr_expect_eq(got.st_size, expected.st_size);
    cr_expect_eq(got.st_blocks, expected.st_blocks);
    cr_expect_eq(got.st_mtim.tv_sec, expected.st_mtim.tv_sec);
    cr_expect_eq(got.st_mtim.tv_nsec, expected.st_mtim.tv_nsec);
    cr_expect_eq(stat("/dev/null", &expected), 0);
    cr_expect_eq(aw_stat("/dev/null", &got), 0);
    cr_expect_eq(got.st_rdev, expected.st_rdev);
    return 0;
}

Test(file, tells_what_stat_tells)
{
    cr_assert_eq(aw_run(stat_body, NULL), 0);
}

static int names_body(void *argument)
{
    (void)argument;
    struct stat status;
    put_file("one", 1);
    cr_expect_eq(aw_make_directory("sub", 0700), 0);
    cr_expect_eq(aw_make_directory("sub", 0700), -EEXIST);
    cr_expect_eq(aw_rename("one", "sub/two"), 0);
    cr_expect_eq(aw_stat("one", &status), -ENOENT);
    cr_expect_eq(aw_rename("one", "two"), -ENOENT);
    cr_expect_eq(aw_sync_directory_of("sub/two"), 0);
    cr_expect_eq(aw_sync_directory_of("two"), 0, "no slash: the current folder");
    cr_expect_eq(aw_sync_directory_of("/two"), 0);
    cr_expect_eq(aw_sync_directory_of("missing/two"), -ENOENT);
    cr_expect_eq(aw_sync_directory_of("sub/two/three"), -ENOTDIR);
    cr_expect_eq(aw_unlink("sub/two"), 0);
    cr_expect_eq(aw_unlink("sub/two"), -ENOENT);
    return 0;
}

Test(file, renames_removes_and_makes_folders)
{
    cr_assert_eq(aw_run(names_body, NULL), 0);
}

static int errors_body(void *argument)
{
    (void)argument;
    char byte = 0;
    struct stat status = {.st_size = 77};
    cr_expect_eq(aw_open("missing", O_RDONLY, 0), -ENOENT);
    cr_expect_eq(aw_open(".", O_WRONLY, 0), -EISDIR);
    cr_expect_eq(aw_stat("missing", &status), -ENOENT);
    cr_expect_eq(status.st_size, 77, "untouched on failure");
    cr_expect_eq(aw_read(-1, &byte, 1, 0), -EBADF);
    cr_expect_eq(aw_write(-1, &byte, 1, 0), -EBADF);
    cr_expect_eq(aw_sync(-1, false), -EBADF);
    cr_expect_eq(aw_truncate(-1, 0), -EBADF);
    uint64_t bytes = 5;
    cr_expect_eq(aw_disk_free("missing", &bytes), -ENOENT);
    cr_expect_eq(bytes, 5);
    cr_expect_eq(aw_disk_free(".", &bytes), 0);
    cr_expect_gt(bytes, 4096);
    int fd = aw_open("/dev/full", O_WRONLY, 0);
    cr_expect_eq(aw_write_all(fd, &byte, 1, AW_AT_POSITION), -ENOSPC);
    cr_expect_eq(aw_close(fd), 0);
    return 0;
}

Test(file, gives_the_system_calls_errors)
{
    cr_assert_eq(aw_run(errors_body, NULL), 0);
}

static void expect_whole(const char *name, size_t limit, size_t size)
{
    char *data = NULL;
    size_t got = SIZE_MAX;
    int result = aw_read_file(name, limit, &data, &got);
    cr_expect_eq(result, 0, "%s, limit %zu: %d", name, limit, result);
    if (result < 0)
        return;
    cr_expect_eq(got, size);
    cr_expect_eq(data[got], '\0');
    for (size_t i = 0; i < got; i += 511)
        cr_expect_eq(data[i], 'a' + (int)(i % 26));
    free(data);
}

static void expect_no_file(const char *name, size_t limit, int error)
{
    char *data = NULL;
    size_t got = 3;
    cr_expect_eq(aw_read_file(name, limit, &data, &got), error, "%s, limit %zu", name, limit);
    cr_expect_null(data);
    cr_expect_eq(got, 3);
}

static int whole_body(void *argument)
{
    (void)argument;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 8192, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        put_file("data", sizes[i]);
        expect_whole("data", sizes[i], sizes[i]);
        expect_whole("data", sizes[i] + 1, sizes[i]);
        expect_whole("data", SIZE_MAX, sizes[i]);
        if (sizes[i] > 0)
            expect_no_file("data", sizes[i] - 1, -EFBIG);
    }
    expect_no_file("missing", 10, -ENOENT);
    expect_no_file(".", 10, -EISDIR);
    return 0;
}

Test(file, reads_whole_files_up_to_the_limit)
{
    cr_assert_eq(aw_run(whole_body, NULL), 0);
}

static int proc_body(void *argument)
{
    (void)argument;
    char *data = NULL;
    size_t size = 0;
    cr_expect_eq(aw_read_file("/proc/self/status", 1 << 20, &data, &size), 0);
    cr_expect_gt(size, 100, "stat(2) says 0 for it");
    cr_expect_eq(strncmp(data, "Name:", 5), 0);
    cr_expect_eq(strlen(data), size);
    free(data);
    expect_no_file("/proc/self/status", 99, -EFBIG);
    return 0;
}

Test(file, reads_files_whose_size_is_not_known)
{
    cr_assert_eq(aw_run(proc_body, NULL), 0);
}

/* --- interruption ---------------------------------------------------------------------------- */
struct pipe_reader {
    int ends[2];
    char byte;
};

static int read_pipe(void *argument)
{
    struct pipe_reader *reader = argument;
    return aw_read(reader->ends[0], &reader->byte, 1, AW_AT_POSITION);
}

static int cancel_read_body(void *argument)
{
    (void)argument;
    struct pipe_reader reader = {.byte = '-'};
    cr_expect_eq(pipe2(reader.ends, O_CLOEXEC), 0);
    struct aw_task *task;
    if (aw_spawn(&task, read_pipe, &reader) < 0)
        return -1;
    aw_yield();
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);

    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(read_pipe(&reader), -ETIME);
    cr_expect_eq(read_pipe(&reader), -ETIME);
    aw_scope_leave(&scope);

    cr_expect_eq(aw_write_all(reader.ends[1], "x", 1, AW_AT_POSITION), 0);
    cr_expect_eq(read_pipe(&reader), 1, "an interrupted read takes nothing");
    cr_expect_eq(reader.byte, 'x');
    aw_close(reader.ends[0]);
    cr_expect_eq(aw_close(reader.ends[1]), 0);
    return 0;
}

Test(file, an_interrupted_read_loses_nothing)
{
    cr_assert_eq(aw_run(cancel_read_body, NULL), 0);
}

static int interrupted_calls(void *argument)
{
    (void)argument;
    int fd = aw_open("data", O_RDWR | O_CREAT, 0600);
    aw_cancel(aw_current());
    char byte = 0;
    struct stat status;
    uint64_t bytes;
    cr_expect_eq(aw_open("data", O_RDONLY, 0), -ECANCELED);
    cr_expect_eq(aw_read(fd, &byte, 1, 0), -ECANCELED);
    cr_expect_eq(aw_write_all(fd, &byte, 1, 0), -ECANCELED);
    cr_expect_eq(aw_sync(fd, true), -ECANCELED);
    cr_expect_eq(aw_truncate(fd, 10), -ECANCELED);
    cr_expect_eq(aw_stat("data", &status), -ECANCELED);
    cr_expect_eq(aw_disk_free(".", &bytes), -ECANCELED);
    cr_expect_eq(aw_unlink("data"), -ECANCELED);
    cr_expect_eq(aw_sync_directory_of("data"), -ECANCELED);
    expect_no_file("data", 10, -ECANCELED);
    return aw_close(fd);
}

Test(file, a_cancelled_task_still_closes)
{
    cr_assert_eq(aw_run(interrupted_calls, NULL), 0);
    cr_assert_eq(access("data", F_OK), 0);
}

static int read_whole(void *argument)
{
    (void)argument;
    char *data = NULL;
    size_t size;
    int result = aw_read_file("data", 1 << 20, &data, &size);
    if (result == 0)
        free(data);
    return result;
}

/* Cancels a whole-file read after 0, 1, 2 ... turns of the loop, until one gets through. */
static int cancel_everywhere_body(void *argument)
{
    (void)argument;
    put_file("data", 100000);
    int descriptors = open_descriptors();
    int result = -ECANCELED;
    int turns = 0;
    for (; turns < 1000 && result != 0; turns++) {
        struct aw_task *task;
        if (aw_spawn(&task, read_whole, NULL) < 0)
            return -1;
        for (int i = 0; i < turns; i++)
            aw_yield();
        aw_cancel(task);
        result = aw_await(task);
        cr_expect(result == 0 || result == -ECANCELED, "%d", result);
        cr_expect_eq(open_descriptors(), descriptors, "leaked after %d turns", turns);
    }
    cr_expect_gt(turns, 1);
    return result;
}

Test(file, a_read_cancelled_anywhere_leaves_nothing_open)
{
    cr_assert_eq(aw_run(cancel_everywhere_body, NULL), 0);
}

static int no_descriptors_body(void *argument)
{
    (void)argument;
    put_file("data", 10);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    int opened = aw_open("data", O_RDONLY, 0);
    int whole = read_whole(NULL);
    int synced = aw_sync_directory_of("data");
    setrlimit(RLIMIT_NOFILE, &before);
    cr_expect_eq(opened, -EMFILE);
    cr_expect_eq(whole, -EMFILE);
    cr_expect_eq(synced, -EMFILE);
    return read_whole(NULL);
}

Test(file, works_again_after_descriptors_had_run_out)
{
    NEEDS_A_LIMIT_OF_DESCRIPTORS();
    cr_assert_eq(aw_run(no_descriptors_body, NULL), 0);
}
