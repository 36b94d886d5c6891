/* connection.c - see connection.h. The reader task lives here; what it executes with in request.c,
 * what it answers with in output.c. */
#include "server/connection.h"

#include "admin/log.h"
#include "server/command.h"
#include "server/leases.h"
#include "server/multi.h"
#include "server/request.h"
#include "server/server.h"
#include "server/subscriptions.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define INPUT_BLOCKED_MAX (1u << 20) /* bytes stored while a command waits */
#define HANGUP_CHECK_MS 250
#define CLOSE_MS 30000               /* for the last replies of a connection that we close */

/* --- flags from outside the reader ----------------------------------------------------- */

void connection_notify(struct connection *connection)
{
    aw_event_set(&connection->changed);
    if (connection->attention)
        aw_scope_cancel(connection->attention);
}

void connection_close_soon(struct connection *connection)
{
    connection->closing = true;
    connection_notify(connection);
}

void connection_drop(struct connection *connection)
{
    connection->gone = true;
    connection_notify(connection);
}

void connection_stop(struct connection *connection)
{
    const struct command *running = connection->running;
    if (connection->blocked && !(running && running->flags & COMMAND_OUTLIVES))
        aw_group_cancel(&connection->handlers);
    connection_close_soon(connection);
}

/* --- receiving ------------------------------------------------------------------------- */

static void attend(struct connection *connection, struct aw_scope *scope)
{
    aw_scope_enter(scope, AW_NEVER);
    connection->attention = scope;
}

static void attend_no_more(struct connection *connection, struct aw_scope *scope)
{
    connection->attention = NULL;
    aw_scope_leave(scope);
}

static void store(struct connection *connection, const void *data, size_t size)
{
    buffer_append(&connection->input, data, size);
    if (!connection->input.failed)
        return;
    log_line(LOG_LEVEL_WARNING, "client %llu (pid %d): closed, because there is no memory for its "
             "requests", (unsigned long long)connection->id, (int)connection->peer.pid);
    connection->gone = true;
}

/* Executes out of the scratch that all readers share: nothing in between suspends. Stores what is
 * left. */
static void execute_received(struct connection *connection, struct buffer *scratch)
{
    size_t used;
    enum request_progress progress =
        request_execute(connection, scratch->data, scratch->size, &used);
    if (used < scratch->size && !connection->closing && !connection->gone) {
        store(connection, scratch->data + used, scratch->size - used);
        connection->unparsed = progress == REQUESTS_NO_ROOM;
    }
}

static int receive(struct connection *connection)
{
    struct aw_loan loan;
    struct aw_scope scope;
    attend(connection, &scope);
    int result = aw_receive_loan(connection->fd, &loan);
    attend_no_more(connection, &scope);
    if (result == -ECANCELED || result == -ETIME)
        return aw_interrupted(); /* 0: somebody has set a flag */
    if (result == 0)
        connection->end_of_input = true;
    else if (result < 0)
        connection->gone = true;
    if (result <= 0)
        return 0;

    struct server *server = connection->server;
    size_t size = (size_t)result;
    server->statistics.input_bytes += size;
    if (connection->blocked || connection->input.size > 0) {
        store(connection, loan.data, size);
        aw_receive_done(&loan);
        connection->unparsed = !connection->blocked;
        return 0;
    }
    buffer_clear(&server->scratch);
    buffer_append(&server->scratch, loan.data, size);
    aw_receive_done(&loan);
    if (server->scratch.failed)
        connection->gone = true;
    else
        execute_received(connection, &server->scratch);
    return 0;
}

static int execute_input(struct connection *connection)
{
    int result = request_wait_room(connection);
    if (result < 0 || connection->closing || connection->gone)
        return result;
    struct buffer *input = &connection->input;
    size_t used;
    enum request_progress progress = request_execute(connection, input->data, input->size, &used);
    connection->unparsed = progress == REQUESTS_NO_ROOM;
    buffer_consume(input, used);
    if (input->size == 0)
        buffer_free(input);
    return 0;
}

/* Waits until the client has hung up, or for attention. A client that has only ended its own side
 * makes every poll of the ring return at once (POLLRDHUP): then we look again from time to time. */
static int watch_for_hangup(struct connection *connection)
{
    struct aw_scope scope;
    attend(connection, &scope);
    connection->watching = true;
    int result = aw_poll(connection->fd, 0);
    if (result >= 0 && !(result & (POLLHUP | POLLERR)))
        result = aw_sleep(HANGUP_CHECK_MS);
    else if (result >= 0 || (result != -ECANCELED && result != -ETIME))
        connection->gone = true;
    connection->watching = false;
    attend_no_more(connection, &scope);
    return connection->gone ? 0 : aw_interrupted();
}

