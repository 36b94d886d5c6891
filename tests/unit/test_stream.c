/* test_stream.c - reading: lines, delimiters, exact sizes, ends, limits, interruption. */
#include "support/cancel.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int descriptors_before;

static void count_descriptors(void)
{
    descriptors_before = open_descriptors();
}

static void expect_all_closed(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
}

TestSuite(stream, .init = count_descriptors, .fini = expect_all_closed);

static void open_both(struct aw_stream **left, struct aw_stream **right,
                      const struct aw_stream_options *options)
{
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    cr_assert_eq(aw_stream_open(left, ends[0], options), 0);
    cr_assert_eq(aw_stream_open(right, ends[1], options), 0);
}

static void say(struct aw_stream *stream, const char *text)
{
    cr_assert_eq(aw_stream_write_all(stream, text, strlen(text)), 0);
}

static void expect_line(struct aw_stream *stream, int taken, const char *text)
{
    char *line = NULL;
    size_t size = 0;
    cr_assert_eq(aw_stream_read_line(stream, 0, &line, &size), taken);
    cr_assert_eq(size, strlen(text));
    cr_assert_str_eq(line, text);
}

static int lines_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    say(left, "one\ntwo\r\n\n\r\nlast");
    cr_expect_eq(aw_stream_end(left), 0);
    expect_line(right, 4, "one");
    expect_line(right, 5, "two");
    expect_line(right, 1, "");
    expect_line(right, 2, "");
    expect_line(right, 4, "last");
    char *line;
    cr_expect_eq(aw_stream_read_line(right, 0, &line, NULL), 0, "the end");
    cr_expect(aw_stream_at_end(right));
    aw_stream_abort(left);
    cr_expect_eq(aw_stream_close(right), 0);
    return 0;
}

Test(stream, reads_lines)
{
    cr_assert_eq(aw_run(lines_body, NULL), 0);
}

static int bound_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    say(left, "0123456789\nrest");
    char *line;
    cr_expect_eq(aw_stream_read_line(right, 10, &line, NULL), -EMSGSIZE, "its end is the 11th");
    cr_expect_eq(aw_stream_buffered(right), 15, "nothing is taken");
    cr_expect_eq(aw_stream_read_line(right, 11, &line, NULL), 11);
    char text[8] = "";
    cr_expect_eq(aw_stream_read_some(right, text, sizeof text), 4);
    cr_expect_str_eq(text, "rest");
    cr_expect_eq(aw_stream_read_some(right, text, 0), -EINVAL);
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream, a_line_has_a_bound)
{
    cr_assert_eq(aw_run(bound_body, NULL), 0);
}

static int limit_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, &(struct aw_stream_options){.input_limit_bytes = 5000});
    char bytes[6000];
    memset(bytes, 'x', sizeof bytes);
    cr_expect_eq(aw_stream_write_all(left, bytes, sizeof bytes), 0);
    char *line;
    cr_expect_eq(aw_stream_read_line(right, 0, &line, NULL), -EMSGSIZE);
    cr_expect_eq(aw_stream_buffered(right), 5000);
    char back[6000] = "";
    cr_expect_eq(aw_stream_read_exactly(right, back, sizeof back), 0, "above the limit: directly");
    cr_expect_arr_eq(back, bytes, sizeof bytes);
    aw_stream_abort(left);
    cr_expect_eq(aw_stream_read_exactly(right, back, 1), -ENODATA);
    aw_stream_abort(right);
    return 0;
}

Test(stream, the_input_buffer_has_a_limit)
{
    cr_assert_eq(aw_run(limit_body, NULL), 0);
}

static int say_slowly(void *argument)
{
    struct aw_stream *stream = argument;
    for (const char *at = "head\r\n\r\nbody"; *at != '\0'; at++) {
        cr_expect_eq(aw_stream_write_all(stream, at, 1), 0);
        aw_yield();
        aw_yield();
    }
    return aw_stream_end(stream);
}

static int until_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, say_slowly, left), 0);
    const char *head;
    cr_expect_eq(aw_stream_read_until(right, "", 0, 0, &head), -EINVAL);
    cr_assert_eq(aw_stream_read_until(right, "\r\n\r\n", 4, 0, &head), 8);
    cr_expect_arr_eq(head, "head\r\n\r\n", 8);
    cr_expect_eq(aw_stream_read_until(right, "\r\n\r\n", 4, 0, &head), -ENODATA);
    char body[5] = "";
    cr_expect_eq(aw_stream_read_exactly(right, body, 5), -ENODATA, "only four");
    cr_expect_eq(aw_stream_read_exactly(right, body, 4), 0, "which are still there");
    cr_expect_str_eq(body, "body");
    cr_expect_eq(aw_stream_read_until(right, "\n", 1, 0, &head), 0);
    cr_expect_eq(aw_await(task), 0);
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream, finds_a_delimiter_that_comes_in_pieces)
{
    cr_assert_eq(aw_run(until_body, NULL), 0);
}

