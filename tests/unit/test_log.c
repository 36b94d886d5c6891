/* test_log.c - log lines: form, levels, the task that writes them, and what is dropped. */
#include "admin/log.h"

#include <await.h>

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int output; /* what is written to the standard error output can be read here */

static void redirect(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        abort();
    close(ends[1]);
    output = ends[0];
    if (fcntl(output, F_SETFL, O_NONBLOCK) != 0)
        abort();
    unsetenv("JOURNAL_STREAM");
}

TestSuite(log, .init = redirect);

static const char *written(void)
{
    static char text[4096];
    size_t size = 0;
    ssize_t result;
    while (size + 1 < sizeof text &&
           (result = read(output, text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)result;
    text[size] = '\0';
    return text;
}

Test(log, line_has_time_and_level)
{
    log_line(LOG_LEVEL_WARNING, "target %s is down", "main");
    const char *line = written();
    int year, month, day, hour, minute, second, millisecond, length = 0;
    int fields = sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour,
                        &minute, &second, &millisecond, &length);
    cr_expect_eq(fields, 7);
    cr_expect_str_eq(line + length, "warning: target main is down\n");
}

Test(log, control_characters_cannot_forge_a_line)
{
    log_line(LOG_LEVEL_ERROR, "a\nb\rc\033[1md");
    cr_expect_not_null(strstr(written(), "error: a b c [1md\n"));
}

Test(log, long_line_is_cut)
{
    char text[10001];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_line(LOG_LEVEL_INFO, "%s", text);
    size_t size = strlen(written());
    cr_expect(size > 1900 && size < 2100, "%zu", size);
}

Test(log, level_decides_what_is_written)
{
    log_line(LOG_LEVEL_DEBUG, "hidden");
    cr_expect_str_eq(written(), "");
    log_set_level(LOG_LEVEL_DEBUG);
    log_line(LOG_LEVEL_DEBUG, "shown");
    cr_expect_not_null(strstr(written(), "debug: shown\n"));
    log_set_level(LOG_LEVEL_ERROR);
    log_line(LOG_LEVEL_WARNING, "hidden");
    cr_expect_str_eq(written(), "");
}

Test(log, journal_gets_the_level_in_front)
{
    struct stat status;
    cr_assert_eq(fstat(STDERR_FILENO, &status), 0);
    char stream[64];
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_line(LOG_LEVEL_ERROR, "one");
    log_line(LOG_LEVEL_INFO, "two");
    cr_expect_str_eq(written(), "<3>one\n<6>two\n");
}

Test(log, inherited_journal_stream_of_another_file_is_ignored)
{
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_line(LOG_LEVEL_ERROR, "one");
    cr_expect_not_null(strstr(written(), "Z error: one\n"));
}

static int write_in_task(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    log_start(&group);
    log_line(LOG_LEVEL_INFO, "one");
    log_line(LOG_LEVEL_INFO, "two");
    cr_expect_str_eq(written(), "", "written by the task, not by the caller");
    log_stop();
    const char *text = written();
    const char *one = strstr(text, "info: one\n");
    cr_expect(one && strstr(one, "info: two\n"));
    log_line(LOG_LEVEL_INFO, "three");
    cr_expect_not_null(strstr(written(), "info: three\n"));
    return aw_group_wait(&group);
}

Test(log, task_writes_in_order_and_stop_waits_for_it)
{
    cr_expect_eq(aw_run(write_in_task, NULL), 0);
}

static int flood(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    log_start(&group);
    char text[1000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 200; i++)
        log_line(LOG_LEVEL_INFO, "%.*s", (int)sizeof text, text);
    size_t size = 0;
    bool reported = false;
    while (!reported && aw_poll(output, POLLIN) > 0) {
        const char *part = written();
        size += strlen(part);
        reported = strstr(part, "lines were dropped") != NULL;
    }
    cr_expect(reported);
    cr_expect(size > 60000 && size < 80000, "%zu", size);
    log_stop();
    return aw_group_wait(&group);
}

Test(log, flood_is_bounded_and_what_is_dropped_is_counted, .timeout = 120)
{
    cr_expect_eq(aw_run(flood, NULL), 0);
}

Test(log, fatal_writes_and_ends_the_process)
{
    pid_t child = fork();
    if (child == 0)
        log_fatal("disk %s", "gone");
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 70);
    cr_expect_not_null(strstr(written(), "error: disk gone\n"));
}
