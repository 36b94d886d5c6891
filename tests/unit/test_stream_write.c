/* test_stream_write.c - writing: the high-water mark, order, half close, pipes, broken peers. */
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

TestSuite(stream_write, .init = count_descriptors, .fini = expect_all_closed);

static void open_both(struct aw_stream **left, struct aw_stream **right,
                      const struct aw_stream_options *options)
{
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    cr_assert_eq(aw_stream_open(left, ends[0], options), 0);
    cr_assert_eq(aw_stream_open(right, ends[1], options), 0);
}

static int buffered_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, &(struct aw_stream_options){.output_limit_bytes = 8});
    cr_expect_eq(aw_stream_write(left, "12345678", 8), 0);
    cr_expect_eq(aw_stream_pending(left), 8, "up to the mark nothing is sent");
    cr_expect_eq(aw_stream_write(left, "9", 1), 0);
    cr_expect_eq(aw_stream_pending(left), 1, "beyond it the older bytes are");
    cr_expect_eq(aw_stream_write(left, "", 0), 0);
    cr_expect_eq(aw_stream_close(left), 0, "closing sends the rest");
    char *all = NULL;
    size_t size;
    cr_assert_eq(aw_stream_read_to_end(right, 100, &all, &size), 0);
    cr_expect_str_eq(all, "123456789");
    free(all);
    aw_stream_abort(right);
    return 0;
}

Test(stream_write, collects_up_to_the_mark)
{
    cr_assert_eq(aw_run(buffered_body, NULL), 0);
}

static int answer_task(void *argument)
{
    struct aw_stream *stream = argument;
    char *line;
    int taken = aw_stream_read_line(stream, 0, &line, NULL);
    return taken < 0 ? taken : aw_stream_write_all(stream, "answer\n", 7);
}

static int question_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, answer_task, right), 0);
    cr_expect_eq(aw_stream_print(left, "%s\n", "question"), 0);
    char *line = NULL;
    cr_assert_eq(aw_stream_read_line(left, 0, &line, NULL), 7, "the read has sent the question");
    cr_expect_str_eq(line, "answer");
    cr_expect_eq(aw_await(task), 0);
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream_write, a_question_is_out_before_its_answer_is_awaited)
{
    cr_assert_eq(aw_run(question_body, NULL), 0);
}

#define LARGE_BYTES (4u << 20)

static char *make_pattern(void)
{
    char *bytes = malloc(LARGE_BYTES);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        bytes[i] = (char)(i * 31 / 7);
    return bytes;
}

static int write_in_pieces(void *argument)
{
    struct aw_stream *stream = argument;
    char *bytes = make_pattern();
    int result = 0;
    size_t done = 0;
    for (size_t size = 1; done < LARGE_BYTES && result == 0; size = size * 3 % 200003 + 1) {
        if (size > LARGE_BYTES - done)
            size = LARGE_BYTES - done;
        result = aw_stream_write(stream, bytes + done, size);
        done += size;
    }
    free(bytes);
    return result < 0 ? result : aw_stream_end(stream);
}

static int large_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, write_in_pieces, left), 0);
    char *expected = make_pattern();
    char *all = NULL;
    size_t size = 0;
    cr_assert_eq(aw_stream_read_to_end(right, LARGE_BYTES, &all, &size), 0);
    cr_expect_eq(aw_await(task), 0);
    cr_assert_eq(size, LARGE_BYTES);
    cr_expect(memcmp(all, expected, LARGE_BYTES) == 0);
    free(all);
    free(expected);
    cr_expect_eq(aw_stream_write(left, "x", 1), -EPIPE, "after its end");
    cr_expect_eq(aw_stream_end(left), 0, "may be repeated");
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream_write, keeps_the_order_of_small_and_large_writes)
{
    cr_assert_eq(aw_run(large_body, NULL), 0);
}

static int flush_task(void *argument)
{
    return aw_stream_flush(argument);
}

/* The buffer is larger than the kernel's: a flush nobody reads hangs half way. */
static int interrupted_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, &(struct aw_stream_options){.output_limit_bytes = LARGE_BYTES});
    char *bytes = make_pattern();
    cr_expect_eq(aw_stream_write(left, bytes, LARGE_BYTES), 0);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, flush_task, left), 0);
    while (aw_stream_pending(left) == LARGE_BYTES)
        aw_yield();
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    cr_expect_gt(aw_stream_pending(left), 0);
    cr_assert_eq(aw_spawn(&task, flush_task, left), 0);
    char *all = malloc(LARGE_BYTES);
    cr_assert_eq(aw_stream_read_exactly(right, all, LARGE_BYTES), 0);
    cr_expect(memcmp(all, bytes, LARGE_BYTES) == 0, "no byte twice, none lost");
    cr_expect_eq(aw_await(task), 0);
    free(all);
    free(bytes);
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream_write, an_interrupted_flush_goes_on_where_it_was)
{
    cr_assert_eq(aw_run(interrupted_body, NULL), 0);
}

