/* output.c - see output.h. */
#include "server/output.h"

#include "admin/log.h"
#include "protocol/value.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>

#define OUT_CAPACITY_FIRST 1024

/* --- slots ----------------------------------------------------------------------------- */

static struct reply *take_reply(struct server *server)
{
    struct reply *reply = spares_take(&server->replies, sizeof *reply);
    if (reply)
        *reply = (struct reply){0};
    return reply;
}

static void give_reply_back(struct server *server, struct reply *reply)
{
    buffer_free(&reply->value);
    spares_give(&server->replies, reply, SPARE_REPLIES_MAX);
}

/* --- sending --------------------------------------------------------------------------- */

/* The writer task. The reader frees the connection only after `writing` is false again. */
static int write_out(void *argument)
{
    struct connection *connection = argument;
    while (connection->out.size > 0 && !connection->gone) {
        struct buffer sending = connection->out;
        connection->out = (struct buffer){0};
        connection->sending = sending.size;
        int result = aw_send_all(connection->fd, sending.data, sending.size);
        connection->server->statistics.output_bytes += sending.size;
        buffer_free(&sending);
        connection->sending = 0;
        if (result < 0)
            connection_drop(connection);
        aw_event_set(&connection->changed);
    }
    connection->writing = false;
    aw_event_set(&connection->changed);
    return 0;
}

static void start_writing(struct connection *connection)
{
    if (connection->gone)
        return;
    if (connection->out.failed || connection->out.size > OUTPUT_MAX_BYTES) {
        log_line(LOG_LEVEL_WARNING, "client %llu (pid %d): closed, because %s",
                 (unsigned long long)connection->id, (int)connection->peer.pid,
                 connection->out.failed ? "there is no memory for its replies"
                                        : "it leaves more than 256 MiB of replies unread");
        connection_drop(connection);
        return;
    }
    if (connection->writing || connection->out.size == 0)
        return;
    int result = aw_group_spawn(&connection->server->tasks, write_out, connection);
    if (result < 0) {
        log_line(LOG_LEVEL_WARNING, "client %llu: closed, because its writer cannot start: %s",
                 (unsigned long long)connection->id, aw_error_text(result));
        connection_drop(connection);
        return;
    }
    connection->writing = true;
}

static void append_reply(struct connection *connection, const struct reply *reply)
{
    if (reply->value.size > 0)
        buffer_append(&connection->out, reply->value.data, reply->value.size);
    else
        value_bulk_number(&connection->out, reply->id);
}

/* Moves what is ready at the head of the queue to `out`. */
static void move_ready(struct connection *connection)
{
    if (connection->out.capacity == 0 && buffer_reserve(&connection->out, OUT_CAPACITY_FIRST) < 0)
        return start_writing(connection);
    while (connection->first_reply && connection->first_reply->ready) {
        struct reply *reply = connection->first_reply;
        connection->first_reply = reply->next;
        if (!reply->next)
            connection->last_reply = NULL;
        connection->reply_count--;
        if (!connection->gone)
            append_reply(connection, reply);
        give_reply_back(connection->server, reply);
    }
    start_writing(connection);
}

/* --- adding replies -------------------------------------------------------------------- */

struct reply *output_take(struct connection *connection)
{
    struct reply *reply = take_reply(connection->server);
    if (reply)
        reply->connection = connection;
    return reply;
}

void output_give_back(struct connection *connection, struct reply *reply)
{
    give_reply_back(connection->server, reply);
}

void output_put(struct connection *connection, struct reply *reply)
{
    if (connection->last_reply)
        connection->last_reply->next = reply;
    else
        connection->first_reply = reply;
    connection->last_reply = reply;
    connection->reply_count++;
}

void output_reply(struct connection *connection, const struct buffer *value)
{
    if (connection->gone)
        return;
    struct buffer *to = &connection->out;
    if (connection->first_reply) {
        struct reply *reply = output_take(connection);
        if (!reply) {
            connection->out.failed = true;
            return start_writing(connection);
        }
        output_put(connection, reply);
        reply->ready = true;
        to = &reply->value;
    }
    if (value->failed || value_write(to, value->data, value->size, connection->version) < 0)
        value_error(to, "ERR", "the reply could not be made: %s",
                    value->failed ? "out of memory" : "it is malformed");
    if (to->failed)
        connection->out.failed = true;
    if (connection->out.failed || to == &connection->out)
        start_writing(connection);
}

static void fill(struct reply *reply)
{
    reply->ready = true;
    if (!reply->connection) { /* the connection and perhaps the server are gone */
        buffer_free(&reply->value);
        free(reply);
        return;
    }
    if (reply->value.failed)
        reply->connection->out.failed = true;
    if (reply->connection->first_reply == reply)
        move_ready(reply->connection);
}

void output_fill_id(struct reply *reply, uint64_t id)
{
    reply->id = id;
    fill(reply);
}

void output_fill_value(struct reply *reply, struct buffer *value)
{
    reply->value = *value;
    *value = (struct buffer){0};
    fill(reply);
}

void output_fill_error(struct reply *reply, const char *code, const char *message)
{
    value_error(&reply->value, code, "%s", message);
    fill(reply);
}

bool output_has_room(const struct connection *connection)
{
    return connection->out.size <= OUTPUT_HIGH_BYTES && connection->reply_count < REPLIES_MAX;
}

bool output_is_idle(const struct connection *connection)
{
    return connection->reply_count == 0 && connection->out.size == 0 && !connection->writing;
}

void output_abandon(struct connection *connection)
{
    struct reply *next;
    for (struct reply *reply = connection->first_reply; reply; reply = next) {
        next = reply->next;
        if (reply->ready) {
            give_reply_back(connection->server, reply);
        } else {
            reply->next = NULL;
            reply->connection = NULL;
        }
    }
    connection->first_reply = NULL;
    connection->last_reply = NULL;
    connection->reply_count = 0;
    buffer_free(&connection->out);
}
