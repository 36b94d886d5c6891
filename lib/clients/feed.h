/* feed.h - the bounded queue between a subscription's connection and the task that reads it.
 *
 * The connection never waits for the reader: a server that cannot get rid of its messages suffers.
 * When the queue is full, what comes is dropped and counted, until the reader has taken all that
 * was kept and has been told. So the reader gets an unbroken beginning, the number that is missing,
 * then what came after. */
#ifndef CLIENTS_FEED_H
#define CLIENTS_FEED_H

#include <await/sync.h>

struct feed {
    struct aw_queue queue;
    uint64_t dropped; /* not told yet */
};

/* capacity 1...2^24. -EINVAL, -ENOMEM. */
AW_MUST_CHECK int feed_init(struct feed *feed, uint32_t capacity);
/* Frees it with the items inside, which are blocks of malloc. */
void feed_free(struct feed *feed);
/* Hands an item over. NULL (there was no memory for it) counts as dropped. */
void feed_put(struct feed *feed, void *item);
/* Waits for an item, or for news of dropped ones: then *ret_item is NULL and *ret_dropped says how
 * many. 0, -ECANCELED, -ETIME: nothing is lost. */
AW_MUST_CHECK AW_SUSPENDS int feed_next(struct feed *feed, void **ret_item, uint64_t *ret_dropped);

#endif
