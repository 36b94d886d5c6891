/* server.c - opening and closing all of it; see server.h. */
#include "server/server.h"

#include "admin/log.h"
#include "server/connection.h"
#include "server/listener.h"

#include <errno.h>
#include <stdlib.h>

#define ACCEPTS_AT_ONCE 16   /* accept loops a listener: connections taken in one turn */
#define LAST_REPLIES_MS 1000 /* for the answers of commands that the deadline has ended */

static void close_listeners(struct server *server)
{
    for (uint32_t i = 0; i < server->listener_count; i++)
        listener_close(&server->listeners[i]);
    server->listener_count = 0;
}

static void free_server(struct server *server)
{
    spares_free(&server->replies);
    buffer_free(&server->scratch);
    buffer_free(&server->answer);
    buffer_free(&server->event_text);
    buffer_free(&server->message);
    subscriptions_free(&server->subscriptions);
    free(server->listeners);
    free(server);
}

static int open_listeners(struct server *server, struct aw_error *reterr)
{
    const struct config *configuration = server->configuration;
    struct handed_over handed_over;
    handed_over_read(&handed_over);
    int result = 0;
    for (uint32_t i = 0; i < configuration->socket_count && result == 0; i++) {
        result = listener_open(&server->listeners[i], server, &configuration->sockets[i],
                               &handed_over, reterr);
        if (result == 0)
            server->listener_count++;
    }
    handed_over_close_unused(&handed_over);
    for (uint32_t i = 0; i < server->listener_count * ACCEPTS_AT_ONCE && result == 0; i++) {
        struct listener *listener = &server->listeners[i / ACCEPTS_AT_ONCE];
        result = aw_group_spawn(&server->accepting, listener_accept, listener);
        if (result < 0)
            aw_error_set(reterr, result, "cannot accept connections on %s: %s",
                         listener->settings->path, aw_error_text(result));
    }
    return result;
}

int server_open(const struct config *configuration, struct broker *broker,
                struct control *control, struct server **ret_server, struct aw_error *reterr)
{
    struct server *server = calloc(1, sizeof *server);
    if (server)
        server->listeners = calloc(configuration->socket_count, sizeof *server->listeners);
    if (!server || !server->listeners) {
        free(server);
        return aw_error_set(reterr, -ENOMEM, "cannot open the sockets: out of memory");
    }
    server->configuration = configuration;
    server->broker = broker;
    server->control = control;
    server->started_ns = aw_now_ns();
    aw_group_init(&server->accepting, AW_GROUP_COLLECT);
    aw_group_init(&server->tasks, AW_GROUP_COLLECT);
    aw_event_init(&server->changed);

    int result = open_listeners(server, reterr);
    if (result < 0) {
        aw_group_cancel(&server->accepting);
        int waited = aw_group_wait(&server->accepting);
        if (waited < 0)
            log_line(LOG_LEVEL_DEBUG, "accept loops ended with %s", aw_error_name(waited));
        close_listeners(server);
        free_server(server);
        return result;
    }
    *ret_server = server;
    return 0;
}

/* True when nobody is connected any more. */
static bool wait_until_empty(struct server *server, uint64_t deadline_ns)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, deadline_ns);
    while (server->connection_count > 0) {
        aw_event_clear(&server->changed);
        if (aw_event_wait(&server->changed) < 0)
            break;
    }
    aw_scope_leave(&scope);
    return server->connection_count == 0;
}

static void stop_connections(struct server *server)
{
    for (struct connection *each = server->connections; each; each = each->next)
        connection_stop(each);
}

static void cancel_handlers(struct server *server)
{
    for (struct connection *each = server->connections; each; each = each->next)
        aw_group_cancel(&each->handlers);
}

void server_close(struct server *server, uint64_t deadline_ns)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER); /* each step has its own end */
    server->stopping = true;
    aw_group_cancel(&server->accepting);
    int result = aw_group_wait(&server->accepting);
    if (result < 0)
        log_line(LOG_LEVEL_WARNING, "an accept loop ended with %s", aw_error_name(result));
    close_listeners(server);

    stop_connections(server);
    if (!wait_until_empty(server, deadline_ns)) {
        cancel_handlers(server);
        if (!wait_until_empty(server, aw_after_ms(LAST_REPLIES_MS)))
            log_line(LOG_LEVEL_WARNING, "%u client(s) are disconnected with replies they have not "
                     "taken", server->connection_count);
    }
    aw_group_cancel(&server->tasks);
    result = aw_group_wait(&server->tasks);
    if (result < 0)
        log_line(LOG_LEVEL_WARNING, "a connection's task ended with %s", aw_error_name(result));
    aw_scope_leave(&shield);
    free_server(server);
}
