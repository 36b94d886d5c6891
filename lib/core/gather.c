/* gather.c - waiting for several tasks at once: fail-fast gather and wait for any; await/task.h.
 *
 * One waiter stands in each task's list of joiners; those that were granted come to `finished`, so
 * that a completion costs the same however many tasks are waited for. */
#include "core/park.h"
#include "core/scheduler.h"

#include <errno.h>
#include <stdlib.h>

struct watch {
    size_t count;
    struct aw_task *const *tasks;
    struct aw_waiter *waiters; /* one a task */
    struct aw_waiter *finished;
};

static int watch_begin(struct watch *watch, size_t count, struct aw_task *const tasks[])
{
    struct aw_waiter *waiters = calloc(count, sizeof *waiters);
    if (!waiters)
        return -ENOMEM;
    *watch = (struct watch){.count = count, .tasks = tasks, .waiters = waiters};
    for (size_t i = 0; i < count; i++) {
        waiters[i] = (struct aw_waiter){.task = aw_current(), .granted_list = &watch->finished};
        if (tasks[i]->state != TASK_FINISHED)
            wait_list_add(&tasks[i]->joiners, &waiters[i]);
        else
            waiters[i].granted = true;
    }
    return 0;
}

/* The tasks that were still running when the watch began must not have been freed. */
static void watch_end(struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        if (!watch->waiters[i].granted)
            wait_list_remove(&watch->tasks[i]->joiners, &watch->waiters[i]);
    free(watch->waiters);
}

bool tasks_hold_current(size_t count, struct aw_task *const tasks[])
{
    for (size_t i = 0; i < count; i++)
        if (tasks[i] == aw_current())
            return true;
    return false;
}

size_t tasks_first_finished(size_t count, struct aw_task *const tasks[])
{
    size_t first = count;
    for (size_t i = 0; i < count; i++)
        if (tasks[i]->state == TASK_FINISHED &&
            (first == count || tasks[i]->finish_order < tasks[first]->finish_order))
            first = i;
    return first;
}

int aw_wait_any(size_t count, struct aw_task *const tasks[], uint64_t deadline_ns,
                size_t *ret_index)
{
    if (count == 0)
        return -EINVAL;
    if (tasks_hold_current(count, tasks))
        return -EDEADLK;
    size_t first = tasks_first_finished(count, tasks);
    if (first == count) {
        struct watch watch;
        int result = watch_begin(&watch, count, tasks);
        if (result < 0)
            return result;
        result = park_until("any of several tasks", deadline_ns);
        watch_end(&watch);
        first = tasks_first_finished(count, tasks);
        if (first == count)
            return result;
    }
    *ret_index = first;
    return 0;
}

static bool any_failed(size_t count, struct aw_task *const tasks[])
{
    for (size_t i = 0; i < count; i++)
        if (tasks[i]->state == TASK_FINISHED && tasks[i]->result < 0)
            return true;
    return false;
}

/* Until all have finished (0), one has failed, or the caller is interrupted (negative). */
static int wait_for_failure(struct watch *watch)
{
    size_t running = 0;
    for (size_t i = 0; i < watch->count; i++)
        running += !watch->waiters[i].granted;
    int result = any_failed(watch->count, watch->tasks) ? -ECANCELED : 0;
    while (running > 0 && result == 0) {
        if (!watch->finished)
            result = park("gather of tasks");
        while (watch->finished) {
            struct aw_waiter *waiter = watch->finished;
            watch->finished = waiter->next;
            running--;
            if (watch->tasks[waiter - watch->waiters]->result < 0)
                result = -ECANCELED;
        }
    }
    return result;
}

int aw_gather_fail_fast(size_t count, struct aw_task *const tasks[], int results[])
{
    if (count == 0)
        return 0;
    if (tasks_hold_current(count, tasks))
        return -EDEADLK;
    struct watch watch;
    int ended = watch_begin(&watch, count, tasks);
    if (ended == 0) {
        ended = wait_for_failure(&watch);
        watch_end(&watch);
    }
    if (ended < 0)
        for (size_t i = 0; i < count; i++)
            aw_cancel(tasks[i]);
    /* all have finished or are about to: only collecting is left, whatever happens to the caller */
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    int result = aw_gather(count, tasks, results);
    aw_scope_leave(&shield);
    return result;
}
