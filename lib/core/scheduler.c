/* scheduler.c - see scheduler.h. */
#include "core/scheduler.h"

#include "core/park.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STACK_SIZE_DEFAULT (256u * 1024)
#define STACK_SIZE_MIN (16u * 1024)
#define TASKS_MAX_DEFAULT (4u * 1024 * 1024)
#define TASKS_MAX (1u << 30) /* what the heap of timers can count */
/* Resumes before the loop looks at I/O and timers again: two tasks that wake each other for ever
 * must not starve the rest. */
#define TURN_BUDGET 512u
#define STACKS_AGE_NS (UINT64_C(1) << 30) /* about a second */
/* AddressSanitizer must see every use after the end. */
#ifdef SANITIZE_ADDRESS
#define SPARE_TASKS_MAX 0u
#else
#define SPARE_TASKS_MAX 1024u
#endif

_Thread_local struct scheduler *scheduler_of_thread;

_Noreturn void core_bug(const char *file, int line, const char *condition)
{
    /* the process ends here, and this is the only trace of why */
    fprintf(stderr, "libawait: %s:%d: %s\n", file, line, condition); /* lint: direct - a bug */
    abort();
}

void scheduler_open(struct scheduler *scheduler, const struct aw_options *options,
                    uint64_t (*now_ns)(void))
{
    core_assert(!scheduler_here());
    size_t stack_size =
        options && options->stack_size_bytes ? options->stack_size_bytes : STACK_SIZE_DEFAULT;
    if (stack_size < STACK_SIZE_MIN)
        stack_size = STACK_SIZE_MIN;
    memset(scheduler, 0, sizeof *scheduler);
    scheduler->tasks_max = options && options->tasks_max ? options->tasks_max : TASKS_MAX_DEFAULT;
    if (scheduler->tasks_max > TASKS_MAX)
        scheduler->tasks_max = TASKS_MAX;
    scheduler->now_ns = now_ns;
    scheduler->turn_began_ns = now_ns();
    scheduler->stacks_aged_ns = scheduler->turn_began_ns;
    stack_pool_init(&scheduler->stacks, stack_size);
    sanitize_root(&scheduler->root_sanitize);
    scheduler_of_thread = scheduler;
}

static void reap_zombie(struct scheduler *scheduler)
{
    struct aw_task *task = scheduler->zombie;
    scheduler->zombie = NULL;
    stack_return(&scheduler->stacks, task->stack);
    task->stack = NULL;
    if (!task->handle_held)
        scheduler_free_task(task);
}

static inline void reap(struct scheduler *scheduler)
{
    if (scheduler->zombie)
        reap_zombie(scheduler);
}

/* Tasks often end many at once, for which malloc has no cache. */
static struct aw_task *take_memory(struct scheduler *scheduler)
{
    struct aw_task *task = scheduler->spare_first;
    if (!task)
        return malloc(sizeof *task);
    scheduler->spare_first = task->all_next;
    scheduler->spare_count--;
    return task;
}

void scheduler_close(struct scheduler *scheduler)
{
    core_assert(scheduler == scheduler_here() && !scheduler->current);
    reap(scheduler);
    while (scheduler->spare_first)
        free(take_memory(scheduler));
    stack_pool_destroy(&scheduler->stacks);
    timers_free(&scheduler->timers);
    scheduler_of_thread = NULL;
}

static void make_ready(struct scheduler *scheduler, struct aw_task *task)
{
    task->state = TASK_READY;
    task->next_ready = NULL;
    if (scheduler->ready_last)
        scheduler->ready_last->next_ready = task;
    else
        scheduler->ready_first = task;
    scheduler->ready_last = task;
}

/* The next context to run: a task while the budget lasts, else the root. */
static struct aw_task *take_next(struct scheduler *scheduler)
{
    struct aw_task *task = scheduler->ready_first;
    if (!task || scheduler->budget == 0)
        return NULL;
    scheduler->budget--;
    scheduler->ready_first = task->next_ready;
    if (!scheduler->ready_first)
        scheduler->ready_last = NULL;
    task->state = TASK_RUNNING;
    return task;
}

