/* server.c - see await/server.h.
 *
 * One task accepts; it is the parent of the connections' tasks, so that however it ends they have
 * all settled before it has. ACCEPTING: takes connections. WAITING: accepting has failed, those
 * there are go on until a stop. DRAINING: the listener is closed, the connections may finish until
 * the deadline and are cancelled then. FINISHED: all have settled.
 *
 * The struct has two users, the accepting task and whoever stops it, and goes with the last one:
 * the task may have been cancelled with its parent long before the stop. */
#include <await/server.h>

#include "io/stream_internal.h"

#include <await/file.h>
#include <await/group.h>
#include <await/scope.h>
#include <await/socket.h>
#include <await/sync.h>
#include <await/task.h>

#include <errno.h>
#include <stdlib.h>

#define CONNECTIONS_MAX_DEFAULT 16384u
#define PAUSE_MIN_MS 5u
#define PAUSE_MAX_MS 1000u

enum state { ACCEPTING, WAITING, DRAINING, FINISHED };

struct aw_server {
    int listener;
    aw_server_handler handler;
    void *argument;
    struct aw_server_options options;

    enum state state;
    struct aw_scope scope;    /* around accepting, waiting or draining: what a stop cancels */
    bool started;             /* the scope is entered */
    bool stop_wanted;
    uint64_t deadline_ns;     /* of draining */
    struct aw_group group;    /* the connections */
    struct aw_semaphore room; /* for more of them */
    struct aw_event failed;   /* accepting has, or everything has ended */
    struct aw_event finished;
    int error;
    int users;
    uint32_t connection_count;
    uint64_t accepted_count;
};

struct connection {
    struct aw_server *server;
    int fd;
};

static int run_connection(void *argument)
{
    struct connection *connection = argument;
    struct aw_server *server = connection->server;
    struct aw_stream *stream;
    int result = aw_stream_open(&stream, connection->fd, &server->options.stream);
    if (result < 0)
        (void)aw_close(connection->fd);
    free(connection);
    if (result == 0) {
        result = server->handler(stream, server->argument);
        (void)aw_stream_close(stream);
    }
    server->connection_count--;
    aw_semaphore_release(&server->room);
    return result;
}

/* The descriptor and one place of the semaphore are the connection's from here on. */
static int start_connection(struct aw_server *server, int fd)
{
    struct connection *connection = malloc(sizeof *connection);
    int result = -ENOMEM;
    if (connection != NULL) {
        *connection = (struct connection){server, fd};
        result = aw_group_spawn(&server->group, run_connection, connection);
    }
    if (result < 0) {
        free(connection);
        (void)aw_close(fd);
        aw_semaphore_release(&server->room);
        return result;
    }
    server->connection_count++;
    server->accepted_count++;
    return 0;
}

/* Out of something that other connections, or other programs, will give back. */
static bool passes(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS ||
           error == -EAGAIN || error == -ECONNABORTED;
}

static int accept_one(struct aw_server *server)
{
    int result = aw_semaphore_acquire(&server->room);
    if (result < 0)
        return result;
    int fd = aw_accept(server->listener);
    if (fd < 0) {
        aw_semaphore_release(&server->room);
        return fd;
    }
    return start_connection(server, fd);
}

