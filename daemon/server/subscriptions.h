/* subscriptions.h - who listens to which channel or pattern, and telling them.
 *
 * A message is sent once for each subscription that it meets, as in Redis: a client with a channel
 * and a pattern that matches it gets both. What a client leaves unread is bounded; one that is too
 * slow is disconnected. */
#ifndef SERVER_SUBSCRIPTIONS_H
#define SERVER_SUBSCRIPTIONS_H

#include "protocol/argument.h"
#include "queue/events.h"

struct connection;
struct server;
struct subscription;

#define SUBSCRIPTIONS_MAX 10000u /* of one connection */
#define SUBSCRIPTION_PATTERNS_MAX 100u
#define SUBSCRIPTION_NAME_MAX 256u /* bytes */
#define SUBSCRIPTION_BUCKETS 4096u

struct subscriptions {
    struct subscription **channels; /* SUBSCRIPTION_BUCKETS, made with the first one */
    struct subscription *patterns;
    uint32_t count;                 /* of all connections */
    uint64_t messages;              /* sent since the start */
    uint64_t disconnected;          /* clients that were too slow */
};

/* 0 (also when there is one already), -ENOSPC: the connection has as many as it may; -ENOMEM. */
AW_MUST_CHECK int subscription_add(struct connection *connection, struct argument name,
                                   bool pattern);
/* Whether there was one. */
bool subscription_remove(struct connection *connection, struct argument name, bool pattern);

/* The connection's first channel or pattern; false: it has none. */
bool subscription_first(const struct connection *connection, bool pattern,
                        struct argument *ret_name);

/* The connection ends, or is reset. */
void subscriptions_remove_all(struct connection *connection);
void subscriptions_free(struct subscriptions *subscriptions);

#endif
