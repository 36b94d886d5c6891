/* pg_listener.h - PostgreSQL: LISTEN, notifications from a connection of their own.
 *
 *     aw_pg_listener_create(&listener, pool, 0, &error);
 *     aw_pg_listener_add(listener, "jobs", &error);
 *     while ((result = aw_pg_listener_next(listener, &notification)) == 0) {
 *         ... AW_PG_NOTIFIED: use it; else: read the state anew, something may have been missed
 *         aw_pg_notification_free(notification);
 *     }
 *     aw_pg_listener_close(listener);
 *
 * The listener connects by itself, with the pool's address and account but not from its
 * connections, and again with backoff (100 ms to 5 s, with jitter) when the connection is lost; it
 * then listens to all its channels again. PostgreSQL keeps nothing for those who are away, so the
 * first thing to come from each connection is AW_PG_LISTENING: what was notified before may have
 * been missed, what is notified from now on comes. Read the state after it.
 *
 * At most queue_max notifications are kept for a slow reader. Then further ones are dropped, so
 * that the server's own queue does not fill up, until the reader has taken what was kept and an
 * AW_PG_DROPPED: read the state after it, too.
 *
 * Link with libpq to use this header. */
#ifndef AWAIT_PG_LISTENER_H
#define AWAIT_PG_LISTENER_H

#include <await/pg.h>

#define AW_PG_CHANNELS_MAX 1024 /* of one listener */
#define AW_PG_CHANNEL_SIZE_MAX 63

struct aw_pg_listener;

enum aw_pg_news {
    AW_PG_NOTIFIED,  /* channel, payload and process_id are the NOTIFY's */
    AW_PG_LISTENING, /* connected, and all channels are listened to */
    AW_PG_DROPPED,   /* `dropped` notifications did not fit the queue */
};

struct aw_pg_notification {
    enum aw_pg_news news;
    const char *channel; /* "" unless NOTIFIED */
    const char *payload; /* "" unless NOTIFIED */
    int process_id;      /* of the session that notified */
    uint64_t dropped;
};

/* Makes a listener and starts connecting without waiting for it. queue_max is from 1 to 2^24, 0
 * stands for 1,024; a notification has at most 8,000 bytes. The pool must outlive it. -EINVAL,
 * -ENOMEM; what aw_spawn gives. Never suspends. */
AW_API AW_MUST_CHECK int aw_pg_listener_create(struct aw_pg_listener **ret_listener,
                                               struct aw_pg_pool *pool, uint32_t queue_max,
                                               struct aw_error *reterr);

/* Listens to a channel (exactly this name, as quoted in SQL; 1 to 63 bytes) and waits until the
 * server has confirmed it; one that is listened to already is no error. While the server is away it
 * waits for it: bound it with a deadline. -ETIME, -ECANCELED: interrupted; the channel stays
 * wanted. -EINVAL: the name; -ENOSPC: AW_PG_CHANNELS_MAX; -ENOENT: removed by another task
 * meanwhile; -ESHUTDOWN: the pool is closing; -ENOMEM. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_listener_add(struct aw_pg_listener *listener,
                                                        const char *channel,
                                                        struct aw_error *reterr);

/* Listens no more and waits until that is confirmed; a channel nobody listens to is no error.
 * Notifications that came before stay in the queue. -ETIME, -ECANCELED: the channel stays unwanted;
 * -ENOENT: added by another task meanwhile; -ESHUTDOWN. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_listener_remove(struct aw_pg_listener *listener,
                                                           const char *channel,
                                                           struct aw_error *reterr);

/* Waits for the next news; the caller frees it. -ETIME, -ECANCELED: interrupted, nothing is lost;
 * -ENOMEM: out of memory to tell of dropped ones, call again; -ESHUTDOWN: the pool is closing and
 * nothing is left. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_listener_next(
    struct aw_pg_listener *listener, struct aw_pg_notification **ret_notification);
/* NULL does nothing. */
AW_API void aw_pg_notification_free(struct aw_pg_notification *notification);

/* Whether it is connected and listens to all its channels; if not, *reterr (may be NULL) says why.
 * Never suspends. */
AW_API bool aw_pg_listener_is_up(const struct aw_pg_listener *listener, struct aw_error *reterr);

/* Closes the connection and frees the listener with what is in its queue; no task may be in one of
 * its calls. NULL does nothing. Not a cancellation point. */
AW_API AW_SUSPENDS void aw_pg_listener_close(struct aw_pg_listener *listener);

#endif