static int to_end_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    say(left, "line\n0123456789");
    cr_expect_eq(aw_stream_end(left), 0);
    expect_line(right, 5, "line");
    char *data = NULL;
    size_t size = 0;
    cr_assert_eq(aw_stream_read_to_end(right, 10, &data, &size), 0);
    cr_expect_eq(size, 10);
    cr_expect_str_eq(data, "0123456789");
    free(data);
    say(right, "0123456789a");
    cr_expect_eq(aw_stream_end(right), 0);
    cr_expect_eq(aw_stream_read_to_end(left, 10, &data, &size), -EFBIG);
    cr_expect_eq(aw_stream_read_some(left, &size, 1), -ECONNABORTED, "there is a hole");
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream, reads_to_the_end_within_a_bound)
{
    cr_assert_eq(aw_run(to_end_body, NULL), 0);
}

static int read_line_task(void *argument)
{
    char *line;
    return aw_stream_read_line(argument, 0, &line, NULL);
}

static int interrupted_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    say(left, "par");
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, read_line_task, right), 0);
    while (aw_stream_buffered(right) < 3)
        aw_yield();
    char byte;
    cr_expect_eq(aw_stream_read_some(right, &byte, 1), -EBUSY, "another task reads");
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(read_line_task(right), -ETIME);
    aw_scope_leave(&scope);
    say(left, "tial\n");
    expect_line(right, 8, "partial");
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream, an_interrupted_read_loses_nothing)
{
    cr_assert_eq(aw_run(interrupted_body, NULL), 0);
}

static int read_large(void *argument)
{
    char bytes[9000];
    return aw_stream_read_exactly(argument, bytes, sizeof bytes);
}

static int hole_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, &(struct aw_stream_options){.input_limit_bytes = 8});
    say(left, "some");
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, read_large, right), 0);
    for (int i = 0; i < 8; i++)
        aw_yield();
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    char byte;
    cr_expect_eq(aw_stream_read_some(right, &byte, 1), -ECONNABORTED);
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream, lost_bytes_are_told_of)
{
    cr_assert_eq(aw_run(hole_body, NULL), 0);
}

static int converse(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    int ends[2];
    int result = aw_socket_pair(SOCK_STREAM, ends);
    if (result < 0)
        return result;
    cr_assert_eq(aw_stream_open(&left, ends[0], NULL), 0);
    cr_assert_eq(aw_stream_open(&right, ends[1], NULL), 0);
    struct aw_task *task;
    result = aw_spawn(&task, read_line_task, right);
    if (result == 0) {
        aw_yield();
        result = aw_stream_print(left, "%s %d\n", "line", 1);
        if (result == 0)
            result = aw_stream_flush(left);
        if (result < 0)
            aw_cancel(task);
        int taken = aw_await(task);
        if (result == 0)
            result = taken < 0 ? taken : 0;
    }
    int closed = aw_stream_close(left);
    aw_stream_abort(right);
    return result < 0 ? result : closed;
}

static int cancel_body(void *argument)
{
    (void)argument;
    cr_expect_geq(cancel_everywhere(converse, NULL), 2);
    return 0;
}

Test(stream, can_be_cancelled_at_each_turn)
{
    cr_assert_eq(aw_run(cancel_body, NULL), 0);
}

static int misuse_body(void *argument)
{
    (void)argument;
    struct aw_stream *stream = NULL;
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    struct aw_stream_options large = {.input_limit_bytes = SIZE_MAX};
    cr_expect_eq(aw_stream_open(&stream, ends[0], &large), -EINVAL);
    cr_expect_eq(aw_stream_open_pair(&stream, -1, -1, NULL), -EBADF);
    aw_close(ends[0]);
    cr_expect_eq(aw_stream_open(&stream, ends[0], NULL), -EBADF);
    cr_expect_null(stream);
    aw_close(ends[1]);
    cr_expect_eq(aw_stream_close(NULL), 0);
    aw_stream_abort(NULL);
    struct aw_error error = {0};
    cr_expect_eq(aw_stream_connect_unix(&stream, "/nowhere/at/all", NULL, &error), -ENOENT);
    cr_expect_str_not_empty(error.message);
    return 0;
}

Test(stream, misuse_is_an_error)
{
    cr_assert_eq(aw_run(misuse_body, NULL), 0);
}