SANITIZE_NO_FRAME void scheduler_switch(struct scheduler *scheduler)
{
    struct aw_task *self = scheduler->current;
    struct aw_task *next = take_next(scheduler);
    if (next == self)
        return;
    if (scheduler->watch.ticks && self)
        loop_watch_leave(&scheduler->watch, self);
    struct context *from = self ? &self->context : &scheduler->root;
    struct context *to = next ? &next->context : &scheduler->root;
    struct sanitize_stack *from_stack = self ? &self->stack->sanitize : &scheduler->root_sanitize;
    struct sanitize_stack *to_stack = next ? &next->stack->sanitize : &scheduler->root_sanitize;

    scheduler->current = next;
    sanitize_switch_begin(from_stack, to_stack, self && self->state == TASK_FINISHED);
    context_switch(from, to);
    sanitize_switch_end(from_stack, NULL);
    reap(scheduler);
}

static SANITIZE_NO_FRAME void run_turn(struct scheduler *scheduler)
{
    if (scheduler->watch.ticks)
        loop_watch_turn_begin(&scheduler->watch);
    scheduler_switch(scheduler);
    if (scheduler->watch.ticks)
        loop_watch_turn_end(&scheduler->watch, scheduler->now_ns() - scheduler->turn_began_ns);
}

void scheduler_run(struct scheduler *scheduler)
{
    scheduler->turn_began_ns = scheduler->now_ns();
    if (scheduler->turn_began_ns - scheduler->stacks_aged_ns >= STACKS_AGE_NS) {
        scheduler->stacks_aged_ns = scheduler->turn_began_ns;
        stack_pool_age(&scheduler->stacks);
    }
    struct timer *timer;
    while ((timer = timers_pop_expired(&scheduler->timers, scheduler->turn_began_ns))) {
        struct aw_task *task = (struct aw_task *)((char *)timer - offsetof(struct aw_task, timer));
        wake(task, -ETIME);
    }
    if (scheduler->yielded_first) {
        if (scheduler->ready_last)
            scheduler->ready_last->next_ready = scheduler->yielded_first;
        else
            scheduler->ready_first = scheduler->yielded_first;
        scheduler->ready_last = scheduler->yielded_last;
        scheduler->yielded_first = NULL;
        scheduler->yielded_last = NULL;
    }
    scheduler->budget = TURN_BUDGET;
    if (scheduler->ready_first)
        run_turn(scheduler);
}

uint64_t scheduler_next_ns(const struct scheduler *scheduler)
{
    uint64_t timer_ns = timers_next(&scheduler->timers);
    if (!stack_pool_has_surplus(&scheduler->stacks))
        return timer_ns;
    uint64_t age_ns = scheduler->stacks_aged_ns + STACKS_AGE_NS;
    return age_ns < timer_ns ? age_ns : timer_ns;
}

bool scheduler_has_ready(const struct scheduler *scheduler)
{
    return scheduler->ready_first || scheduler->yielded_first;
}

static void list_all(struct scheduler *scheduler, struct aw_task *task)
{
    task->id = ++scheduler->id_count;
    task->parent_id = scheduler->current ? scheduler->current->id : 0;
    task->state_since_ns = scheduler->turn_began_ns;
    task->all_previous = scheduler->all_last;
    if (scheduler->all_last)
        scheduler->all_last->all_next = task;
    else
        scheduler->all_first = task;
    scheduler->all_last = task;
}

static void unlist_all(struct scheduler *scheduler, struct aw_task *task)
{
    if (task->all_previous)
        task->all_previous->all_next = task->all_next;
    else
        scheduler->all_first = task->all_next;
    if (task->all_next)
        task->all_next->all_previous = task->all_previous;
    else
        scheduler->all_last = task->all_previous;
}

static SANITIZE_NO_FRAME void task_main(void *argument)
{
    struct aw_task *task = argument;
    struct scheduler *scheduler = scheduler_here();

    sanitize_switch_end(NULL, &scheduler->root_sanitize);
    reap(scheduler);
    task->result = task->function(task->argument);
    if (task->result >= 0 && task->kept_error < 0)
        task->result = task->kept_error;
    core_assert(task->scope == &task->root_scope); /* a scope was entered and not left */
    if (task->children.first)
        group_settle(&task->children);
    task->state = TASK_FINISHED;
    task->finish_order = ++scheduler->finish_count;
    unlist_all(scheduler, task);
    scheduler->task_count--;
    if (task->joiners.first)
        wait_list_grant_all(&task->joiners);
    group_child_settled(task);
    scheduler->zombie = task;
    scheduler_switch(scheduler);
    core_bug(__FILE__, __LINE__, "a finished task ran again");
}

