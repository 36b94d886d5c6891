/* redis_subscriber_internal.h - a subscriber's two halves: redis_subscriber.c for its callers,
 * redis_subscription.c for its connection. */
#ifndef CLIENTS_REDIS_SUBSCRIBER_INTERNAL_H
#define CLIENTS_REDIS_SUBSCRIBER_INTERNAL_H

#include "clients/feed.h"
#include "clients/redis_link.h"
#include "clients/redis_parser.h"
#include "clients/redis_pool.h"
#include "clients/topics.h"

#include <await/redis_subscriber.h>

struct aw_redis_subscriber {
    struct aw_redis_pool *pool; /* the task's; the callers do not touch it */
    struct redis_link link;
    struct redis_parser parser;
    struct topics topics;
    struct feed feed;
    struct aw_scope running; /* the task; valid while is_running */
    struct aw_scope waiting; /* for bytes; valid while is_waiting */
    struct aw_event ended;
    uint64_t heard_ns;
    bool is_running;
    bool is_waiting;
    bool is_closing;
    bool is_announced; /* SUBSCRIBED was given for this connection */
    bool is_asked;     /* a PING is unanswered */
    struct aw_error down;
};

/* The subscriber's task: connects, serves, again. */
AW_SUSPENDS int redis_subscription_run(void *argument);

/* NULL without memory. `pattern` may be NULL. */
struct aw_redis_message *redis_message_make(enum aw_redis_news news,
                                            const struct aw_redis_reply *pattern,
                                            const struct aw_redis_reply *channel,
                                            const struct aw_redis_reply *payload);

#endif
