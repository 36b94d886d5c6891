/* sync.h - event, lock, semaphore and bounded queue between tasks of one loop.
 *
 * All are fair (first come, first served), cancellation points where they wait, and honour scope
 * deadlines. A call that need not wait does not look at either. None is for threads. Objects live
 * where the caller puts them; but for the queue's memory nothing has to be given back, and nobody
 * may be waiting when the memory goes away. */
#ifndef AWAIT_SYNC_H
#define AWAIT_SYNC_H

#include <await/base.h>

struct aw_waiter;

struct aw_wait_list { /* private: the tasks that wait, in order */
    struct aw_waiter *first;
    struct aw_waiter *last;
};

/* --- event: a flag that tasks wait for ------------------------------------------------------- */
struct aw_event {
    struct aw_wait_list waiters; /* private */
    bool set;                    /* to read; aw_event_set and aw_event_clear change it */
};

/* An event that is not set. All zero is the same. */
AW_API void aw_event_init(struct aw_event *event);

/* Sets the flag and wakes everybody who waits; they find it was set even if it is cleared before
 * they run. Setting it again does nothing. */
AW_API void aw_event_set(struct aw_event *event);

/* Clears the flag: who comes from now on waits. */
AW_API void aw_event_clear(struct aw_event *event);

/* Waits until the flag is set, not at all if it is. 0, -ECANCELED, -ETIME. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_event_wait(struct aw_event *event);

/* --- lock: one owner at a time, not recursive ------------------------------------------ */
struct aw_lock { /* private but for owner */
    struct aw_wait_list waiters;
    struct aw_task *owner; /* NULL: free */
};

/* A lock that nobody holds. All zero is the same. */
AW_API void aw_lock_init(struct aw_lock *lock);

/* Takes the lock, waiting in line for it: 0, and the calling task is its owner. -ECANCELED, -ETIME:
 * not taken; -EDEADLK: the caller holds it already. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_lock_acquire(struct aw_lock *lock);

/* Takes the lock if it is free: 0. -EAGAIN: another task holds it; -EDEADLK: the caller does. */
AW_API AW_MUST_CHECK int aw_lock_try_acquire(struct aw_lock *lock);

/* Passes the lock to the first who waits for it. Ends the process when the caller is not its owner.
 */
AW_API void aw_lock_release(struct aw_lock *lock);

/* --- semaphore: at most `value` holders ------------------------------------------------ */
struct aw_semaphore { /* private but for value */
    struct aw_wait_list waiters;
    uint32_t value; /* places that are free */
};

/* A semaphore with `value` free places, 0 to 2^32-1. */
AW_API void aw_semaphore_init(struct aw_semaphore *semaphore, uint32_t value);

/* Takes a place, waiting in line for it. 0; -ECANCELED, -ETIME: not taken. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_semaphore_acquire(struct aw_semaphore *semaphore);

/* Takes a place if one is free: 0. -EAGAIN: none is. */
AW_API AW_MUST_CHECK int aw_semaphore_try_acquire(struct aw_semaphore *semaphore);

/* Gives a place back, or adds one: any task may, whether it took one or not. It goes straight to
 * the first who waits. */
AW_API void aw_semaphore_release(struct aw_semaphore *semaphore);

/* --- queue: bounded, first in first out, of pointers ----------------------------------- */
struct aw_queue { /* private but for capacity, count and closed */
    struct aw_wait_list getters;
    struct aw_wait_list putters;
    void **items;
    uint32_t capacity;
    uint32_t count; /* items inside */
    uint32_t head;
    bool closed;
};

/* Makes an empty queue for `capacity` items, 1 to 2^24. 0, -EINVAL (capacity), -ENOMEM. Needs an
 * aw_queue_free. */
AW_API AW_MUST_CHECK int aw_queue_init(struct aw_queue *queue, uint32_t capacity);

/* Frees the queue's own memory; items still inside are the caller's to have taken out. */
AW_API void aw_queue_free(struct aw_queue *queue);

/* Puts a pointer (NULL too) at the end, waiting while the queue is full. 0: it is inside or with a
 * getter; -ECANCELED, -ETIME, -EPIPE (closed, also while it waited): the item was not taken and
 * stays the caller's. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_queue_put(struct aw_queue *queue, void *item);

/* As aw_queue_put without waiting. -EAGAIN: the queue is full; -EPIPE: it is closed. The item was
 * not taken then. */
AW_API AW_MUST_CHECK int aw_queue_try_put(struct aw_queue *queue, void *item);

/* Takes the first item, waiting while there is none; it is the caller's from then on. 0,
 * -ECANCELED, -ETIME; -EPIPE: closed and empty. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_queue_get(struct aw_queue *queue, void **ret_item);

/* As aw_queue_get without waiting: 0, and the item is the caller's. -EAGAIN: the queue is empty;
 * -EPIPE: closed and empty. */
AW_API AW_MUST_CHECK int aw_queue_try_get(struct aw_queue *queue, void **ret_item);

/* No more puts: who waits to put gets -EPIPE, getters drain what is left and then get -EPIPE. May
 * be repeated. */
AW_API void aw_queue_close(struct aw_queue *queue);

#endif