int scheduler_spawn(struct scheduler *scheduler, struct aw_group *group, aw_function function,
                    void *argument, struct aw_task **ret_task)
{
    if (group && group->closed)
        return -ECANCELED;
    if (scheduler->task_count >= scheduler->tasks_max)
        return -EAGAIN;
    int result = timers_reserve(&scheduler->timers, scheduler->task_count + 1);
    if (result < 0)
        return result;
    struct aw_task *task = take_memory(scheduler);
    if (!task)
        return -ENOMEM;
    memset(task, 0, sizeof *task);
    result = stack_take(&scheduler->stacks, &task->stack);
    if (result < 0) {
        scheduler_free_task(task);
        return result;
    }
    context_prepare(&task->context, task->stack->bottom, task->stack->size, task_main, task);
    task->function = function;
    task->argument = argument;
    task->root_scope = (struct aw_scope){.task = task, .deadline_ns = AW_NEVER};
    task->scope = &task->root_scope;
    aw_group_init(&task->children, AW_GROUP_COLLECT);
    if (group)
        group_link(group, task);
    scheduler->task_count++;
    list_all(scheduler, task);
    make_ready(scheduler, task);
    *ret_task = task;
    return 0;
}

void scheduler_free_task(struct aw_task *task)
{
    struct scheduler *scheduler = scheduler_here();
    if (!scheduler || scheduler->spare_count >= SPARE_TASKS_MAX) {
        free(task);
        return;
    }
    task->all_next = scheduler->spare_first;
    scheduler->spare_first = task;
    scheduler->spare_count++;
}

uint64_t task_deadline(const struct aw_task *task)
{
    uint64_t nearest = AW_NEVER;
    for (const struct aw_scope *scope = task->scope; scope; scope = scope->outer) {
        if (scope->deadline_ns < nearest)
            nearest = scope->deadline_ns;
        if (scope->shield)
            break;
    }
    return nearest;
}

int deadline_interruption(uint64_t deadline_ns)
{
    return scheduler_here()->now_ns() >= deadline_ns ? -ETIME : 0;
}

void task_interrupt(struct aw_task *task)
{
    if (task->state != TASK_PARKED || !task->interruptible)
        return;
    int interruption = task_interruption(task);
    if (interruption < 0)
        wake(task, interruption);
}

void wake(struct aw_task *task, int result)
{
    if (task->state != TASK_PARKED)
        return;
    struct scheduler *scheduler = scheduler_here();
    if (task->timer.position != 0)
        timer_disarm(&scheduler->timers, &task->timer);
    task->wake_result = result;
    make_ready(scheduler, task);
}

static int suspend(struct scheduler *scheduler, const char *where, bool interruptible,
                   uint64_t deadline_ns)
{
    struct aw_task *task = scheduler->current;
    task->where = where;
    task->state_since_ns = scheduler->turn_began_ns; /* the clock itself would cost a switch */
    task->interruptible = interruptible;
    task->state = TASK_PARKED;
    if (deadline_ns != AW_NEVER)
        timer_arm(&scheduler->timers, &task->timer, deadline_ns);
    scheduler_switch(scheduler);
    task->where = NULL;
    /* a deadline woke it, and before it ran somebody cancelled it: that outranks the deadline */
    if (interruptible && task->wake_result == -ETIME && task_interruption(task) == -ECANCELED)
        return -ECANCELED;
    return task->wake_result;
}

int park_until(const char *where, uint64_t deadline_ns)
{
    struct scheduler *scheduler = scheduler_here();
    core_assert(scheduler && scheduler->current); /* suspending outside a task */
    uint64_t nearest;
    if (task_is_cancelled(scheduler->current, &nearest))
        return -ECANCELED;
    if (nearest != AW_NEVER && deadline_interruption(nearest) < 0)
        return -ETIME;
    return suspend(scheduler, where, true, deadline_ns < nearest ? deadline_ns : nearest);
}

int park(const char *where)
{
    return park_until(where, AW_NEVER);
}

int park_shielded(const char *where)
{
    struct scheduler *scheduler = scheduler_here();
    core_assert(scheduler && scheduler->current);
    return suspend(scheduler, where, false, AW_NEVER);
}

void yield_shielded(void)
{
    struct scheduler *scheduler = scheduler_here();
    core_assert(scheduler && scheduler->current);
    struct aw_task *task = scheduler->current;
    task->state = TASK_READY;
    task->next_ready = NULL;
    if (scheduler->yielded_last)
        scheduler->yielded_last->next_ready = task;
    else
        scheduler->yielded_first = task;
    scheduler->yielded_last = task;
    scheduler_switch(scheduler);
}
