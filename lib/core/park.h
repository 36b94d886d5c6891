/* park.h - how a task waits, for everything built above the scheduler.
 *
 * A task parks; whoever has what it waits for wakes it with a result. The first wake counts, later
 * ones do nothing until it parks again. An interrupted park (-ECANCELED, -ETIME) comes back without
 * anybody having called wake, so the sleeper must take itself off whatever list it stood on, and
 * must look whether what it waited for has come all the same: data outranks interruption.
 *
 * `where` names the wait for dumps: a string literal such as "socket receive". */
#ifndef CORE_PARK_H
#define CORE_PARK_H

#include <await/scope.h>
#include <await/sync.h>
#include <await/task.h>

/* Interruptible: returns at once, without suspending, when the task's scopes say so. */
AW_MUST_CHECK AW_SUSPENDS int park(const char *where);

/* As park, and -ETIME once deadline_ns has passed. */
AW_MUST_CHECK AW_SUSPENDS int park_until(const char *where, uint64_t deadline_ns);

/* Only wake ends it: no cancellation, no deadline. For waits whose end is certain. */
AW_SUSPENDS int park_shielded(const char *where);

/* Lets the loop turn once, whatever the scopes say: for retrying what the kernel was too busy for.
 */
AW_SUSPENDS void yield_shielded(void);

/* Makes a parked task ready; its park returns `result`. Does nothing to a task that is not parked.
 */
void wake(struct aw_task *task, int result);

/* One task in a list of waiting ones; lives on the waiting task's stack. */
struct aw_waiter {
    struct aw_waiter *previous;
    struct aw_waiter *next;
    struct aw_task *task;
    struct aw_waiter **granted_list; /* not NULL: once granted it is put there, linked by next */
    bool granted;
};

/* Waits in the list until granted (0), or interrupted (and off the list again). */
AW_MUST_CHECK AW_SUSPENDS int wait_list_park(struct aw_wait_list *list, const char *where);
AW_MUST_CHECK AW_SUSPENDS int wait_list_park_until(struct aw_wait_list *list, const char *where,
                                                   uint64_t deadline_ns);

/* As those, with a waiter of the caller's that is the first member of something larger: whoever
 * grants it can hand something over in the rest. The shielded one returns only when granted. */
AW_MUST_CHECK AW_SUSPENDS int wait_list_park_as(struct aw_wait_list *list, struct aw_waiter *waiter,
                                                const char *where, uint64_t deadline_ns);
AW_SUSPENDS void wait_list_park_shielded(struct aw_wait_list *list, struct aw_waiter *waiter,
                                         const char *where);

/* Grants the first waiter: its task, or NULL when nobody waits. */
struct aw_task *wait_list_grant_one(struct aw_wait_list *list);
void wait_list_grant_all(struct aw_wait_list *list);

/* For waits on several lists at once: the parts of wait_list_park. */
void wait_list_add(struct aw_wait_list *list, struct aw_waiter *waiter);
void wait_list_remove(struct aw_wait_list *list, struct aw_waiter *waiter);

#endif
