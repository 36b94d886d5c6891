/* test_file_replace.c - whole files: replaced in one step, copied, listed, temporary; and a ticker
 * that goes on while a large one is written and read. */
#include "support/cancel.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

TestSuite(file_replace, .init = enter_folder, .fini = leave_folder);

static void expect_contents(const char *path, const char *text)
{
    char *data = NULL;
    size_t size = 0;
    cr_assert_eq(aw_read_file(path, 1 << 20, &data, &size), 0);
    cr_expect_eq(size, strlen(text));
    cr_expect_str_eq(data, text);
    free(data);
}

static size_t count_files(void)
{
    struct aw_directory directory;
    cr_assert_eq(aw_directory_list(".", 0, &directory), 0);
    size_t count = directory.count;
    aw_directory_free(&directory);
    return count;
}

static int write_body(void *argument)
{
    (void)argument;
    cr_expect_eq(aw_write_file("f", "old", 3, 0640), 0);
    expect_contents("f", "old");
    struct stat status;
    cr_expect_eq(aw_stat("f", &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0640);
    cr_expect_eq(aw_write_file("f", "new contents", 12, 0600), 0);
    expect_contents("f", "new contents");
    cr_expect_eq(aw_write_file("f", NULL, 0, 0600), 0);
    expect_contents("f", "");
    cr_expect_eq(count_files(), 1, "nothing but the file itself");
    cr_expect_eq(aw_write_file("no/f", "x", 1, 0600), -ENOENT);
    cr_expect_eq(aw_make_directory("d", 0700), 0);
    cr_expect_eq(aw_write_file("d", "x", 1, 0600), -EISDIR);
    cr_expect_eq(count_files(), 2, "the temporary file is gone");
    char *long_path = malloc(5000);
    memset(long_path, 'p', 4999);
    long_path[4999] = '\0';
    cr_expect_eq(aw_write_file(long_path, "x", 1, 0600), -ENAMETOOLONG);
    free(long_path);
    return 0;
}

Test(file_replace, writes_whole_files)
{
    (void)umask(0);
    cr_assert_eq(aw_run(write_body, NULL), 0);
}

static int copy_body(void *argument)
{
    (void)argument;
    cr_expect_eq(aw_write_file("from", "contents", 8, 0751), 0);
    cr_expect_eq(aw_write_file("to", "longer than the new ones", 24, 0600), 0);
    cr_expect_eq(aw_copy_file("from", "to"), 0);
    expect_contents("to", "contents");
    struct stat status;
    cr_expect_eq(aw_stat("to", &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0751);
    cr_expect_eq(aw_copy_file("missing", "to"), -ENOENT);
    cr_expect_eq(aw_copy_file(".", "to"), -EISDIR);
    cr_expect_eq(aw_copy_file("/dev/null", "to"), -EINVAL);
    expect_contents("to", "contents");
    cr_expect_eq(aw_copy_file("/proc/self/stat", "to"), 0, "a file whose size is not told");
    cr_expect_eq(aw_stat("to", &status), 0);
    cr_expect_gt(status.st_size, 0);
    cr_expect_eq(count_files(), 2);
    return 0;
}

Test(file_replace, copies_files)
{
    (void)umask(0);
    cr_assert_eq(aw_run(copy_body, NULL), 0);
}

#define LARGE_BYTES ((size_t)5 << 20)

static int replace_and_copy(void *argument)
{
    int result = aw_write_file("f", argument, LARGE_BYTES, 0600);
    return result < 0 ? result : aw_copy_file("f", "g");
}

static int cancel_body(void *argument)
{
    (void)argument;
    char *bytes = malloc(LARGE_BYTES);
    memset(bytes, 'b', LARGE_BYTES);
    cr_expect_geq(cancel_everywhere(replace_and_copy, bytes), 4);
    cr_expect_eq(count_files(), 2, "no temporary file is left");
    free(bytes);
    return 0;
}

Test(file_replace, can_be_cancelled_at_each_turn)
{
    cr_assert_eq(aw_run(cancel_body, NULL), 0);
}

static int list_body(void *argument)
{
    (void)argument;
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "file%03d", 199 - i);
        int fd = aw_open(name, O_WRONLY | O_CREAT, 0600);
        cr_assert_geq(fd, 0);
        aw_close(fd);
    }
    cr_expect_eq(aw_make_directory("a-directory", 0700), 0);
    struct aw_directory directory;
    cr_assert_eq(aw_directory_list(".", 201, &directory), 0);
    cr_assert_eq(directory.count, 201);
    cr_expect_str_eq(directory.entries[0].name, "a-directory");
    cr_expect_eq(directory.entries[0].type, DT_DIR);
    cr_expect_str_eq(directory.entries[1].name, "file000");
    cr_expect_eq(directory.entries[1].type, DT_REG);
    cr_expect_str_eq(directory.entries[200].name, "file199");
    aw_directory_free(&directory);
    cr_expect_eq(directory.count, 0);
    cr_expect_eq(aw_directory_list(".", 200, &directory), -EOVERFLOW);
    cr_expect_eq(aw_directory_list("missing", 0, &directory), -ENOENT);
    cr_expect_eq(aw_directory_list("file000", 0, &directory), -ENOTDIR);
    cr_assert_eq(aw_directory_list("a-directory", 0, &directory), 0);
    cr_expect_eq(directory.count, 0);
    aw_directory_free(&directory);
    return 0;
}

