/* condition.h - a condition: wait until the state a lock guards is as wanted.
 *
 *     result = aw_lock_acquire(&lock);
 *     while (result == 0 && !ready)
 *         result = aw_condition_wait(&condition, &lock);    the lock is held again, also on error
 *
 * Fair: notifications go to those who have waited longest. A notification that reaches a waiter
 * counts for it even if it is interrupted at the same moment (the wait gives 0), so none is lost.
 * Nobody may be waiting when the memory goes away. */
#ifndef AWAIT_CONDITION_H
#define AWAIT_CONDITION_H

#include <await/base.h>
#include <await/sync.h>

struct aw_condition { /* private */
    struct aw_wait_list waiters;
};

/* A condition nobody waits for. */
AW_API void aw_condition_init(struct aw_condition *condition);

/* Releases the lock, waits for a notification, and takes the lock again whatever ended the wait:
 * the caller holds it in every case. The state may have changed back by then: wait in a loop.
 * Returns 0, -ECANCELED, -ETIME (deadline_ns, or a scope's), -EPERM (the caller does not hold the
 * lock). Taking the lock again is not interrupted: it lasts as long as others hold it. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_condition_wait(struct aw_condition *condition,
                                                       struct aw_lock *lock);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_condition_wait_until(struct aw_condition *condition,
                                                             struct aw_lock *lock,
                                                             uint64_t deadline_ns);

/* The loop: waits until predicate(argument) is true. The predicate runs with the lock held. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_condition_wait_for(struct aw_condition *condition,
                                                           struct aw_lock *lock,
                                                           bool (*predicate)(void *argument),
                                                           void *argument);

/* Wakes up to `count` waiters, or all; returns how many. Never suspends, needs no lock. */
AW_API uint32_t aw_condition_notify(struct aw_condition *condition, uint32_t count);
AW_API uint32_t aw_condition_notify_all(struct aw_condition *condition);

#endif
