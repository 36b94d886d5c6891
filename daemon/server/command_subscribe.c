/* command_subscribe.c - SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE, PUNSUBSCRIBE, with Redis' replies: one
 * for each name, [kind, name, how many subscriptions the client now has]. */
#include "server/command.h"

#include "protocol/value.h"
#include "server/connection.h"
#include "server/subscriptions.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define JOB_PREFIX "job:"

static uint32_t total(const struct connection *connection)
{
    return connection->channel_count + connection->pattern_count;
}

/* `name` NULL: there was none. */
static void confirm(const struct connection *connection, const char *kind,
                    const struct argument *name, struct buffer *reply)
{
    value_push(reply, 3);
    value_bulk_text(reply, kind);
    if (name)
        value_bulk(reply, name->data, name->size);
    else
        value_null(reply);
    value_integer(reply, total(connection));
}

/* Who may only submit learns about jobs whose ids it knows, as with AWAIT. */
static bool is_allowed(const struct connection *connection, const struct argument *name)
{
    size_t prefix = strlen(JOB_PREFIX);
    if (connection->allowed & (ALLOW_OBSERVE | ALLOW_ADMIN))
        return true;
    if (name->size <= prefix || memcmp(name->data, JOB_PREFIX, prefix) != 0)
        return false;
    for (size_t i = prefix; i < name->size; i++)
        if (!isdigit((unsigned char)name->data[i]))
            return false;
    return true;
}

/* All are checked before any is added. */
static bool check_names(const struct connection *connection, const struct argument *names,
                        uint32_t count, bool pattern, struct buffer *reply)
{
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].size > SUBSCRIPTION_NAME_MAX) {
            value_error(reply, "ERR", "a channel's name or pattern has at most %u bytes",
                        SUBSCRIPTION_NAME_MAX);
            return false;
        }
        if (!pattern && !is_allowed(connection, &names[i])) {
            value_error(reply, "NOPERM",
                        "this socket allows SUBSCRIBE only for job:<id>; '%.*s' needs observe",
                        argument_shown_size(&names[i]), names[i].data);
            return false;
        }
    }
    return true;
}

static void subscribe(struct connection *connection, const struct argument *names, uint32_t count,
                      bool pattern, struct buffer *reply)
{
    if (!check_names(connection, names, count, pattern, reply))
        return;
    for (uint32_t i = 0; i < count; i++) {
        int result = subscription_add(connection, names[i], pattern);
        if (result == -ENOSPC)
            value_error(reply, "FULL", "a client has at most %u %s",
                        pattern ? SUBSCRIPTION_PATTERNS_MAX : SUBSCRIPTIONS_MAX,
                        pattern ? "patterns" : "channels");
        else if (result < 0)
            value_error(reply, "ERR", "no memory for the subscription");
        else
            confirm(connection, pattern ? "psubscribe" : "subscribe", &names[i], reply);
    }
}

static void unsubscribe(struct connection *connection, const struct argument *names,
                        uint32_t count, bool pattern, struct buffer *reply)
{
    const char *kind = pattern ? "punsubscribe" : "unsubscribe";
    for (uint32_t i = 0; i < count; i++) {
        (void)subscription_remove(connection, names[i], pattern);
        confirm(connection, kind, &names[i], reply);
    }
    if (count > 0)
        return;
    struct argument name;
    bool any = false;
    while (subscription_first(connection, pattern, &name)) {
        char copy[SUBSCRIPTION_NAME_MAX];
        memcpy(copy, name.data, name.size);
        name.data = copy;
        any = true;
        (void)subscription_remove(connection, name, pattern);
        confirm(connection, kind, &name, reply);
    }
    if (!any)
        confirm(connection, kind, NULL, reply);
}

void command_subscribe(struct connection *connection, struct argument *arguments, uint32_t count,
                       struct buffer *reply)
{
    subscribe(connection, arguments + 1, count - 1, false, reply);
}

void command_psubscribe(struct connection *connection, struct argument *arguments, uint32_t count,
                        struct buffer *reply)
{
    subscribe(connection, arguments + 1, count - 1, true, reply);
}

void command_unsubscribe(struct connection *connection, struct argument *arguments, uint32_t count,
                         struct buffer *reply)
{
    unsubscribe(connection, arguments + 1, count - 1, false, reply);
}

void command_punsubscribe(struct connection *connection, struct argument *arguments, uint32_t count,
                          struct buffer *reply)
{
    unsubscribe(connection, arguments + 1, count - 1, true, reply);
}