Test(file_replace, lists_directories)
{
    cr_assert_eq(aw_run(list_body, NULL), 0);
}

static int list_task(void *argument)
{
    struct aw_directory directory;
    int result = aw_directory_list(argument, 0, &directory);
    if (result == 0)
        aw_directory_free(&directory);
    return result;
}

static int cancel_list_body(void *argument)
{
    (void)argument;
    static char path[] = ".";
    cr_expect_geq(cancel_everywhere(list_task, path), 1);
    return 0;
}

Test(file_replace, a_listing_can_be_cancelled)
{
    cr_assert_eq(aw_run(cancel_list_body, NULL), 0);
}

static int temporary_body(void *argument)
{
    (void)argument;
    char path[100], other[100], tight[8];
    int fd = aw_temporary_file(".", path, sizeof path);
    cr_assert_geq(fd, 0);
    struct stat status;
    cr_expect_eq(aw_stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    cr_expect_eq(aw_write_all(fd, "x", 1, 0), 0);
    aw_close(fd);
    cr_expect_eq(aw_temporary_directory(".", other, sizeof other), 0);
    cr_expect_eq(aw_stat(other, &status), 0);
    cr_expect(S_ISDIR(status.st_mode));
    cr_expect_str_neq(path, other);
    cr_expect_eq(aw_temporary_file(".", tight, sizeof tight), -ENAMETOOLONG);
    cr_expect_eq(aw_temporary_file("missing", path, sizeof path), -ENOENT);
    cr_expect_eq(count_files(), 2);
    fd = aw_temporary_unnamed(".");
    cr_expect(fd >= 0 || fd == -EOPNOTSUPP, "%d", fd);
    if (fd >= 0) {
        cr_expect_eq(aw_write_all(fd, "x", 1, 0), 0);
        aw_close(fd);
    }
    cr_expect_eq(count_files(), 2);
    return 0;
}

Test(file_replace, makes_temporary_files)
{
    cr_assert_eq(aw_run(temporary_body, NULL), 0);
}

/* --- the ticker ------------------------------------------------------------------------------ */
#define HUGE_BYTES ((size_t)256 << 20)
#define STEP_BYTES_MAX ((size_t)4 << 20) /* more may not move without a turn of the loop */

struct ticker {
    bool stop;
    uint32_t ticks;
};

/* One tick a turn of the loop. */
static int tick(void *argument)
{
    struct ticker *ticker = argument;
    while (!ticker->stop) {
        cr_assert_eq(aw_yield(), 0);
        ticker->ticks++;
    }
    return 0;
}

static int ticker_body(void *argument)
{
    (void)argument;
    char *bytes = malloc(HUGE_BYTES);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < HUGE_BYTES; i += 4096)
        memset(bytes + i, (int)(i >> 12), 4096);
    struct ticker ticker = {0};
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, tick, &ticker), 0);
    cr_expect_eq(aw_write_file("huge", bytes, HUGE_BYTES, 0600), 0);
    uint32_t while_writing = ticker.ticks;
    char *back = NULL;
    size_t size = 0;
    cr_assert_eq(aw_read_file("huge", HUGE_BYTES, &back, &size), 0);
    uint32_t while_reading = ticker.ticks - while_writing;
    ticker.stop = true;
    cr_expect_eq(aw_await(task), 0);
    cr_assert_eq(size, HUGE_BYTES);
    cr_expect(memcmp(back, bytes, HUGE_BYTES) == 0);
    cr_expect_geq(while_writing, HUGE_BYTES / STEP_BYTES_MAX, "%u turns while it is written",
                  while_writing);
    cr_expect_geq(while_reading, HUGE_BYTES / STEP_BYTES_MAX, "%u turns while it is read",
                  while_reading);
    free(back);
    free(bytes);
    return 0;
}

Test(file_replace, a_ticker_goes_on_while_a_quarter_of_a_gigabyte_moves)
{
    cr_assert_eq(aw_run(ticker_body, NULL), 0);
}
