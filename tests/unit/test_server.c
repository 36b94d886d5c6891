/* test_server.c - many connections, the bound on them, stopping in grace and without. */
#include "support/cancel.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int descriptors_before;

static void count_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    descriptors_before = open_descriptors();
}

static void expect_all_closed(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
}

TestSuite(server, .init = count_descriptors, .fini = expect_all_closed);

static int echo(struct aw_stream *stream, void *argument)
{
    (void)argument;
    for (;;) {
        char *line;
        size_t size;
        int taken = aw_stream_read_line(stream, 0, &line, &size);
        if (taken <= 0)
            return taken;
        int result = aw_stream_print(stream, "%s\n", line);
        if (result < 0)
            return result;
    }
}

static int start(struct aw_server **server, const struct aw_server_options *options)
{
    struct aw_error error = {0};
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, &error);
    cr_assert_geq(listener, 0, "%s", error.message);
    int port = aw_local_port(listener);
    cr_assert_eq(aw_server_start(server, listener, echo, NULL, options), 0);
    return port;
}

static struct aw_stream *connect_to(int port)
{
    struct aw_stream *stream;
    struct aw_error error = {0};
    int result = aw_stream_connect_tcp(&stream, "127.0.0.1", (uint16_t)port, NULL, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    return stream;
}

static int ask(struct aw_stream *stream, const char *text)
{
    int result = aw_stream_print(stream, "%s\n", text);
    char *line = NULL;
    if (result == 0)
        result = aw_stream_read_line(stream, 0, &line, NULL);
    if (result > 0)
        cr_expect_str_eq(line, text);
    return result;
}

#define CLIENTS 1000

static int many_body(void *argument)
{
    (void)argument;
    struct aw_server *server;
    int port = start(&server, NULL);
    static struct aw_stream *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_to(port);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert_eq(ask(clients[i], "hello"), 6);
    cr_expect_eq(aw_server_connections(server), CLIENTS);
    cr_expect_eq(aw_server_accepted(server), CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        cr_expect_eq(aw_stream_close(clients[i]), 0);
    cr_expect_eq(aw_server_stop(server, AW_NEVER), 0);
    return 0;
}

Test(server, serves_a_thousand_connections_at_once)
{
    cr_assert_eq(aw_run(many_body, NULL), 0);
}

static int bound_body(void *argument)
{
    (void)argument;
    struct aw_server *server;
    int port = start(&server, &(struct aw_server_options){.connections_max = 2});
    struct aw_stream *clients[3];
    for (int i = 0; i < 3; i++)
        clients[i] = connect_to(port);
    cr_expect_eq(ask(clients[0], "a"), 2);
    cr_expect_eq(ask(clients[1], "b"), 2);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(20));
    cr_expect_eq(ask(clients[2], "c"), -ETIME, "the third waits");
    aw_scope_leave(&scope);
    cr_expect_eq(aw_server_connections(server), 2);
    cr_expect_eq(aw_stream_close(clients[0]), 0);
    char *line;
    cr_expect_eq(aw_stream_read_line(clients[2], 0, &line, NULL), 2, "until one has left");
    aw_stream_abort(clients[1]);
    aw_stream_abort(clients[2]);
    cr_expect_eq(aw_server_stop(server, AW_NEVER), 0);
    return 0;
}

Test(server, holds_to_its_bound)
{
    cr_assert_eq(aw_run(bound_body, NULL), 0);
}

static int stop_later(void *argument)
{
    return aw_server_stop(argument, aw_after_ms(60000));
}

static int graceful_body(void *argument)
{
    (void)argument;
    struct aw_server *server;
    int port = start(&server, NULL);
    struct aw_stream *client = connect_to(port);
    cr_expect_eq(ask(client, "before"), 7);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, stop_later, server), 0);
    for (int i = 0; i < 10; i++)
        aw_yield();
    cr_expect_lt(aw_connect_tcp("127.0.0.1", (uint16_t)port, NULL), 0, "nobody new comes in");
    cr_expect_eq(ask(client, "while it stops"), 15, "who is in may finish");
    cr_expect_not(aw_finished(task));
    cr_expect_eq(aw_stream_close(client), 0);
    cr_expect_eq(aw_await(task), 0);
    return 0;
}

Test(server, stops_in_grace)
{
    cr_assert_eq(aw_run(graceful_body, NULL), 0);
}