struct large_write {
    struct aw_stream *stream;
    char *bytes;
};

static int write_large(void *argument)
{
    const struct large_write *write = argument;
    return aw_stream_write(write->stream, write->bytes, LARGE_BYTES);
}

static int torn_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    struct large_write write = {left, make_pattern()};
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(20));
    cr_expect_eq(write_large(&write), -ETIME);
    aw_scope_leave(&scope);
    cr_expect_eq(aw_stream_write(left, "x", 1), -ECONNABORTED);
    cr_expect_eq(aw_stream_close(left), -ECONNABORTED);
    aw_stream_abort(right);
    free(write.bytes);
    return 0;
}

Test(stream_write, a_torn_message_ends_the_writing)
{
    cr_assert_eq(aw_run(torn_body, NULL), 0);
}

static int two_writers_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    char *same[2] = {malloc(LARGE_BYTES), malloc(LARGE_BYTES)};
    struct large_write writes[2];
    struct aw_task *tasks[2];
    for (int i = 0; i < 2; i++) {
        memset(same[i], 'a' + i, LARGE_BYTES);
        writes[i] = (struct large_write){left, same[i]};
        cr_assert_eq(aw_spawn(&tasks[i], write_large, &writes[i]), 0);
    }
    char *back = malloc(LARGE_BYTES);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(aw_stream_read_exactly(right, back, LARGE_BYTES), 0);
        cr_expect(memcmp(back, same[i], LARGE_BYTES) == 0, "the writers take turns");
    }
    cr_expect_eq(aw_gather(2, tasks, NULL), 0);
    free(back);
    free(same[0]);
    free(same[1]);
    aw_stream_abort(left);
    aw_stream_abort(right);
    return 0;
}

Test(stream_write, writers_do_not_mix_their_bytes)
{
    cr_assert_eq(aw_run(two_writers_body, NULL), 0);
}

static int gone_body(void *argument)
{
    (void)argument;
    struct aw_stream *left, *right;
    open_both(&left, &right, NULL);
    aw_stream_abort(right);
    cr_expect_eq(aw_stream_write_all(left, "x", 1), -EPIPE);
    cr_expect_eq(aw_stream_write(left, "x", 1), -EPIPE, "the error stays");
    char byte;
    cr_expect_eq(aw_stream_read_some(left, &byte, 1), 0);
    cr_expect_eq(aw_stream_close(left), -EPIPE);
    return 0;
}

Test(stream_write, a_peer_that_is_gone_is_an_error)
{
    cr_assert_eq(aw_run(gone_body, NULL), 0);
}

static int pipe_body(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_pipe(ends), 0);
    struct aw_stream *reader, *writer;
    cr_assert_eq(aw_stream_open_pair(&reader, ends[0], -1, NULL), 0);
    cr_assert_eq(aw_stream_open_pair(&writer, -1, ends[1], NULL), 0);
    cr_expect_eq(aw_stream_write_all(reader, "x", 1), -EBADF);
    char byte;
    cr_expect_eq(aw_stream_read_some(writer, &byte, 1), -EBADF);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_stream_read_some(reader, &byte, 1), -ETIME);
    aw_scope_leave(&scope);
    cr_expect_eq(aw_stream_write(writer, "x", 1), 0);
    cr_expect_eq(aw_stream_end(writer), 0);
    cr_expect_eq(aw_stream_read_some(reader, &byte, 1), 1);
    cr_expect_eq(aw_stream_read_some(reader, &byte, 1), 0, "the end");
    aw_stream_abort(writer);
    cr_expect_eq(aw_stream_close(reader), -EBADF, "what was written to it could not go out");
    return 0;
}

Test(stream_write, goes_through_pipes)
{
    cr_assert_eq(aw_run(pipe_body, NULL), 0);
}

static int broken_pipe_body(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_pipe(ends), 0);
    struct aw_stream *writer;
    cr_assert_eq(aw_stream_open_pair(&writer, -1, ends[1], NULL), 0);
    aw_close(ends[0]);
    cr_expect_eq(aw_stream_write_all(writer, "x", 1), -EPIPE);
    aw_stream_abort(writer);
    return 0;
}

Test(stream_write, a_pipe_nobody_reads_is_an_error_not_a_signal)
{
    cr_assert_eq(aw_run(broken_pipe_body, NULL), 0);
    cr_assert_eq(aw_run(broken_pipe_body, NULL), 0, "in the next loop too");
}
