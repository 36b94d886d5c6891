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

/* Makes an empty queue for `capacity` items, 1 to 2^24. 0, -EINVAL (capacity), -ENOMEM. Needs an
 * aw_priority_queue_free. */
AW_API AW_MUST_CHECK int aw_priority_queue_init(struct aw_priority_queue *queue, uint32_t capacity);

/* Frees the queue's own memory; items still inside are the caller's to have taken out. */
AW_API void aw_priority_queue_free(struct aw_priority_queue *queue);

/* Puts a pointer (NULL too) by its `priority`, any number, waiting while the queue is full. 0: it
 * is inside or with a getter. -ECANCELED, -ETIME, -EPIPE (closed, also while it waited): the item
 * was not taken and stays the caller's. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_priority_queue_put(struct aw_priority_queue *queue,
                                                           int64_t priority, void *item);

/* As aw_priority_queue_put (priority, item) without waiting. -EAGAIN: the queue is full; -EPIPE: it
 * is closed. The item was not taken then. */
AW_API AW_MUST_CHECK int aw_priority_queue_try_put(struct aw_priority_queue *queue,
                                                   int64_t priority, void *item);

/* Takes the most urgent item, waiting while there is none; it is the caller's from then on. 0,
 * -ECANCELED, -ETIME; -EPIPE: closed and empty. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_priority_queue_get(struct aw_priority_queue *queue,
                                                           void **ret_item);

/* As aw_priority_queue_get without waiting: 0, and the item is the caller's. -EAGAIN: the queue is
 * empty; -EPIPE: closed and empty. */
AW_API AW_MUST_CHECK int aw_priority_queue_try_get(struct aw_priority_queue *queue,
                                                   void **ret_item);

/* No more puts: who waits to put gets -EPIPE, getters drain what is left and then get -EPIPE. */
AW_API void aw_priority_queue_close(struct aw_priority_queue *queue);

/* How many items are inside. */
AW_API uint32_t aw_priority_queue_count(const struct aw_priority_queue *queue);

#endif
