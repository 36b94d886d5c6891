/* feed.c - see feed.h. */
#include "clients/feed.h"

#include <await/scope.h>

#include <stdlib.h>

int feed_init(struct feed *feed, uint32_t capacity)
{
    feed->dropped = 0;
    return aw_queue_init(&feed->queue, capacity);
}

void feed_free(struct feed *feed)
{
    while (feed->queue.count > 0) {
        void *item = NULL;
        if (aw_queue_get(&feed->queue, &item) < 0) { /* full ones do not wait */
            break;
        }
        free(item);
    }
    aw_queue_free(&feed->queue);
}

void feed_put(struct feed *feed, void *item)
{
    if (item == NULL || feed->dropped > 0 || aw_queue_try_put(&feed->queue, item) < 0) {
        free(item);
        feed->dropped++;
        /* Somebody who waits at an empty queue is told at once. */
        if (feed->queue.count == 0 && aw_queue_try_put(&feed->queue, NULL) < 0) {
            return; /* there are places in an empty queue */
        }
    }
}

int feed_next(struct feed *feed, void **ret_item, uint64_t *ret_dropped)
{
    void *item = NULL;
    int status = aw_interrupted();
    while (status == 0 && item == NULL && (feed->dropped == 0 || feed->queue.count > 0)) {
        status = aw_queue_get(&feed->queue, &item);
        if (status == 0 && item == NULL && feed->dropped > 0) {
            break;
        }
    }
    if (status < 0) {
        return status;
    }
    *ret_item = item;
    *ret_dropped = item == NULL ? feed->dropped : 0;
    feed->dropped = item == NULL ? 0 : feed->dropped;
    return 0;
}