static void read_requests(struct connection *connection)
{
    int result = 0;
    while (!connection->gone && !connection->closing && result >= 0) {
        bool full = connection->input.size >= INPUT_BLOCKED_MAX;
        if (connection->blocked && (connection->end_of_input || full))
            result = watch_for_hangup(connection);
        else if (connection->unparsed && !connection->blocked)
            result = execute_input(connection);
        else if (connection->end_of_input)
            break;
        else
            result = receive(connection);
    }
    if (result < 0)
        connection->gone = true;
}

/* --- life ------------------------------------------------------------------------------ */

static void wait_for_output(struct connection *connection)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, connection->closing ? aw_after_ms(CLOSE_MS) : AW_NEVER);
    while (!connection->gone && !output_is_idle(connection)) {
        aw_event_clear(&connection->changed);
        if (aw_event_wait(&connection->changed) < 0)
            break;
    }
    aw_scope_leave(&scope);
}

/* Takes what the client has still sent: closing with unread bytes would look like a reset to it.
 * The socket is shut down, so that what can be received is finite. */
static void discard_input(struct connection *connection)
{
    struct aw_loan loan;
    while (aw_receive_loan(connection->fd, &loan) > 0)
        aw_receive_done(&loan);
}

/* No handler runs any more. What a lease has open is rolled back before the client is forgotten. */
static void end_leases(struct connection *connection)
{
    if (!connection->leases)
        return;
    aw_group_cancel(&connection->lease_tasks);
    leases_end_all(connection);
}

static void finish(struct connection *connection)
{
    if (connection->gone)
        aw_group_cancel(&connection->handlers);
    int result = aw_group_wait(&connection->handlers);
    if (result < 0) /* interrupted: the server is being torn down */
        connection->gone = true;
    end_leases(connection);
    wait_for_output(connection);
    connection->gone = true;

    struct aw_scope shield; /* everything in here ends by itself once the socket is shut down */
    aw_shield_enter(&shield, AW_NEVER);
    (void)aw_shutdown(connection->fd, SHUT_RDWR);
    result = aw_group_wait(&connection->lease_tasks);
    while (connection->writing) {
        aw_event_clear(&connection->changed);
        result = aw_event_wait(&connection->changed);
    }
    discard_input(connection);
    aw_close(connection->fd);
    aw_scope_leave(&shield);
}

static void link_connection(struct server *server, struct connection *connection)
{
    connection->next = server->connections;
    if (server->connections)
        server->connections->previous = connection;
    server->connections = connection;
    server->connection_count++;
}

static void unlink_connection(struct server *server, struct connection *connection)
{
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    server->connection_count--;
    aw_event_set(&server->changed);
}

static void free_connection(struct connection *connection)
{
    multi_forget(connection);
    subscriptions_remove_all(connection);
    output_abandon(connection);
    request_parser_free(&connection->parser);
    buffer_free(&connection->input);
    unlink_connection(connection->server, connection);
    free(connection);
}

/* The reader task. */
static int serve(void *argument)
{
    struct connection *connection = argument;
    aw_task_set_name(NULL, "client");
    read_requests(connection);
    finish(connection);
    free_connection(connection);
    return 0;
}

int connection_start(struct server *server, int fd, const char *socket_name, unsigned allowed)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    connection->server = server;
    connection->fd = fd;
    connection->id = ++server->next_connection_id;
    connection->allowed = allowed;
    connection->socket_name = socket_name;
    connection->accepted_ns = aw_now_ns();
    connection->version = 2;
    if (aw_peer_of(fd, &connection->peer) < 0)
        connection->peer = (struct aw_peer){.uid = (uid_t)-1, .gid = (gid_t)-1};
    struct request_limits limits = REQUEST_LIMITS_DEFAULT;
    limits.bulk_size_max = (uint32_t)server->configuration->argument_size_max;
    limits.request_size_max = (size_t)server->configuration->request_size_max;
    request_parser_init(&connection->parser, &limits);
    aw_group_init(&connection->handlers, AW_GROUP_COLLECT);
    aw_group_init(&connection->lease_tasks, AW_GROUP_COLLECT);
    aw_event_init(&connection->changed);
    link_connection(server, connection);

    int result = aw_group_spawn(&server->tasks, serve, connection);
    if (result < 0)
        free_connection(connection);
    return result;
}
