/* scheduler.h - one a thread: which task runs next.
 *
 * States of a task: READY (in the ready list) -> RUNNING (the one) -> PARKED (waiting for a wake)
 * -> READY ... -> FINISHED (function returned, children settled). The loop itself
 * (lib/ring/runtime.c) runs on the thread's own stack, the root; tasks switch directly from one to
 * the next and come back to the root when none is ready or the turn's budget is spent.
 *
 * The scheduler owns every task's memory: it frees a task once it has finished and its handle has
 * been given up, and never on the stack that is being left (the zombie is reaped after the switch).
 */
#ifndef CORE_SCHEDULER_H
#define CORE_SCHEDULER_H

#include "core/loop_watch.h"
#include "core/stack.h"
#include "core/switch.h"
#include "core/timer.h"

#include <await/error.h>
#include <await/group.h>
#include <await/scope.h>
#include <await/sync.h>
#include <await/task.h>
#include <errno.h>

#define TASK_NAME_SIZE 32
#define STACK_SIZE_MAX ((size_t)1 << 30)

enum task_state { TASK_READY, TASK_RUNNING, TASK_PARKED, TASK_FINISHED };

struct aw_task {
    struct context context;
    struct stack *stack; /* NULL once finished and reaped */
    struct timer timer;
    struct aw_task *next_ready;
    struct aw_scope *scope;     /* the innermost one */
    struct aw_scope root_scope; /* aw_cancel cancels it */
    const char *where;          /* what it is parked on */
    uint64_t state_since_ns;    /* when the turn began in which it parked or was made */
    int wake_result;
    uint8_t state;
    bool interruptible; /* the park it is in may be ended by its scopes */
    bool handle_held;   /* somebody will aw_await or aw_detach it */

    aw_function function;
    void *argument;
    int result;
    int kept_error;              /* of an exit or a cleanup that nobody could hear (with.h) */
    uint64_t finish_order;       /* counts up over all tasks: who finished first */
    struct aw_wait_list joiners; /* tasks that await this one */
    struct aw_group children;    /* what it spawned; settled before it finishes */
    struct aw_group *group;      /* the one it belongs to; NULL for the first task */
    struct aw_task *group_previous;
    struct aw_task *group_next;
    struct aw_task *all_previous; /* every task that has not finished, for dumps */
    struct aw_task *all_next;
    uint64_t id;
    uint64_t parent_id;
    char name[TASK_NAME_SIZE];
};

struct scheduler {
    struct aw_task *current;
    struct aw_task *ready_first;
    struct aw_task *ready_last;
    struct aw_task *yielded_first; /* ready again from the next turn on */
    struct aw_task *yielded_last;
    struct aw_task *all_first;
    struct aw_task *all_last;
    uint64_t id_count;
    struct aw_task *zombie; /* finished, its stack still to be returned */
    struct context root;
    struct sanitize_stack root_sanitize;
    struct stack_pool stacks;
    struct timer_heap timers;
    struct aw_task *spare_first; /* memory of tasks that have ended, by all_next */
    uint32_t spare_count;
    uint64_t (*now_ns)(void);
    uint64_t turn_began_ns;
    uint64_t stacks_aged_ns;
    struct loop_watch watch;
    uint64_t finish_count;
    uint32_t task_count;
    uint32_t tasks_max;
    uint32_t budget; /* resumes left in this turn */
};

/* The scheduler of this thread, NULL outside aw_run. */
extern _Thread_local struct scheduler *scheduler_of_thread;
static inline struct scheduler *scheduler_here(void)
{
    return scheduler_of_thread;
}

/* The thread may not have one. */
void scheduler_open(struct scheduler *scheduler, const struct aw_options *options,
                    uint64_t (*now_ns)(void));
void scheduler_close(struct scheduler *scheduler);

/* Makes a ready task. `group` NULL: the first task. */
AW_MUST_CHECK int scheduler_spawn(struct scheduler *scheduler, struct aw_group *group,
                                  aw_function function, void *argument, struct aw_task **ret_task);

/* From the root: wakes what is due, runs what is ready until nothing is or the budget is spent. */
void scheduler_run(struct scheduler *scheduler);

/* Until when the loop may wait if no I/O completes: the nearest timer, or the next look at stacks
 * that nobody uses any more. */
uint64_t scheduler_next_ns(const struct scheduler *scheduler);

/* Whether the loop must not wait: a task is ready, or will be at the next turn. */
bool scheduler_has_ready(const struct scheduler *scheduler);

/* Suspends the running task (its state already says why) and runs the next one. */
void scheduler_switch(struct scheduler *scheduler);

/* Frees a finished task. */
void scheduler_free_task(struct aw_task *task);

/* Wakes the task if it is parked and its scopes say that it must not wait any longer. */
void task_interrupt(struct aw_task *task);

/* The scopes that reach the task, as one: whether any is cancelled, and the nearest deadline. */
static inline bool task_is_cancelled(const struct aw_task *task, uint64_t *ret_deadline_ns)
{
    uint64_t nearest = AW_NEVER;
    for (const struct aw_scope *scope = task->scope; scope; scope = scope->outer) {
        if (scope->cancelled)
            return true;
        if (scope->deadline_ns < nearest)
            nearest = scope->deadline_ns;
        if (scope->shield)
            break;
    }
    *ret_deadline_ns = nearest;
    return false;
}

/* 0 or -ETIME. */
int deadline_interruption(uint64_t deadline_ns);

/* 0, -ECANCELED or -ETIME: what the task's scopes say now. Every suspension asks, hence inline. */
static inline int task_interruption(const struct aw_task *task)
{
    uint64_t deadline_ns;
    if (task_is_cancelled(task, &deadline_ns))
        return -ECANCELED;
    return deadline_ns == AW_NEVER ? 0 : deadline_interruption(deadline_ns);
}

/* The nearest deadline of the scopes that reach the task. */
uint64_t task_deadline(const struct aw_task *task);

/* The index of the task that finished first, or `count`. */
size_t tasks_first_finished(size_t count, struct aw_task *const tasks[]);

/* Whether the running task is among them: waiting for itself it would wait for ever. */
bool tasks_hold_current(size_t count, struct aw_task *const tasks[]);

/* The end of a task's life, in its group: takes it off the list and wakes who waits for the group.
 */
void group_child_settled(struct aw_task *task);
void group_unlink(struct aw_task *task);
void group_link(struct aw_group *group, struct aw_task *task);

/* Cancels what is left in the group and waits for it, whatever happens to the caller. */
AW_SUSPENDS void group_settle(struct aw_group *group);

/* Aborts with one line on standard error: a broken invariant inside the library. */
_Noreturn void core_bug(const char *file, int line, const char *condition);
#define core_assert(condition) ((condition) ? (void)0 : core_bug(__FILE__, __LINE__, #condition))

#endif
