/* task.c - the public side of tasks: spawn, await, gather, race, sleep; see await/task.h. */
#include "core/park.h"
#include "core/scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct aw_task *aw_current(void)
{
    return scheduler_here() ? scheduler_here()->current : NULL;
}

int aw_spawn(struct aw_task **ret_task, aw_function function, void *argument)
{
    struct aw_task *self = aw_current();
    if (!self)
        return -EPERM;
    struct aw_task *task;
    int result = scheduler_spawn(scheduler_here(), &self->children, function, argument, &task);
    if (result < 0)
        return result;
    task->handle_held = true;
    *ret_task = task;
    return 0;
}

/* Gives up the handle; the memory of a task that is still on its stack is freed when it is reaped.
 */
static void release(struct aw_task *task)
{
    task->handle_held = false;
    if (task->state != TASK_FINISHED)
        return;
    group_unlink(task);
    if (!task->stack)
        scheduler_free_task(task);
}

void aw_detach(struct aw_task *task)
{
    release(task);
}

void aw_cancel(struct aw_task *task)
{
    task->root_scope.cancelled = true;
    task_interrupt(task);
}

bool aw_finished(const struct aw_task *task)
{
    return task->state == TASK_FINISHED;
}

int aw_wait(struct aw_task *task, uint64_t deadline_ns)
{
    if (task == aw_current())
        return -EDEADLK;
    while (task->state != TASK_FINISHED) {
        int result = wait_list_park_until(&task->joiners, "await a task", deadline_ns);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Waits for the task whatever happens to the caller. */
static void join_shielded(struct aw_task *task)
{
    struct aw_waiter waiter = {0};
    if (task->state != TASK_FINISHED)
        wait_list_park_shielded(&task->joiners, &waiter, "await a cancelled task");
}

int aw_await(struct aw_task *task)
{
    int waited = aw_wait(task, AW_NEVER);
    if (waited == -EDEADLK)
        return waited;
    if (waited < 0) {
        aw_cancel(task);
        join_shielded(task);
    }
    int result = task->result;
    release(task);
    return result;
}

int aw_gather(size_t count, struct aw_task *const tasks[], int results[])
{
    if (tasks_hold_current(count, tasks))
        return -EDEADLK;
    bool interrupted = false;
    for (size_t i = 0; i < count; i++) {
        if (!interrupted && aw_wait(tasks[i], AW_NEVER) < 0) {
            interrupted = true;
            for (size_t other = i; other < count; other++)
                aw_cancel(tasks[other]);
        }
        if (interrupted)
            join_shielded(tasks[i]);
    }
    int first_error = 0;
    uint64_t first_order = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        int result = tasks[i]->result;
        if (results)
            results[i] = result;
        if (result < 0 && tasks[i]->finish_order < first_order) {
            first_order = tasks[i]->finish_order;
            first_error = result;
        }
        release(tasks[i]);
    }
    return first_error;
}

int aw_race(size_t count, struct aw_task *const tasks[], size_t *ret_index)
{
    if (count == 0)
        return -EINVAL;
    if (tasks_hold_current(count, tasks))
        return -EDEADLK;
    struct aw_waiter *waiters = calloc(count, sizeof *waiters);
    int waited = waiters ? 0 : -ENOMEM;
    size_t winner;
    while (winner = tasks_first_finished(count, tasks), winner == count && waited == 0) {
        for (size_t i = 0; i < count; i++) {
            waiters[i] = (struct aw_waiter){.task = aw_current()};
            wait_list_add(&tasks[i]->joiners, &waiters[i]);
        }
        waited = park("race of tasks");
        for (size_t i = 0; i < count; i++)
            if (!waiters[i].granted)
                wait_list_remove(&tasks[i]->joiners, &waiters[i]);
    }
    free(waiters);
    for (size_t i = 0; i < count; i++)
        aw_cancel(tasks[i]);
    for (size_t i = 0; i < count; i++)
        join_shielded(tasks[i]);
    int result = winner < count ? tasks[winner]->result : waited;
    for (size_t i = 0; i < count; i++)
        release(tasks[i]);
    if (winner < count)
        *ret_index = winner;
    return result;
}

int aw_sleep_until(uint64_t deadline_ns)
{
    int result = park_until("sleep", deadline_ns);
    /* whose deadline was it? a loop that turns late may find both past: the earlier one counts */
    return result == -ETIME && deadline_ns <= task_deadline(aw_current()) ? 0 : result;
}

int aw_sleep(uint64_t duration_ms)
{
    return duration_ms == 0 ? aw_yield() : aw_sleep_until(aw_after_ms(duration_ms));
}

int aw_yield(void)
{
    struct aw_task *self = aw_current();
    core_assert(self); /* suspending outside a task */
    int interruption = task_interruption(self);
    if (interruption < 0)
        return interruption;
    yield_shielded();
    return task_interruption(self);
}

void aw_task_set_name(struct aw_task *task, const char *name)
{
    if (!task)
        task = aw_current();
    if (!task)
        return;
    size_t size = strnlen(name, sizeof task->name - 1);
    memcpy(task->name, name, size); /* often: no formatting */
    task->name[size] = '\0';
}

const char *aw_task_name(const struct aw_task *task)
{
    return task->name[0] ? task->name : "task";
}

uint32_t aw_task_count(void)
{
    return scheduler_here() ? scheduler_here()->task_count : 0;
}

uint64_t aw_running_ns(void)
{
    struct scheduler *scheduler = scheduler_here();
    return scheduler ? scheduler->now_ns() - scheduler->turn_began_ns : 0;
}
