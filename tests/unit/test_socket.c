/* test_socket.c - connected sockets: bytes both ways, ends of streams, loans, interruption. */
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
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

TestSuite(socket, .init = enter_folder, .fini = leave_folder);

static int pair(int ends[2])
{
    int result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    cr_expect_eq(result, 0);
    return result;
}

static void close_pair(int ends[2])
{
    cr_expect_eq(aw_close(ends[0]), 0);
    cr_expect_eq(aw_close(ends[1]), 0);
}

static int spawn(struct aw_task **ret_task, aw_function function, void *argument)
{
    int result = aw_spawn(ret_task, function, argument);
    cr_expect_eq(result, 0, "aw_spawn: %d", result);
    return result;
}

/* --- echo over each kind of listener --------------------------------------------------------- */
static int echo_server(void *argument)
{
    int fd = aw_accept(*(int *)argument);
    cr_expect_geq(fd, 0);
    char bytes[64];
    int size;
    while ((size = aw_receive(fd, bytes, sizeof bytes)) > 0)
        cr_expect_eq(aw_send_all(fd, bytes, (size_t)size), 0);
    aw_close(fd);
    return size;
}

static int talk(int client)
{
    char answer[6] = "";
    cr_expect_eq(aw_send_all(client, "hello", 5), 0);
    size_t size = 0;
    while (size < 5) {
        int received = aw_receive(client, answer + size, 5 - size);
        cr_expect_gt(received, 0);
        if (received <= 0)
            return received;
        size += (size_t)received;
    }
    cr_expect_str_eq(answer, "hello");
    cr_expect_eq(aw_shutdown(client, SHUT_WR), 0);
    cr_expect_eq(aw_receive(client, answer, 1), 0, "the end of the stream");
    return 0;
}

static int unix_echo_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    int listener = aw_listen_unix("s", NULL, &error);
    cr_expect_geq(listener, 0, "%s", error.message);
    struct aw_task *server;
    if (spawn(&server, echo_server, &listener) < 0)
        return -1;
    int client = aw_connect_unix("s", &error);
    cr_expect_geq(client, 0, "%s", error.message);
    struct aw_peer peer;
    cr_expect_eq(aw_peer_of(client, &peer), 0);
    cr_expect_eq(peer.pid, getpid());
    cr_expect_eq(peer.uid, geteuid());
    cr_expect_eq(peer.gid, getegid());
    gid_t groups[256];
    gid_t own[256];
    int count = getgroups(256, own);
    cr_expect_eq(aw_peer_groups(client, groups, 256), count);
    cr_expect(count <= 0 || memcmp(groups, own, (size_t)count * sizeof *own) == 0);
    cr_expect(count <= 0 || aw_peer_groups(client, groups, 0) == -ERANGE);
    cr_expect_eq(talk(client), 0);
    cr_expect_eq(aw_await(server), 0);
    aw_close(client);
    aw_close(listener);
    return 0;
}

