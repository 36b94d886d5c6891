/* redis_subscriber.c - a subscriber from its callers' side: they change the topics, wake the
 * connection's task (redis_subscription.c) and take what it puts into the feed. */
#include "clients/redis_subscriber_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_DEFAULT 1024u

/* --- messages --------------------------------------------------------------------------- */

static const char *copy_text(char **at, const struct aw_redis_reply *reply, size_t *ret_size)
{
    char *text = *at;
    size_t size = reply ? reply->size : 0;
    if (size > 0)
        memcpy(text, reply->text, size);
    text[size] = '\0';
    *at += size + 1;
    *ret_size = size;
    return text;
}

/* One block: the texts follow the struct. */
struct aw_redis_message *redis_message_make(enum aw_redis_news news,
                                            const struct aw_redis_reply *pattern,
                                            const struct aw_redis_reply *channel,
                                            const struct aw_redis_reply *payload)
{
    size_t size = (pattern ? pattern->size : 0) + (channel ? channel->size : 0) +
                  (payload ? payload->size : 0) + 3;
    struct aw_redis_message *message = calloc(1, sizeof *message + size);
    if (!message)
        return NULL;
    char *at = (char *)(message + 1);
    message->news = news;
    message->channel = copy_text(&at, channel, &message->channel_size);
    message->payload = copy_text(&at, payload, &message->payload_size);
    if (pattern)
        message->pattern = copy_text(&at, pattern, &message->pattern_size);
    return message;
}

void aw_redis_message_free(struct aw_redis_message *message)
{
    free(message);
}

int aw_redis_subscriber_next(struct aw_redis_subscriber *subscriber,
                             struct aw_redis_message **ret_message)
{
    void *item = NULL;
    uint64_t dropped = 0;
    if (subscriber->is_closing && subscriber->feed.queue.count == 0)
        return -ESHUTDOWN;
    int result = feed_next(&subscriber->feed, &item, &dropped);
    if (result < 0)
        return result;
    if (!item && subscriber->is_closing)
        return -ESHUTDOWN;
    struct aw_redis_message *message = item;
    if (!message) {
        message = redis_message_make(AW_REDIS_DROPPED, NULL, NULL, NULL);
        if (!message) {
            subscriber->feed.dropped += dropped;
            return -ENOMEM;
        }
        message->dropped = dropped;
    }
    *ret_message = message;
    return 0;
}

/* --- topics ----------------------------------------------------------------------------- */

static int change(struct aw_redis_subscriber *subscriber, const char *name, size_t size,
                  bool is_pattern, bool active, struct aw_error *reterr)
{
    if (size == 0 || size > AW_REDIS_CHANNEL_SIZE_MAX)
        return aw_error_set(reterr, -EINVAL, "a channel's name has 1 to %d bytes",
                            AW_REDIS_CHANNEL_SIZE_MAX);
    int result = active ? topics_want(&subscriber->topics, name, size, is_pattern)
                        : topics_unwant(&subscriber->topics, name, size, is_pattern);
    if (result == -ENOSPC)
        return aw_error_set(reterr, result, "a subscriber has at most %d channels and patterns",
                            AW_REDIS_CHANNELS_MAX);
    if (result > 0) {
        if (subscriber->is_waiting)
            aw_scope_cancel(&subscriber->waiting);
        result = topics_wait(&subscriber->topics, name, size, is_pattern, active);
    }
    return result < 0
               ? aw_error_set(reterr, result, "%s: %s", active ? "subscribing" : "unsubscribing",
                              aw_error_text(result))
               : 0;
}

int aw_redis_subscribe(struct aw_redis_subscriber *subscriber, const char *channel, size_t size,
                       struct aw_error *reterr)
{
    return change(subscriber, channel, size, false, true, reterr);
}

int aw_redis_psubscribe(struct aw_redis_subscriber *subscriber, const char *pattern, size_t size,
                        struct aw_error *reterr)
{
    return change(subscriber, pattern, size, true, true, reterr);
}

int aw_redis_unsubscribe(struct aw_redis_subscriber *subscriber, const char *channel, size_t size,
                         struct aw_error *reterr)
{
    return change(subscriber, channel, size, false, false, reterr);
}

int aw_redis_punsubscribe(struct aw_redis_subscriber *subscriber, const char *pattern, size_t size,
                          struct aw_error *reterr)
{
    return change(subscriber, pattern, size, true, false, reterr);
}

/* --- life ------------------------------------------------------------------------------- */

int aw_redis_subscriber_create(struct aw_redis_subscriber **ret_subscriber,
                               struct aw_redis_pool *pool, uint32_t queue_max,
                               struct aw_error *reterr)
{
    struct aw_redis_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber)
        return aw_error_set(reterr, -ENOMEM, "no memory for a subscriber");
    subscriber->pool = pool;
    subscriber->link.fd = -1;
    aw_error_set(&subscriber->down, -ENOTCONN, "not connected yet");
    topics_init(&subscriber->topics, AW_REDIS_CHANNELS_MAX);
    aw_event_init(&subscriber->ended);
    int result = feed_init(&subscriber->feed, queue_max > 0 ? queue_max : QUEUE_DEFAULT);
    if (result < 0) {
        free(subscriber);
        return aw_error_set(reterr, result, "no queue for %u messages: %s", queue_max,
                            aw_error_text(result));
    }
    result = aw_group_spawn(&pool->group, redis_subscription_run, subscriber);
    if (result < 0) {
        feed_free(&subscriber->feed);
        free(subscriber);
        return aw_error_set(reterr, result, "no task for a subscriber: %s", aw_error_text(result));
    }
    *ret_subscriber = subscriber;
    return 0;
}

bool aw_redis_subscriber_is_up(const struct aw_redis_subscriber *subscriber,
                               struct aw_error *reterr)
{
    bool up = subscriber->is_announced && topics_are_settled(&subscriber->topics);
    if (!up && reterr)
        *reterr = subscriber->down;
    return up;
}

void aw_redis_subscriber_close(struct aw_redis_subscriber *subscriber)
{
    if (!subscriber)
        return;
    subscriber->is_closing = true;
    if (subscriber->is_running)
        aw_scope_cancel(&subscriber->running);
    struct aw_scope shield; /* closing waits for nobody */
    aw_shield_enter(&shield, AW_NEVER);
    AW_IGNORE(aw_event_wait(&subscriber->ended));
    aw_scope_leave(&shield);
    topics_free(&subscriber->topics);
    feed_free(&subscriber->feed);
    free(subscriber);
}
