/* redis_subscriber.h - Redis: pub/sub, messages on a connection of their own.
 *
 *     aw_redis_subscriber_create(&subscriber, pool, 0, &error);
 *     aw_redis_subscribe(subscriber, "jobs", 4, &error);
 *     while ((result = aw_redis_subscriber_next(subscriber, &message)) == 0) {
 *         ... AW_REDIS_MESSAGE: use it; else: messages may have been missed
 *         aw_redis_message_free(message);
 *     }
 *     aw_redis_subscriber_close(subscriber);
 *
 * The subscriber connects by itself, with the pool's address and account but not from its
 * connections, and again with backoff (100 ms to 5 s, with jitter) when the connection is lost or
 * says nothing for twice silence_ms (it asks with a PING); it then subscribes again. Redis keeps
 * nothing for those who are away, so the first thing to come from each connection is
 * AW_REDIS_SUBSCRIBED: what was published before may have been missed.
 *
 * At most queue_max messages are kept for a slow reader. Then further ones are dropped, so that
 * Redis does not hold them back and at last end the connection, until the reader has taken what was
 * kept and an AW_REDIS_DROPPED that says how many are missing. */
#ifndef AWAIT_REDIS_SUBSCRIBER_H
#define AWAIT_REDIS_SUBSCRIBER_H

#include <await/redis.h>

#define AW_REDIS_CHANNELS_MAX 4096 /* of one subscriber, patterns included */
#define AW_REDIS_CHANNEL_SIZE_MAX 65536

struct aw_redis_subscriber;

enum aw_redis_news {
    AW_REDIS_MESSAGE,    /* channel and payload; pattern, if it came by one */
    AW_REDIS_SUBSCRIBED, /* connected, and subscribed to all */
    AW_REDIS_DROPPED,    /* `dropped` messages did not fit the queue or the pool's reply_size_max */
};

struct aw_redis_message {
    enum aw_redis_news news;
    const char *channel; /* any bytes, with a NUL behind them; "" unless MESSAGE */
    size_t channel_size;
    const char *pattern; /* NULL unless it came by a pattern */
    size_t pattern_size;
    const char *payload;
    size_t payload_size;
    uint64_t dropped;
};

/* Makes a subscriber and starts connecting without waiting for it. queue_max is from 1 to 2^24, 0
 * stands for 1,024. The pool must outlive it. -EINVAL, -ENOMEM; what aw_spawn gives. Never
 * suspends. */
AW_API AW_MUST_CHECK int aw_redis_subscriber_create(struct aw_redis_subscriber **ret_subscriber,
                                                    struct aw_redis_pool *pool, uint32_t queue_max,
                                                    struct aw_error *reterr);

/* Subscribes to a channel, or to all that match a pattern (SUBSCRIBE, PSUBSCRIBE), and waits until
 * Redis has confirmed it; once more is no error. While the server is away it waits for it: bound it
 * with a deadline. -ETIME, -ECANCELED: interrupted; it stays wanted. -EINVAL: empty, or longer than
 * AW_REDIS_CHANNEL_SIZE_MAX; -ENOSPC: AW_REDIS_CHANNELS_MAX; -ENOENT: unsubscribed by another task
 * meanwhile; -ESHUTDOWN: the pool is closing; -ENOMEM. A channel the account may not read is
 * refused on each connection anew: aw_redis_subscriber_is_up says so. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_subscribe(struct aw_redis_subscriber *subscriber,
                                                        const char *channel, size_t size,
                                                        struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_psubscribe(struct aw_redis_subscriber *subscriber,
                                                         const char *pattern, size_t size,
                                                         struct aw_error *reterr);

/* Ends the subscription to that channel or pattern and waits until that is confirmed; one that is
 * not there is no error. Messages that came
 * before stay in the queue. -ETIME, -ECANCELED: it stays unwanted; -ENOENT: subscribed by another
 * task meanwhile; -EINVAL: empty, or too long; -ESHUTDOWN: the pool is closing; -ENOMEM. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_unsubscribe(struct aw_redis_subscriber *subscriber,
                                                          const char *channel, size_t size,
                                                          struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_punsubscribe(struct aw_redis_subscriber *subscriber,
                                                           const char *pattern, size_t size,
                                                           struct aw_error *reterr);

/* Waits for the next news; the caller frees it. -ETIME, -ECANCELED: interrupted, nothing is lost;
 * -ENOMEM: no memory to tell of dropped ones, call again; -ESHUTDOWN: the pool is closing and
 * nothing is left. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_subscriber_next(
    struct aw_redis_subscriber *subscriber, struct aw_redis_message **ret_message);
/* NULL does nothing. */
AW_API void aw_redis_message_free(struct aw_redis_message *message);

/* Whether it is connected and subscribed to all; if not, *reterr (may be NULL) says why. Never
 * suspends. */
AW_API bool aw_redis_subscriber_is_up(const struct aw_redis_subscriber *subscriber,
                                      struct aw_error *reterr);

/* Closes the connection and frees the subscriber with what is in its queue; no task may be in one
 * of its calls. NULL does nothing. Not a cancellation point. */
AW_API AW_SUSPENDS void aw_redis_subscriber_close(struct aw_redis_subscriber *subscriber);

#endif