static int hard_body(void *argument)
{
    (void)argument;
    struct aw_server *server;
    int port = start(&server, NULL);
    struct aw_stream *client = connect_to(port);
    cr_expect_eq(ask(client, "x"), 2);
    cr_expect_eq(aw_server_stop(server, aw_after_ms(10)), 0);
    char *line;
    cr_expect_leq(aw_stream_read_line(client, 0, &line, NULL), 0, "cut off at the deadline");
    aw_stream_abort(client);
    port = start(&server, NULL);
    client = connect_to(port);
    cr_expect_eq(ask(client, "x"), 2);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, stop_later, server), 0);
    for (int i = 0; i < 10; i++)
        aw_yield();
    aw_cancel(task);
    cr_expect_eq(aw_await(task), 0, "a stop that is cancelled does not wait for the deadline");
    cr_expect_leq(aw_stream_read_line(client, 0, &line, NULL), 0);
    aw_stream_abort(client);
    start(&server, NULL);
    cr_expect_eq(aw_server_stop(server, 0), 0, "before it has run at all");
    return 0;
}

Test(server, cancels_who_stays_too_long)
{
    cr_assert_eq(aw_run(hard_body, NULL), 0);
}

static int wait_task(void *argument)
{
    return aw_server_wait(argument);
}

static int broken_body(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    struct aw_server *server;
    cr_assert_eq(aw_server_start(&server, ends[0], echo, NULL, NULL), 0);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, wait_task, server), 0);
    cr_expect_eq(aw_await(task), -EINVAL, "nobody listens there");
    cr_expect_eq(aw_server_stop(server, AW_NEVER), -EINVAL);
    cr_expect_eq(aw_serve(ends[1], echo, NULL, NULL, 0), -EINVAL);
    cr_expect_eq(aw_server_start(&server, -1, echo, NULL, NULL), -EBADF);
    return 0;
}

Test(server, tells_of_a_listener_that_fails)
{
    cr_assert_eq(aw_run(broken_body, NULL), 0);
}

static int serve_task(void *argument)
{
    return aw_serve(*(int *)argument, echo, NULL, NULL, 0);
}

static int serve_and_ask(void *argument)
{
    (void)argument;
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    if (listener < 0)
        return listener;
    int port = aw_local_port(listener);
    struct aw_task *task;
    cr_assert_geq(port, 0);
    int result = aw_spawn(&task, serve_task, &listener);
    if (result < 0) {
        aw_close(listener);
        return result;
    }
    struct aw_stream *client;
    result = aw_stream_connect_tcp(&client, "127.0.0.1", (uint16_t)port, NULL, NULL);
    if (result == 0) {
        result = ask(client, "x");
        aw_stream_abort(client);
    }
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    return result;
}

static int cancel_body(void *argument)
{
    (void)argument;
    cr_expect_geq(cancel_everywhere(serve_and_ask, NULL), 3);
    return 0;
}

Test(server, can_be_cancelled_at_each_turn)
{
    cr_assert_eq(aw_run(cancel_body, NULL), 0);
}

static struct aw_server *left_behind;

static int leaves_it(void *argument)
{
    (void)argument;
    start(&left_behind, NULL);
    aw_yield();
    return 0;
}

static int orphan_body(void *argument)
{
    (void)argument;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, leaves_it, NULL), 0);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(aw_server_wait(left_behind), -ECANCELED, "it ended with its parent");
    cr_expect_eq(aw_server_stop(left_behind, AW_NEVER), 0);
    return 0;
}

Test(server, ends_with_the_task_that_started_it)
{
    cr_assert_eq(aw_run(orphan_body, NULL), 0);
}

static int refuses_what_cannot_be(void *argument)
{
    (void)argument;
    struct aw_server *server;
    const struct aw_server_options huge = {.stream.input_limit_bytes = ((size_t)1 << 30) + 1};
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    cr_assert_geq(listener, 0);
    cr_expect_eq(aw_server_start(&server, -1, NULL, NULL, NULL), -EBADF);
    cr_expect_eq(aw_server_start(&server, listener, NULL, NULL, &huge), -EINVAL);
    cr_expect_gt(aw_local_port(listener), 0, "the listener is still the caller's");
    return aw_close(listener);
}

Test(server, refuses_limits_that_no_connection_could_have)
{
    cr_assert_eq(aw_run(refuses_what_cannot_be, NULL), 0);
}