static int accept_all(struct aw_server *server)
{
    uint64_t pause_ms = PAUSE_MIN_MS;
    for (;;) {
        int result = accept_one(server);
        if (result == 0) {
            pause_ms = PAUSE_MIN_MS;
            continue;
        }
        if (!passes(result))
            return result;
        result = aw_sleep(pause_ms);
        if (result < 0)
            return result;
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
}

static void release(struct aw_server *server)
{
    if (--server->users == 0)
        free(server);
}

static void enter(struct aw_server *server, enum state state, uint64_t deadline_ns)
{
    server->state = state;
    aw_scope_enter(&server->scope, deadline_ns);
    server->started = true;
}

static void leave(struct aw_server *server)
{
    server->started = false;
    aw_scope_leave(&server->scope);
}

static void wait_for_stop(struct aw_server *server)
{
    struct aw_event never;
    aw_event_init(&never);
    enter(server, WAITING, AW_NEVER);
    AW_IGNORE(aw_event_wait(&never)); /* a stop cancels the scope; the parent's end does too */
    leave(server);
}

static int run_server(void *argument)
{
    struct aw_server *server = argument;
    aw_task_set_name(NULL, "server");
    int result = -ECANCELED;
    if (!server->stop_wanted) {
        enter(server, ACCEPTING, AW_NEVER);
        result = accept_all(server);
        leave(server);
    }
    (void)aw_close(server->listener);
    if (!server->stop_wanted && aw_interrupted() == 0) {
        server->error = result;
        aw_event_set(&server->failed);
        wait_for_stop(server);
    }
    enter(server, DRAINING, server->deadline_ns);
    AW_IGNORE(aw_group_wait(&server->group)); /* past the deadline it cancels them and waits on */
    leave(server);
    server->state = FINISHED;
    aw_event_set(&server->failed);
    aw_event_set(&server->finished);
    release(server);
    return 0;
}

int aw_server_start(struct aw_server **ret_server, int listener, aw_server_handler handler,
                    void *argument, const struct aw_server_options *options)
{
    if (listener < 0)
        return -EBADF;
    if (options != NULL && !stream_options_hold(&options->stream))
        return -EINVAL;
    struct aw_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    server->listener = listener;
    server->handler = handler;
    server->argument = argument;
    if (options != NULL)
        server->options = *options;
    if (server->options.connections_max == 0)
        server->options.connections_max = CONNECTIONS_MAX_DEFAULT;
    aw_group_init(&server->group, AW_GROUP_COLLECT);
    aw_semaphore_init(&server->room, server->options.connections_max);
    aw_event_init(&server->failed);
    aw_event_init(&server->finished);
    struct aw_task *task;
    int result = aw_spawn(&task, run_server, server);
    if (result < 0) {
        free(server);
        return result;
    }
    aw_detach(task); /* still its parent's child; the struct's events tell of its end */
    server->users = 2;
    *ret_server = server;
    return 0;
}

static void wait_finished_shielded(struct aw_server *server)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    AW_IGNORE(aw_event_wait(&server->finished));
    aw_scope_leave(&shield);
}

/* Ends what the server's task is about; a task that has not run yet looks at stop_wanted. */
static void interrupt_state(struct aw_server *server)
{
    if (server->started)
        aw_scope_cancel(&server->scope);
}

int aw_server_stop(struct aw_server *server, uint64_t deadline_ns)
{
    server->deadline_ns = deadline_ns;
    server->stop_wanted = true;
    if (server->state == ACCEPTING || server->state == WAITING)
        interrupt_state(server);
    if (aw_event_wait(&server->finished) < 0) {
        server->deadline_ns = 0; /* if draining has not begun */
        interrupt_state(server);
        wait_finished_shielded(server);
    }
    int result = server->error;
    release(server);
    return result;
}

int aw_server_wait(struct aw_server *server)
{
    int result = aw_event_wait(&server->failed);
    if (result < 0)
        return result;
    return server->error < 0 ? server->error : -ECANCELED;
}

int aw_serve(int listener, aw_server_handler handler, void *argument,
             const struct aw_server_options *options, uint64_t grace_ms)
{
    struct aw_server *server;
    int result = aw_server_start(&server, listener, handler, argument, options);
    if (result < 0) {
        if (listener >= 0)
            (void)aw_close(listener);
        return result;
    }
    result = aw_server_wait(server);
    /* the grace is the connections', not the interrupted caller's */
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    AW_IGNORE(aw_server_stop(server, aw_after_ms(grace_ms)));
    aw_scope_leave(&shield);
    return result;
}

uint32_t aw_server_connections(const struct aw_server *server)
{
    return server->connection_count;
}

uint64_t aw_server_accepted(const struct aw_server *server)
{
    return server->accepted_count;
}
