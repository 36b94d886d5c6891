/* cancel.c - see cancel.h */
#include "support/cancel.h"

#include "core/scheduler.h"
#include "ring/operation.h"
#include "support/process.h"

#include <await/clock.h>
#include <await/error.h>
#include <await/offload.h>
#include <await/scope.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/wait.h>

#define TURNS_ONE_BY_ONE 24
#define TURNS_MAX 2000000
#define SETTLE_MS 30000u
#define QUIET_MS 50u

struct before {
    int descriptors;
    uint32_t tasks;
    uint32_t slots;
    bool has_child; /* a server of the test's own */
};

/* A client's own tasks may be about something for a while, and a thread that nobody waits for any
 * more has descriptors of its own: they get time to end it. */
static bool settled(const struct before *before)
{
    uint64_t until_ns = aw_after_ms(SETTLE_MS);
    while (aw_task_count() > before->tasks || operations_running() > before->slots ||
           open_descriptors() != before->descriptors) {
        if (aw_now_ns() > until_ns)
            return false;
        aw_sleep(1);
    }
    return true;
}

static void expect_nothing_left(const struct before *before, int turns)
{
    cr_expect(settled(before),
              "%d turns: %u tasks, %u operations and %d descriptors are left, were %u, %u and %d",
              turns, aw_task_count(), operations_running(), open_descriptors(), before->tasks,
              before->slots, before->descriptors);
    cr_expect(before->has_child || (waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD),
              "%d turns: a child is left", turns);
}

/* The descriptors that are open for good: what the first round had on its way out, a cancelled
 * query's own connection for example, is not counted. */
static int lasting_descriptors(void)
{
    int descriptors = open_descriptors();
    for (unsigned quiet_ms = 0; quiet_ms < QUIET_MS; quiet_ms++) {
        aw_sleep(1);
        int now = open_descriptors();
        if (now != descriptors)
            quiet_ms = 0;
        descriptors = now;
    }
    return descriptors;
}

static int nothing(void *argument)
{
    (void)argument;
    return 0;
}

/* The function in a scope of its own, whose deadline passes when the rounds say so. */
struct stopped {
    aw_function function;
    void *argument;
    struct aw_scope scope;
    bool inside;
};

static int run_in_scope(void *argument)
{
    struct stopped *stopped = argument;
    aw_scope_enter(&stopped->scope, AW_NEVER);
    stopped->inside = true;
    int result = stopped->function(stopped->argument);
    stopped->inside = false;
    aw_scope_leave(&stopped->scope);
    return result;
}

static void stop(struct aw_task *task, struct stopped *stopped, int how)
{
    if (how == -ECANCELED) {
        aw_cancel(task);
    } else if (stopped->inside) {
        stopped->scope.deadline_ns = aw_now_ns();
        task_interrupt(task);
    }
}

/* `how`: what its suspensions give once it is stopped. */
static int stop_everywhere(const struct before *known, aw_function function, void *argument,
                           int how)
{
    struct before before = *known;
    int in_time_count = 0;
    for (int turns = 0; turns < TURNS_MAX; turns += turns < TURNS_ONE_BY_ONE ? 1 : turns / 3) {
        struct stopped stopped = {.function = function, .argument = argument};
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, run_in_scope, &stopped), 0);
        /* one cancelled before its first turn never begins; a deadline needs its scope */
        for (int i = how == -ECANCELED ? 0 : -1; i < turns && !aw_finished(task); i++)
            aw_yield();
        bool in_time = !aw_finished(task);
        stop(task, &stopped, how);
        int result = aw_await(task);
        cr_expect(result >= 0 || (in_time && result == how), "%d turns, %s: %d", turns,
                  aw_error_text(how), result);
        expect_nothing_left(&before, turns);
        if (!in_time)
            return in_time_count;
        in_time_count++;
    }
    cr_assert_fail("the function never ends");
    return -1;
}

int cancel_everywhere(aw_function function, void *argument)
{
    /* what is opened at first use is there after a call on a thread and one whole round */
    cr_assert_eq(aw_to_thread(nothing, NULL), 0);
    int whole = function(argument);
    cr_assert_geq(whole, 0, "uncancelled: %d", whole);
    struct before before = {lasting_descriptors(), aw_task_count(), operations_running(),
                            waitpid(-1, NULL, WNOHANG) == 0};
    int cancelled = stop_everywhere(&before, function, argument, -ECANCELED);
    (void)stop_everywhere(&before, function, argument, -ETIME);
    return cancelled;
}
