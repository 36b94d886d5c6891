/* priority_queue.h - a bounded queue of pointers that gives the most urgent one first.
 *
 * A smaller priority comes sooner; equal ones come in the order in which they were put. Getters are
 * served in the order in which they began to wait, and so are putters: an item goes straight to the
 * getter that has waited longest, a free place to the putter that has. Objects live where the
 * caller puts them; nobody may be waiting when the memory goes away. */
#ifndef AWAIT_PRIORITY_QUEUE_H
#define AWAIT_PRIORITY_QUEUE_H

#include <await/base.h>
#include <await/sync.h>

struct aw_priority_item;

struct aw_priority_queue { /* private */
    struct aw_wait_list getters; /* somebody waits only while the queue is empty */
    struct aw_wait_list putters; /* somebody waits only while it is full */
    struct aw_priority_item *items;
    uint64_t sequence;
    uint32_t capacity;
    uint32_t count;
    bool closed;
};

/* capacity 1...2^24. -EINVAL, -ENOMEM. */
AW_API AW_MUST_CHECK int aw_priority_queue_init(struct aw_priority_queue *queue, uint32_t capacity);

/* Frees the queue's own memory; items still inside are the caller's to have taken out. */
AW_API void aw_priority_queue_free(struct aw_priority_queue *queue);

/* Waits while full. 0, -ECANCELED, -ETIME, -EPIPE (closed): the item was not taken. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_priority_queue_put(struct aw_priority_queue *queue,
                                                           int64_t priority, void *item);

/* Does not wait: -EAGAIN when full. */
AW_API AW_MUST_CHECK int aw_priority_queue_try_put(struct aw_priority_queue *queue,
                                                   int64_t priority, void *item);

/* Waits while empty. -ECANCELED, -ETIME, -EPIPE once closed and empty. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_priority_queue_get(struct aw_priority_queue *queue,
                                                           void **ret_item);

/* Does not wait: -EAGAIN when empty, -EPIPE once closed and empty. */
AW_API AW_MUST_CHECK int aw_priority_queue_try_get(struct aw_priority_queue *queue,
                                                   void **ret_item);

/* No more puts: who waits to put gets -EPIPE, getters drain what is left and then get -EPIPE. */
AW_API void aw_priority_queue_close(struct aw_priority_queue *queue);

/* How many items are inside. */
AW_API uint32_t aw_priority_queue_count(const struct aw_priority_queue *queue);

#endif
