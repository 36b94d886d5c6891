/* sync.h - event, lock, semaphore and bounded queue between tasks of one loop.
 *
 * All are fair (first come, first served), cancellation points, and honour scope deadlines. None is
 * for threads. Objects live where the caller puts them; destroy needs no call, but nobody may be
 * waiting when the memory goes away. */
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
    struct aw_wait_list waiters;
    bool set;
};
AW_API void aw_event_init(struct aw_event *event);
/* Sets the flag and wakes everybody who waits. */
AW_API void aw_event_set(struct aw_event *event);
AW_API void aw_event_clear(struct aw_event *event);
/* Waits until the flag is set. 0, -ECANCELED, -ETIME. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_event_wait(struct aw_event *event);

/* --- lock: one owner at a time, not recursive ------------------------------------------ */
struct aw_lock {
    struct aw_wait_list waiters;
    struct aw_task *owner;
};
AW_API void aw_lock_init(struct aw_lock *lock);
/* 0, -ECANCELED, -ETIME, -EDEADLK (the caller holds it). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_lock_acquire(struct aw_lock *lock);
/* Passes the lock to the first waiter. Aborts when the caller does not hold it. */
AW_API void aw_lock_release(struct aw_lock *lock);

/* --- semaphore: at most `value` holders ------------------------------------------------ */
struct aw_semaphore {
    struct aw_wait_list waiters;
    uint32_t value;
};
AW_API void aw_semaphore_init(struct aw_semaphore *semaphore, uint32_t value);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_semaphore_acquire(struct aw_semaphore *semaphore);
AW_API void aw_semaphore_release(struct aw_semaphore *semaphore);

/* --- queue: bounded, first in first out, of pointers ----------------------------------- */
struct aw_queue {
    struct aw_wait_list getters;
    struct aw_wait_list putters;
    void **items;
    uint32_t capacity;
    uint32_t count;
    uint32_t head;
    bool closed;
};
/* capacity 1...2^24. -EINVAL, -ENOMEM. */
AW_API AW_MUST_CHECK int aw_queue_init(struct aw_queue *queue, uint32_t capacity);
/* Frees the queue's own memory; items still inside are the caller's to have taken out. */
AW_API void aw_queue_free(struct aw_queue *queue);
/* Waits while full. 0, -ECANCELED, -ETIME, -EPIPE (closed). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_queue_put(struct aw_queue *queue, void *item);
/* Does not wait: -EAGAIN when full. */
AW_API AW_MUST_CHECK int aw_queue_try_put(struct aw_queue *queue, void *item);
/* Waits while empty. -EPIPE once closed and empty. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_queue_get(struct aw_queue *queue, void **ret_item);
/* No more puts; waiting getters drain what is left and then get -EPIPE. */
AW_API void aw_queue_close(struct aw_queue *queue);

#endif
