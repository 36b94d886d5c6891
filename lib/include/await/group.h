/* group.h - task groups (nurseries): start many, wait for all.
 *
 * A group never returns before all of its children have settled, and keeps the first error. With
 * AW_GROUP_FAIL_FAST the first child that fails cancels the others.
 *
 * The group lives where the caller puts it (usually its stack) and must be waited for with
 * aw_group_wait before that memory goes away. Children's handles stay with the group. */
#ifndef AWAIT_GROUP_H
#define AWAIT_GROUP_H

#include <await/base.h>
#include <await/task.h>

enum aw_group_flags {
    AW_GROUP_COLLECT = 0,   /* every child runs to its own end */
    AW_GROUP_FAIL_FAST = 1, /* the first failure cancels the group, as aw_group_cancel does */
};

struct aw_group { /* private */
    struct aw_task *first;
    struct aw_task *waiter;
    uint32_t running;
    int error;
    uint8_t flags;
    bool closed;
};

/* Makes an empty group; `flags` say what a child's failure does. Needs no call to undo while no
 * child has been started. */
AW_API void aw_group_init(struct aw_group *group, enum aw_group_flags flags);

/* Starts a child in the group; any task of the loop may do so. It first runs after the caller
 * suspends. 0, or errors as aw_spawn; -ECANCELED when the group has been cancelled or has finished
 * waiting. Never suspends. */
AW_API AW_MUST_CHECK int aw_group_spawn(struct aw_group *group, aw_function function,
                                        void *argument);

/* Asks all children to stop and refuses new ones. Does not wait. */
AW_API void aw_group_cancel(struct aw_group *group);

/* Waits until no child is left, and closes the group. Returns 0 or the first child's error. If the
 * caller is interrupted, the children are cancelled and still waited for; the result is then
 * -ECANCELED or -ETIME. At once, without waiting: -EDEADLK (the caller is a child of the group),
 * -EBUSY (another task already waits for it). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_group_wait(struct aw_group *group);

/* How many children have not settled. */
AW_API uint32_t aw_group_running(const struct aw_group *group);

#endif