Test(socket, talks_over_a_unix_path)
{
    cr_assert_eq(aw_run(unix_echo_body, NULL), 0);
}

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    cr_expect_eq(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

static int echo_over(const char *address)
{
    struct aw_error error = {0};
    int listener = aw_listen_tcp(address, 0, 0, &error);
    if (listener == -EADDRNOTAVAIL || listener == -EAFNOSUPPORT)
        return strcmp(address, "::1") == 0 ? 0 : listener; /* a machine without IPv6 */
    cr_expect_geq(listener, 0, "%s", error.message);
    int port = aw_local_port(listener);
    cr_expect_gt(port, 0);
    struct aw_task *server;
    if (spawn(&server, echo_server, &listener) < 0)
        return -1;
    int client = aw_connect_tcp(address, (uint16_t)port, &error);
    cr_expect_geq(client, 0, "%s", error.message);
    cr_expect_neq(option_of(client, IPPROTO_TCP, TCP_NODELAY), 0);
    cr_expect_neq(option_of(client, SOL_SOCKET, SO_KEEPALIVE), 0);
    struct aw_peer peer;
    cr_expect_lt(aw_peer_of(client, &peer), 0, "TCP has no credentials");
    gid_t group;
    cr_expect_lt(aw_peer_groups(client, &group, 1), 0);
    cr_expect_eq(talk(client), 0);
    cr_expect_eq(aw_await(server), 0);
    aw_close(client);
    aw_close(listener);
    return 0;
}

static int ipv4_body(void *argument)
{
    (void)argument;
    return echo_over("127.0.0.1");
}

Test(socket, talks_over_ipv4)
{
    cr_assert_eq(aw_run(ipv4_body, NULL), 0);
}

static int ipv6_body(void *argument)
{
    (void)argument;
    return echo_over("::1");
}

Test(socket, talks_over_ipv6)
{
    cr_assert_eq(aw_run(ipv6_body, NULL), 0);
}

/* --- sending and receiving ------------------------------------------------------------------- */
#define LARGE_BYTES (4u << 20)

static int send_large(void *argument)
{
    char *bytes = malloc(LARGE_BYTES);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        bytes[i] = (char)(i * 7 / 5);
    int result = aw_send_all(*(int *)argument, bytes, LARGE_BYTES);
    free(bytes);
    return result;
}

static int large_body(void *argument)
{
    (void)argument;
    int ends[2];
    if (pair(ends) < 0)
        return -1;
    struct aw_task *sender;
    if (spawn(&sender, send_large, &ends[0]) < 0)
        return -1;
    char bytes[9000];
    size_t total = 0;
    while (total < LARGE_BYTES) {
        int size = aw_receive(ends[1], bytes, sizeof bytes);
        if (size <= 0)
            return size;
        for (int i = 0; i < size; i += 97)
            cr_assert_eq(bytes[i], (char)((total + (size_t)i) * 7 / 5));
        total += (size_t)size;
    }
    cr_expect_eq(aw_await(sender), 0);
    close_pair(ends);
    return 0;
}

Test(socket, sends_more_than_the_kernel_buffers)
{
    cr_assert_eq(aw_run(large_body, NULL), 0);
}

static int gone_body(void *argument)
{
    (void)argument;
    int ends[2];
    if (pair(ends) < 0)
        return -1;
    aw_close(ends[1]);
    char byte = 0;
    cr_expect_eq(aw_send_all(ends[0], "x", 1), -EPIPE);
    cr_expect_eq(aw_receive(ends[0], &byte, 1), 0);
    aw_close(ends[0]);
    cr_expect_eq(aw_receive(ends[0], &byte, 1), -EBADF);
    cr_expect_eq(aw_send(ends[0], &byte, 1), -EBADF);
    cr_expect_eq(aw_accept(ends[0]), -EBADF);
    cr_expect_eq(aw_shutdown(ends[0], SHUT_RDWR), -EBADF);
    return 0;
}

Test(socket, a_peer_that_is_gone_is_an_error_not_a_signal)
{
    cr_assert_eq(aw_run(gone_body, NULL), 0);
}

static int poll_body(void *argument)
{
    (void)argument;
    int ends[2];
    if (pair(ends) < 0)
        return -1;
    cr_expect_eq(aw_poll(ends[0], POLLOUT), POLLOUT);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_poll(ends[0], POLLIN), -ETIME);
    aw_scope_leave(&scope);
    cr_expect_eq(aw_send_all(ends[1], "x", 1), 0);
    cr_expect_eq(aw_poll(ends[0], POLLIN), POLLIN);
    cr_expect_eq(aw_poll(ends[0], POLLIN), POLLIN, "level-triggered");
    aw_close(ends[1]);
    cr_expect_neq(aw_poll(ends[0], POLLIN) & POLLHUP, 0);
    aw_close(ends[0]);
    return 0;
}

Test(socket, polls)
{
    cr_assert_eq(aw_run(poll_body, NULL), 0);
}

