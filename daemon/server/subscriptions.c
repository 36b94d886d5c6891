/* subscriptions.c - see subscriptions.h. Each subscription is in two lists: its connection's, and
 * that of its channel's bucket, or of all patterns. */
#include "server/subscriptions.h"

#include "admin/log.h"
#include "protocol/glob.h"
#include "protocol/value.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct subscription {
    struct connection *connection;
    struct subscription *own_next; /* of the same connection */
    struct subscription **own_slot;
    struct subscription *next; /* in the bucket, or of the patterns */
    struct subscription **slot;
    bool pattern;
    uint32_t size;
    char name[];
};

static struct subscription **bucket_of(struct subscriptions *all, const char *name, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return &all->channels[hash % SUBSCRIPTION_BUCKETS];
}

static bool is_named(const struct subscription *one, const char *name, size_t size)
{
    return one->size == size && memcmp(one->name, name, size) == 0;
}

/* The list it is in, or would be. */
static struct subscription **list_of(struct subscriptions *all, struct argument name, bool pattern)
{
    return pattern ? &all->patterns : bucket_of(all, name.data, name.size);
}

static struct subscription *find(struct connection *connection, struct argument name, bool pattern)
{
    struct subscriptions *all = &connection->server->subscriptions;
    if (!all->channels)
        return NULL;
    struct subscription *one = *list_of(all, name, pattern);
    while (one && (one->connection != connection || !is_named(one, name.data, name.size)))
        one = one->next;
    return one;
}

/* --- telling ------------------------------------------------------------------------------ */

/* Disconnects a client that leaves too much unread. */
static bool keeps_up(struct connection *connection)
{
    struct server *server = connection->server;
    size_t unread = connection->out.size + connection->sending;
    uint64_t limit = server->configuration->subscriber_output_max;
    if (unread <= limit && connection->reply_count <= 2 * REPLIES_MAX)
        return true;
    log_line(LOG_LEVEL_WARNING,
             "client %llu (pid %d): closed, because it leaves %zu KiB of events unread "
             "(subscriber_output_max)",
             (unsigned long long)connection->id, (int)connection->peer.pid, unread >> 10);
    server->subscriptions.disconnected++;
    connection_drop(connection);
    return false;
}

static void send_message(const struct subscription *to, const char *channel,
                         const struct buffer *text)
{
    struct connection *connection = to->connection;
    if (connection->gone || connection->closing || !keeps_up(connection))
        return;
    struct buffer *message = &connection->server->message;
    buffer_clear(message);
    value_push(message, to->pattern ? 4 : 3);
    value_bulk_text(message, to->pattern ? "pmessage" : "message");
    if (to->pattern)
        value_bulk(message, to->name, to->size);
    value_bulk_text(message, channel);
    value_bulk(message, text->data, text->size);
    output_reply(connection, message);
    connection->server->subscriptions.messages++;
}

/* The event's text is made for the first who wants it. */
static void send_event(struct server *server, const struct subscription *to, const char *channel,
                       const struct event *event)
{
    struct buffer *text = &server->event_text;
    if (text->size == 0)
        event_write(event, text);
    if (!text->failed)
        send_message(to, channel, text);
}

static void tell_channel(struct server *server, const char *channel, const struct event *event)
{
    struct subscriptions *all = &server->subscriptions;
    size_t size = strlen(channel);
    for (struct subscription *one = *bucket_of(all, channel, size); one; one = one->next)
        if (is_named(one, channel, size))
            send_event(server, one, channel, event);
    for (struct subscription *one = all->patterns; one; one = one->next)
        if (glob_matches(one->name, one->size, channel, size))
            send_event(server, one, channel, event);
}

/* The broker's listener. Clients are only marked as gone here, so no list changes under us. */
static void tell_event(void *context, const struct event *event)
{
    struct server *server = context;
    char channel[EVENT_CHANNEL_SIZE];
    buffer_clear(&server->event_text);
    for (unsigned i = 0; event_channel(event, i, channel); i++)
        tell_channel(server, channel, event);
    /* what a failed allocation has left would stay for ever */
    if (server->event_text.failed)
        buffer_free(&server->event_text);
}

/* --- adding and removing ------------------------------------------------------------------ */

static void link_subscription(struct subscription *one, struct subscription **list)
{
    struct connection *connection = one->connection;
    one->slot = list;
    one->next = *list;
    if (one->next)
        one->next->slot = &one->next;
    *list = one;
    one->own_slot = &connection->subscriptions;
    one->own_next = connection->subscriptions;
    if (one->own_next)
        one->own_next->own_slot = &one->own_next;
    connection->subscriptions = one;
}

static void count_subscription(struct server *server, struct connection *connection,
                               bool pattern, int step)
{
    uint32_t *own = pattern ? &connection->pattern_count : &connection->channel_count;
    *own = (uint32_t)((int64_t)*own + step);
    server->subscriptions.count = (uint32_t)((int64_t)server->subscriptions.count + step);
    broker_listen(server->broker, server->subscriptions.count > 0 ? tell_event : NULL, server);
}

int subscription_add(struct connection *connection, struct argument name, bool pattern)
{
    struct subscriptions *all = &connection->server->subscriptions;
    if (find(connection, name, pattern))
        return 0;
    if (pattern ? connection->pattern_count >= SUBSCRIPTION_PATTERNS_MAX
                : connection->channel_count >= SUBSCRIPTIONS_MAX)
        return -ENOSPC;
    if (!all->channels)
        all->channels = calloc(SUBSCRIPTION_BUCKETS, sizeof(struct subscription *));
    struct subscription *one = malloc(sizeof *one + name.size);
    if (!one || !all->channels) {
        free(one);
        return -ENOMEM;
    }
    *one = (struct subscription){
        .connection = connection, .pattern = pattern, .size = name.size};
    if (name.size > 0)
        memcpy(one->name, name.data, name.size);
    link_subscription(one, list_of(all, name, pattern));
    count_subscription(connection->server, connection, pattern, 1);
    return 0;
}

static void remove_subscription(struct subscription *one)
{
    *one->slot = one->next;
    if (one->next)
        one->next->slot = one->slot;
    *one->own_slot = one->own_next;
    if (one->own_next)
        one->own_next->own_slot = one->own_slot;
    count_subscription(one->connection->server, one->connection, one->pattern, -1);
    free(one);
}

bool subscription_remove(struct connection *connection, struct argument name, bool pattern)
{
    struct subscription *one = find(connection, name, pattern);
    if (one)
        remove_subscription(one);
    return one != NULL;
}

bool subscription_first(const struct connection *connection, bool pattern,
                        struct argument *ret_name)
{
    struct subscription *one = connection->subscriptions;
    while (one && one->pattern != pattern)
        one = one->own_next;
    if (!one)
        return false;
    *ret_name = (struct argument){.data = one->name, .size = one->size};
    return true;
}

void subscriptions_remove_all(struct connection *connection)
{
    while (connection->subscriptions)
        remove_subscription(connection->subscriptions);
}

void subscriptions_free(struct subscriptions *subscriptions)
{
    free(subscriptions->channels);
    subscriptions->channels = NULL;
}
