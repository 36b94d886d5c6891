/* group.c - task groups; see await/group.h. A task is on its group's list while it runs, and after
 * that as long as somebody holds its handle. */
#include "core/park.h"
#include "core/scheduler.h"

#include <errno.h>

void aw_group_init(struct aw_group *group, enum aw_group_flags flags)
{
    *group = (struct aw_group){.flags = (uint8_t)flags};
}

void group_link(struct aw_group *group, struct aw_task *task)
{
    task->group = group;
    task->group_previous = NULL;
    task->group_next = group->first;
    if (group->first)
        group->first->group_previous = task;
    group->first = task;
    group->running++;
}

void group_unlink(struct aw_task *task)
{
    if (!task->group)
        return;
    if (task->group_previous)
        task->group_previous->group_next = task->group_next;
    else
        task->group->first = task->group_next;
    if (task->group_next)
        task->group_next->group_previous = task->group_previous;
    task->group = NULL;
}

static void cancel_children(struct aw_group *group)
{
    for (struct aw_task *task = group->first; task; task = task->group_next)
        aw_cancel(task);
}

void group_child_settled(struct aw_task *task)
{
    struct aw_group *group = task->group;
    if (!group)
        return;
    group->running--;
    if (task->result < 0 && group->error == 0) {
        group->error = task->result;
        /* closed as well: a child started after the failure would never be cancelled */
        if (group->flags & AW_GROUP_FAIL_FAST)
            aw_group_cancel(group);
    }
    if (group->waiter && group->running == 0)
        wake(group->waiter, 0);
    if (!task->handle_held)
        group_unlink(task);
}

int aw_group_spawn(struct aw_group *group, aw_function function, void *argument)
{
    struct scheduler *scheduler = scheduler_here();
    if (!scheduler)
        return -EPERM;
    struct aw_task *task;
    return scheduler_spawn(scheduler, group, function, argument, &task);
}

void aw_group_cancel(struct aw_group *group)
{
    group->closed = true;
    cancel_children(group);
}

static void wait_shielded(struct aw_group *group)
{
    while (group->running > 0) {
        group->waiter = aw_current();
        (void)park_shielded("children of a group");
        group->waiter = NULL;
    }
}

int aw_group_wait(struct aw_group *group)
{
    if (aw_current()->group == group)
        return -EDEADLK;
    if (group->waiter)
        return -EBUSY;
    int interruption = 0;
    while (group->running > 0 && interruption == 0) {
        group->waiter = aw_current();
        interruption = park("group");
        group->waiter = NULL;
    }
    if (group->running > 0) {
        aw_group_cancel(group);
        wait_shielded(group);
    } else {
        interruption = 0;
    }
    group->closed = true;
    return interruption < 0 ? interruption : group->error;
}

uint32_t aw_group_running(const struct aw_group *group)
{
    return group->running;
}

void group_settle(struct aw_group *group)
{
    aw_group_cancel(group);
    wait_shielded(group);
    /* handles nobody gave up: their tasks have finished, the memory goes with the parent */
    while (group->first) {
        struct aw_task *task = group->first;
        group_unlink(task);
        task->handle_held = false;
        if (!task->stack)
            scheduler_free_task(task);
    }
}