static int receive_loan_task(void *argument)
{
    struct aw_loan loan;
    int size = aw_receive_loan(*(int *)argument, &loan);
    if (size > 0)
        aw_receive_done(&loan);
    return size;
}

/* Sockets from elsewhere (socket activation, a client library) may be set not to block. */
static int send_later(void *argument)
{
    aw_yield();
    return aw_send_all(*(int *)argument, "x", 1);
}

static int connect_later(void *argument)
{
    (void)argument;
    aw_yield();
    return aw_connect_unix("s", NULL);
}

static int non_blocking_body(void *argument)
{
    (void)argument;
    int ends[2];
    cr_expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    struct aw_task *task;
    if (spawn(&task, send_later, &ends[0]) < 0)
        return -1;
    cr_expect_eq(receive_loan_task(&ends[1]), 1);
    cr_expect_eq(aw_await(task), 0);
    if (spawn(&task, send_later, &ends[0]) < 0)
        return -1;
    char byte = 0;
    cr_expect_eq(aw_receive(ends[1], &byte, 1), 1);
    cr_expect_eq(aw_await(task), 0);
    close_pair(ends);
    int listener = aw_listen_unix("s", NULL, NULL);
    cr_expect_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    if (spawn(&task, connect_later, NULL) < 0)
        return -1;
    int accepted = aw_accept(listener);
    cr_expect_geq(accepted, 0, "%d", accepted);
    aw_close(accepted);
    aw_close(aw_await(task));
    aw_close(listener);
    return 0;
}

Test(socket, waits_on_descriptors_that_do_not_block)
{
    cr_assert_eq(aw_run(non_blocking_body, NULL), 0);
}

/* --- interruption ---------------------------------------------------------------------------- */
static int receive_task(void *argument)
{
    char byte;
    return aw_receive(*(int *)argument, &byte, 1);
}

static int cancel_receive_body(void *argument)
{
    (void)argument;
    int ends[2];
    if (pair(ends) < 0)
        return -1;
    struct aw_task *task;
    if (spawn(&task, receive_task, &ends[0]) < 0)
        return -1;
    aw_yield();
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    cr_expect_eq(aw_send_all(ends[1], "x", 1), 0);
    cr_expect_eq(receive_task(&ends[0]), 1, "an interrupted receive takes nothing");
    close_pair(ends);
    return 0;
}

Test(socket, an_interrupted_receive_loses_nothing)
{
    cr_assert_eq(aw_run(cancel_receive_body, NULL), 0);
}

static int accept_task(void *argument)
{
    return aw_accept(*(int *)argument);
}

/* A connection comes and the accept is cancelled in the same turn: whoever wins, none is lost. */
static int accept_race_body(void *argument)
{
    (void)argument;
    int listener = aw_listen_unix("s", NULL, NULL);
    cr_expect_geq(listener, 0);
    int delivered = 0;
    for (int turns = 0; turns < 12; turns++) {
        struct aw_task *task;
        if (spawn(&task, accept_task, &listener) < 0)
            return -1;
        aw_yield();
        int client = aw_connect_unix("s", NULL);
        cr_expect_geq(client, 0);
        for (int i = 0; i < turns % 3; i++)
            aw_yield();
        aw_cancel(task);
        int accepted = aw_await(task);
        if (accepted >= 0)
            delivered++;
        else
            cr_expect_eq(accepted, -ECANCELED);
        if (accepted < 0)
            accepted = aw_accept(listener);
        cr_expect_geq(accepted, 0, "the connection is still there");
        aw_close(accepted);
        aw_close(client);
    }
    cr_expect_gt(delivered, 0);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_accept(listener), -ETIME);
    aw_scope_leave(&scope);
    aw_close(listener);
    return 0;
}

Test(socket, an_accepted_connection_is_delivered_or_left_in_the_queue)
{
    cr_assert_eq(aw_run(accept_race_body, NULL), 0);
}
