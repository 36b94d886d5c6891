/* test_unix_socket.c - descriptors and credentials in messages, and that no descriptor is left. */
#include "support/cancel.h"
#include "support/process.h"
#include "support/valgrind.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int descriptors_before;

static void count_descriptors(void)
{
    descriptors_before = open_descriptors();
}

static void expect_all_closed(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
}

TestSuite(unix_socket, .init = count_descriptors, .fini = expect_all_closed);

static void close_pair(const int ends[2])
{
    aw_close(ends[0]);
    aw_close(ends[1]);
}

static int pass_body(void *argument)
{
    (void)argument;
    int ends[2], inner[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    cr_assert_eq(aw_pipe(inner), 0);
    cr_assert_eq(aw_unix_send(ends[0], "two", 3, inner, 2), 3);
    close_pair(inner);
    char text[8] = "";
    struct aw_message message;
    cr_assert_eq(aw_unix_receive(ends[1], text, sizeof text, 2, &message), 3);
    cr_expect_str_eq(text, "two");
    cr_assert_eq(message.descriptor_count, 2);
    cr_expect_not(message.has_credentials);
    cr_expect_neq(fcntl(message.descriptors[0], F_GETFD) & FD_CLOEXEC, 0);
    cr_expect_eq(aw_write(message.descriptors[1], "x", 1, AW_AT_POSITION), 1);
    cr_expect_eq(aw_read(message.descriptors[0], text, 8, AW_AT_POSITION), 1);
    close_pair(message.descriptors);
    aw_close(ends[0]);
    cr_expect_eq(aw_unix_receive(ends[1], text, sizeof text, 2, &message), 0, "the end");
    aw_close(ends[1]);
    return 0;
}

Test(unix_socket, passes_descriptors)
{
    cr_assert_eq(aw_run(pass_body, NULL), 0);
}

static int surplus_body(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_DGRAM, ends), 0);
    int many[AW_DESCRIPTORS_MAX];
    for (int i = 0; i < AW_DESCRIPTORS_MAX; i++)
        many[i] = ends[0];
    char byte;
    struct aw_message message = {.descriptor_count = 77};
    int before = open_descriptors();
    cr_expect_eq(aw_unix_send(ends[0], "x", 1, many, AW_DESCRIPTORS_MAX), 1);
    cr_expect_eq(aw_unix_receive(ends[1], &byte, 1, 1, &message), -ETOOMANYREFS);
    cr_expect_eq(message.descriptor_count, 77, "untouched");
    cr_expect_eq(open_descriptors(), before);
    cr_expect_eq(aw_unix_send(ends[0], "long", 4, many, 1), 4);
    cr_expect_eq(aw_unix_receive(ends[1], &byte, 1, 1, &message), 1);
    cr_expect(message.truncated);
    cr_expect_eq(message.descriptor_count, 1);
    aw_close(message.descriptors[0]);
    cr_expect_eq(aw_unix_send(ends[0], "x", 1, many, AW_DESCRIPTORS_MAX + 1), -EINVAL);
    cr_expect_eq(aw_unix_receive(ends[1], &byte, 1, -1, &message), -EINVAL);
    int wrong = -1;
    cr_expect_eq(aw_unix_send(ends[0], "x", 1, &wrong, 1), -EBADF);
    close_pair(ends);
    return 0;
}

Test(unix_socket, closes_what_is_too_much)
{
    cr_assert_eq(aw_run(surplus_body, NULL), 0);
}

static int full_body(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    int three[3] = {ends[0], ends[0], ends[0]};
    cr_expect_eq(aw_unix_send(ends[0], "x", 1, three, 3), 1);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int next = dup(ends[0]);
    aw_close(next);
    struct rlimit tight = {(rlim_t)next + 1, limit.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    char byte;
    struct aw_message message;
    cr_expect_eq(aw_unix_receive(ends[1], &byte, 1, 3, &message), -EMFILE);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close_pair(ends);
    return 0;
}

Test(unix_socket, keeps_none_when_the_process_is_full)
{
    NEEDS_A_LIMIT_OF_DESCRIPTORS();
    cr_assert_eq(aw_run(full_body, NULL), 0);
}

static int credentials_body(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_DGRAM, ends), 0);
    cr_assert_eq(aw_unix_ask_credentials(ends[1]), 0);
    cr_expect_eq(aw_unix_send(ends[0], "x", 1, &ends[0], 1), 1);
    char byte;
    struct aw_message message;
    cr_assert_eq(aw_unix_receive(ends[1], &byte, 1, 1, &message), 1);
    cr_expect(message.has_credentials);
    cr_expect_eq(message.credentials.pid, getpid());
    cr_expect_eq(message.credentials.uid, geteuid());
    cr_expect_eq(message.credentials.gid, getegid());
    cr_assert_eq(message.descriptor_count, 1);
    aw_close(message.descriptors[0]);
    close_pair(ends);
    return 0;
}

Test(unix_socket, says_who_sent_a_message)
{
    cr_assert_eq(aw_run(credentials_body, NULL), 0);
}

static int send_later(void *argument)
{
    int *ends = argument;
    for (int i = 0; i < 4; i++)
        aw_yield();
    int sent = aw_unix_send(ends[0], "x", 1, ends, 2);
    return sent < 0 ? sent : 0;
}

/* The message may come in the very turn in which its receiver is cancelled. */
static int receive_raced(void *argument)
{
    (void)argument;
    int ends[2];
    int result = aw_socket_pair(SOCK_STREAM, ends);
    if (result < 0)
        return result;
    struct aw_task *sender;
    result = aw_spawn(&sender, send_later, ends);
    if (result == 0) {
        char byte;
        struct aw_message message;
        result = aw_unix_receive(ends[1], &byte, 1, 2, &message);
        if (result > 0) {
            cr_expect_eq(message.descriptor_count, 2);
            close_pair(message.descriptors);
        }
        int sent = aw_await(sender);
        if (sent < 0 && result >= 0)
            result = sent;
    }
    close_pair(ends);
    return result;
}

static int cancel_body(void *argument)
{
    (void)argument;
    cr_expect_geq(cancel_everywhere(receive_raced, NULL), 3);
    return 0;
}

Test(unix_socket, leaves_no_descriptor_behind_a_cancellation)
{
    cr_assert_eq(aw_run(cancel_body, NULL), 0);
}
