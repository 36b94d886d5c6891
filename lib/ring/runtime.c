/* runtime.c - aw_run: one loop that runs the ready tasks, then turns the ring.
 *
 * A turn: tasks until none is ready (or the budget is spent); then one system call that both
 * submits and waits, until the nearest timer; completions are all taken before any task runs. */
#include "ring/runtime.h"

#include "core/scheduler.h"
#include "ring/backend.h"
#include "ring/mailbox_internal.h"
#include "ring/operation.h"

#include <await/task.h>

#include <errno.h>
#include <string.h>

#define HOOKS_MAX 16u
#define OPERATIONS_MAX_DEFAULT 65536u
#define OFFLOAD_THREADS_DEFAULT 4u

struct hook {
    void (*function)(void *argument);
    void *argument;
};

struct runtime {
    struct scheduler scheduler;
    struct aw_options options;
    struct hook hooks[HOOKS_MAX];
    unsigned hook_count;
    aw_function function;
    void *argument;
    struct aw_error *reterr;
    int result;
};

static _Thread_local struct runtime *current;

int runtime_at_exit(void (*function)(void *argument), void *argument)
{
    if (!current)
        return -EPERM;
    if (current->hook_count == HOOKS_MAX)
        return -ENOSPC;
    current->hooks[current->hook_count++] = (struct hook){function, argument};
    return 0;
}

const struct aw_options *runtime_options(void)
{
    return &current->options;
}

static int explain_start(int number, struct aw_error *reterr)
{
    if (number == -EAGAIN)
        return aw_error_set(reterr, number, "aw_run: tasks_max leaves no room for the first task; "
                                            "it must be 2 at least");
    return aw_error_set(reterr, number, "aw_run: starting the first task: %s; raise the limits of "
                                        "memory and of mappings (vm.max_map_count)",
                        aw_error_text(number));
}

/* The outermost task: the program's first one is its child, so that all tasks have settled before
 * the hooks run. */
static int root_task(void *argument)
{
    struct runtime *runtime = argument;
    struct aw_task *task;
    int result = aw_spawn(&task, runtime->function, runtime->argument);
    if (result == 0) {
        aw_task_set_name(task, "main");
        result = aw_await(task);
    } else {
        result = explain_start(result, runtime->reterr);
    }
    runtime->result = result;
    while (runtime->hook_count > 0) {
        struct hook *hook = &runtime->hooks[--runtime->hook_count];
        hook->function(hook->argument);
    }
    return 0;
}

static void deliver(const struct backend_completion *completion)
{
    if (completion->tag == TAG_CANCEL)
        return;
    if (completion->tag == TAG_MAILBOX)
        mailbox_completed(completion->result);
    else
        operations_deliver(completion);
}

static void turn(uint64_t deadline_ns)
{
    int result = backend_turn(deadline_ns, deliver);
    /* the ring is gone from under every task: there is nobody left to tell */
    core_assert(result == 0);
}

static void run_loop(struct runtime *runtime, struct aw_task *root)
{
    struct scheduler *scheduler = &runtime->scheduler;
    for (;;) {
        scheduler_run(scheduler);
        if (root->state == TASK_FINISHED)
            break;
        bool may_wait = mailbox_listen() && !scheduler_has_ready(scheduler);
        turn(may_wait ? scheduler_next_ns(scheduler) : 0);
    }
    mailbox_close_begin();
    while (mailbox_pending())
        turn(AW_NEVER);
    mailbox_close_end();
}

static void fill_options(struct aw_options *filled, const struct aw_options *options)
{
    if (options)
        *filled = *options;
    if (filled->operations_max == 0)
        filled->operations_max = OPERATIONS_MAX_DEFAULT;
    if (filled->offload_threads_max == 0)
        filled->offload_threads_max = OFFLOAD_THREADS_DEFAULT;
}

int aw_run_with(const struct aw_options *options, aw_function function, void *argument,
                struct aw_error *reterr)
{
    if (scheduler_here())
        return aw_error_set(reterr, -EBUSY, "aw_run: a loop already runs on this thread");
    if (options && options->stack_size_bytes > STACK_SIZE_MAX)
        return aw_error_set(reterr, -EINVAL, "aw_run: stack_size_bytes is %zu; %zu is the most",
                            options->stack_size_bytes, STACK_SIZE_MAX);
    struct runtime runtime = {.function = function, .argument = argument, .reterr = reterr};
    fill_options(&runtime.options, options);
    int result = backend_open(runtime.options.operations_max, reterr);
    if (result < 0)
        return result;
    scheduler_open(&runtime.scheduler, &runtime.options, backend_monotonic_ns);
    operations_open(runtime.options.operations_max);
    current = &runtime;
    struct aw_task *root = NULL;
    result = scheduler_spawn(&runtime.scheduler, NULL, root_task, &runtime, &root);
    if (result == 0) {
        root->handle_held = true;
        run_loop(&runtime, root);
        result = runtime.result;
    } else {
        result = explain_start(result, reterr);
    }
    scheduler_close(&runtime.scheduler);
    scheduler_free_task(root);
    operations_close();
    backend_close();
    current = NULL;
    return result;
}

int aw_run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}
