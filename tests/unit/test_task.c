/* test_task.c - tasks: spawn, await, gather, race, sleep, cancellation, structure. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

static int run(aw_function function, void *argument)
{
    struct aw_error error = {0};
    int result = aw_run_with(NULL, function, argument, &error);
    cr_assert(error.number == 0, "aw_run: %s", error.message);
    return result;
}

static int return_argument(void *argument)
{
    return *(int *)argument;
}

Test(task, run_gives_the_result_of_the_first_task)
{
    int number = 42;
    cr_assert_eq(run(return_argument, &number), 42);
    number = -EIO;
    cr_assert_eq(run(return_argument, &number), -EIO);
}

static int run_inside(void *argument)
{
    (void)argument;
    int number = 1;
    struct aw_error error;
    cr_expect_eq(aw_run_with(NULL, return_argument, &number, &error), -EBUSY);
    return 0;
}

Test(task, a_second_loop_on_the_thread_is_refused)
{
    cr_assert_eq(run(run_inside, NULL), 0);
}

Test(task, spawn_outside_a_loop_is_refused)
{
    struct aw_task *task;
    int number = 0;
    cr_assert_eq(aw_spawn(&task, return_argument, &number), -EPERM);
}

struct trace {
    char text[64];
};

static void add(struct trace *trace, char letter)
{
    size_t length = strlen(trace->text);
    trace->text[length] = letter;
    trace->text[length + 1] = '\0';
}

struct step {
    struct trace *trace;
    char letter;
    uint64_t sleep_ms;
    int result;
};

static int sleep_and_add(void *argument)
{
    struct step *step = argument;
    int result = aw_sleep(step->sleep_ms);
    if (result < 0)
        return result;
    add(step->trace, step->letter);
    return step->result;
}

static int gather_in_order(void *argument)
{
    struct trace *trace = argument;
    struct step steps[3] = {
        {trace, 'a', 600, 1}, {trace, 'b', 10, 2}, {trace, 'c', 300, 3}};
    struct aw_task *tasks[3];
    int results[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(aw_spawn(&tasks[i], sleep_and_add, &steps[i]), 0);
    cr_expect_eq(aw_gather(3, tasks, results), 0);
    cr_expect_eq(results[0], 1);
    cr_expect_eq(results[1], 2);
    cr_expect_eq(results[2], 3);
    return 0;
}

Test(task, gather_gives_results_in_the_order_asked)
{
    struct trace trace = {""};
    cr_assert_eq(run(gather_in_order, &trace), 0);
    cr_assert_str_eq(trace.text, "bca");
}

static int gather_first_error(void *argument)
{
    struct trace *trace = argument;
    struct step steps[3] = {
        {trace, 'a', 300, -EIO}, {trace, 'b', 10, -ENOENT}, {trace, 'c', 600, 7}};
    struct aw_task *tasks[3];
    int results[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(aw_spawn(&tasks[i], sleep_and_add, &steps[i]), 0);
    cr_expect_eq(aw_gather(3, tasks, results), -ENOENT);
    cr_expect_eq(results[0], -EIO);
    cr_expect_eq(results[2], 7);
    return 0;
}

Test(task, gather_lets_all_finish_and_gives_the_first_error)
{
    struct trace trace = {""};
    cr_assert_eq(run(gather_first_error, &trace), 0);
    cr_assert_str_eq(trace.text, "bac");
}

static int race_cancels_losers(void *argument)
{
    struct trace *trace = argument;
    struct step steps[3] = {{trace, 'a', 60000, 1}, {trace, 'b', 5, 2}, {trace, 'c', 60000, 3}};
    struct aw_task *tasks[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(aw_spawn(&tasks[i], sleep_and_add, &steps[i]), 0);
    size_t winner = 9;
    cr_expect_eq(aw_race(3, tasks, &winner), 2);
    cr_expect_eq(winner, 1);
    cr_expect_eq(aw_race(0, NULL, &winner), -EINVAL);
    return 0;
}

Test(task, race_gives_the_first_and_cancels_the_rest)
{
    struct trace trace = {""};
    cr_assert_eq(run(race_cancels_losers, &trace), 0);
    cr_assert_str_eq(trace.text, "b");
}

static int level_triggered(void *argument)
{
    int *cancelled_waits = argument;
    for (int i = 0; i < 5; i++)
        if (aw_sleep(60000) == -ECANCELED)
            ++*cancelled_waits;
    if (aw_yield() == -ECANCELED)
        ++*cancelled_waits;
    return 9;
}

static int cancel_a_sleeper(void *argument)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, level_triggered, argument), 0);
    cr_assert_eq(aw_sleep(1), 0);
    aw_cancel(task);
    aw_cancel(task);
    return aw_await(task);
}

Test(task, cancellation_reaches_every_suspension_point)
{
    int cancelled_waits = 0;
    cr_assert_eq(run(cancel_a_sleeper, &cancelled_waits), 9);
    cr_assert_eq(cancelled_waits, 6);
}

static int cancel_before_first_run(void *argument)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, level_triggered, argument), 0);
    aw_cancel(task);
    return aw_await(task);
}

Test(task, a_task_cancelled_before_it_ran_still_runs_and_sees_it)
{
    int cancelled_waits = 0;
    cr_assert_eq(run(cancel_before_first_run, &cancelled_waits), 9);
    cr_assert_eq(cancelled_waits, 6);
}

static int parent_leaves_child(void *argument)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, level_triggered, argument), 0);
    return aw_sleep(1);
}

static int parent_finishes_after_child(void *argument)
{
    struct aw_task *parent;
    cr_assert_eq(aw_spawn(&parent, parent_leaves_child, argument), 0);
    cr_assert_eq(aw_await(parent), 0);
    /* the child has been cancelled and has run to its end by now */
    cr_expect_eq(*(int *)argument, 6);
    return 0;
}

Test(task, a_child_left_behind_is_cancelled_and_settled)
{
    int cancelled_waits = 0;
    cr_assert_eq(run(parent_finishes_after_child, &cancelled_waits), 0);
}

static int await_child(void *argument)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, level_triggered, argument), 0);
    return aw_await(task);
}

static int cancel_the_awaiter(void *argument)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, await_child, argument), 0);
    cr_assert_eq(aw_sleep(1), 0);
    aw_cancel(task);
    return aw_await(task);
}

Test(task, cancelling_who_awaits_cancels_what_is_awaited)
{
    int cancelled_waits = 0;
    cr_assert_eq(run(cancel_the_awaiter, &cancelled_waits), 9);
    cr_assert_eq(cancelled_waits, 6);
}

static int wait_with_deadline(void *argument)
{
    struct trace *trace = argument;
    struct step step = {trace, 'x', 30, 5};
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, sleep_and_add, &step), 0);
    cr_expect_eq(aw_wait(task, aw_after_ms(1)), -ETIME);
    cr_expect(!aw_finished(task));
    cr_expect_eq(aw_wait(task, AW_NEVER), 0);
    cr_expect(aw_finished(task));
    cr_expect_eq(aw_wait(aw_current(), AW_NEVER), -EDEADLK);
    return aw_await(task);
}

Test(task, wait_leaves_the_task_running)
{
    struct trace trace = {""};
    cr_assert_eq(run(wait_with_deadline, &trace), 5);
    cr_assert_str_eq(trace.text, "x");
}

static int tiny(void *argument)
{
    return aw_yield() + ++*(int *)argument;
}

static int spawn_many(void *argument)
{
    for (int round = 0; round < 100; round++) {
        struct aw_task *tasks[1000];
        for (int i = 0; i < 1000; i++)
            cr_assert_eq(aw_spawn(&tasks[i], tiny, argument), 0);
        cr_assert_eq(aw_gather(1000, tasks, NULL), 0);
        cr_assert_eq(aw_task_count(), 2);
    }
    return 0;
}

Test(task, a_hundred_thousand_tasks_come_and_go)
{
    int count = 0;
    cr_assert_eq(run(spawn_many, &count), 0);
    cr_assert_eq(count, 100000);
}

static int detach_some(void *argument)
{
    for (int i = 0; i < 50; i++) {
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, tiny, argument), 0);
        aw_detach(task);
        if (i % 10 == 0)
            cr_assert_eq(aw_sleep(1), 0);
    }
    return aw_sleep(5);
}

Test(task, detached_tasks_free_themselves)
{
    int count = 0;
    cr_assert_eq(run(detach_some, &count), 0);
    cr_assert_eq(count, 50);
}

static int limit(void *argument)
{
    struct aw_task *tasks[8];
    int spawned = 0;
    while (spawned < 8 && aw_spawn(&tasks[spawned], tiny, argument) == 0)
        spawned++;
    cr_expect_eq(spawned, 3);
    struct aw_task *one_more;
    cr_expect_eq(aw_spawn(&one_more, tiny, argument), -EAGAIN);
    return aw_gather((size_t)spawned, tasks, NULL);
}

Test(task, the_limit_of_tasks_is_kept)
{
    int count = 0;
    struct aw_options options = {.tasks_max = 5};
    struct aw_error error;
    cr_assert_eq(aw_run_with(&options, limit, &count, &error), 0);
    cr_assert_eq(count, 3);
}

static int floats(void *argument)
{
    volatile double *value = argument;
    double local = *value;
    for (int i = 0; i < 20; i++) {
        local = local * 1.5 + 1.0;
        (void)aw_yield();
    }
    *value = local;
    return 0;
}

static int float_tasks(void *argument)
{
    (void)argument;
    double values[2] = {1.0, 2.0};
    struct aw_task *tasks[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(aw_spawn(&tasks[i], floats, &values[i]), 0);
    cr_assert_eq(aw_gather(2, tasks, NULL), 0);
    for (int i = 0; i < 2; i++) {
        double expected = i + 1.0;
        for (int round = 0; round < 20; round++)
            expected = expected * 1.5 + 1.0;
        cr_expect_float_eq(values[i], expected, 1e-9);
    }
    return 0;
}

Test(task, registers_survive_a_switch)
{
    cr_assert_eq(run(float_tasks, NULL), 0);
}

struct late {
    struct aw_task *task;
    uint64_t now_ns;
    int waited;
};

static int waits_with_deadline(void *argument)
{
    struct late *late = argument;
    struct aw_event never;
    aw_event_init(&never);
    struct aw_scope scope;
    aw_scope_enter(&scope, late->now_ns + 3 * AW_NS_PER_MS);
    late->waited = aw_event_wait(&never);
    aw_scope_leave(&scope);
    return 0;
}

static int wakes_and_cancels(void *argument)
{
    struct late *late = argument;
    cr_expect_eq(aw_sleep_until(late->now_ns + 2 * AW_NS_PER_MS), 0);
    aw_cancel(late->task);
    return 0;
}

/* Keeps the loop from turning until both deadlines are past: then both wake in the same turn, the
 * canceller first. */
static int cancel_after_the_deadline(void *argument)
{
    struct late *late = argument;
    struct aw_task *canceller;
    late->now_ns = aw_now_ns();
    cr_assert_eq(aw_spawn(&canceller, wakes_and_cancels, late), 0);
    cr_assert_eq(aw_spawn(&late->task, waits_with_deadline, late), 0);
    aw_yield();
    while (aw_now_ns() < late->now_ns + 6 * AW_NS_PER_MS) {
    }
    struct aw_task *tasks[2] = {canceller, late->task};
    return aw_gather(2, tasks, NULL);
}

Test(task, cancellation_outranks_a_deadline_that_woke_first)
{
    struct late late = {.waited = 1};
    cr_assert_eq(run(cancel_after_the_deadline, &late), 0);
    cr_assert_eq(late.waited, -ECANCELED);
}

static int sleeps_in_scope(void *argument)
{
    int *result = argument;
    struct aw_scope scope;
    uint64_t now = aw_now_ns();
    aw_scope_enter(&scope, now + 4 * AW_NS_PER_MS);
    *result = aw_sleep_until(now + 2 * AW_NS_PER_MS);
    aw_scope_leave(&scope);
    return 0;
}

static int keeps_the_loop_busy(void *argument)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, sleeps_in_scope, argument), 0);
    aw_yield();
    uint64_t until = aw_after_ms(10);
    while (aw_now_ns() < until) {
    }
    return aw_await(task);
}

Test(task, a_sleep_that_ends_before_the_deadline_is_no_timeout_on_a_late_loop)
{
    int result = 1;
    cr_assert_eq(run(keeps_the_loop_busy, &result), 0);
    cr_assert_eq(result, 0);
}

static int waits_for_itself(void *argument)
{
    (void)argument;
    int number = 3;
    struct aw_task *tasks[2] = {NULL, aw_current()};
    size_t winner = 9;
    cr_assert_eq(aw_spawn(&tasks[0], return_argument, &number), 0);
    cr_expect_eq(aw_gather(2, tasks, NULL), -EDEADLK);
    cr_expect_eq(aw_race(2, tasks, &winner), -EDEADLK);
    cr_expect_eq(winner, 9);
    return aw_await(tasks[0]);
}

Test(task, gather_and_race_refuse_the_caller_itself, .timeout = 120)
{
    cr_assert_eq(run(waits_for_itself, NULL), 3);
}

static int named(void *argument)
{
    (void)argument;
    struct aw_task *task;
    int number = 0;
    cr_expect_str_eq(aw_task_name(aw_current()), "main");
    cr_assert_eq(aw_spawn(&task, return_argument, &number), 0);
    cr_expect_str_eq(aw_task_name(task), "task");
    aw_task_set_name(task, "a name that is longer than the room there is for it");
    cr_expect_eq(strlen(aw_task_name(task)), 31);
    aw_task_set_name(NULL, "self");
    cr_expect_str_eq(aw_task_name(aw_current()), "self");
    return aw_await(task);
}

Test(task, names_are_kept_and_cut)
{
    cr_assert_eq(run(named, NULL), 0);
    aw_task_set_name(NULL, "nobody");
}

static int runs_for_a_while(void *argument)
{
    (void)argument;
    cr_assert_eq(aw_yield(), 0);
    uint64_t began = aw_now_ns();
    while (aw_running_ns() < AW_NS_PER_MS) {
    }
    cr_expect_lt(began, aw_now_ns());
    uint64_t before = aw_running_ns();
    cr_assert_eq(aw_yield(), 0); /* the loop has looked: counted from there */
    cr_expect_lt(aw_running_ns(), before + AW_NS_PER_S);
    return 0;
}

Test(task, how_long_it_has_run_counts_from_the_last_turn)
{
    cr_expect_eq(aw_running_ns(), 0, "outside a loop");
    cr_assert_eq(run(runs_for_a_while, NULL), 0);
}

Test(task, a_yield_outside_a_loop_aborts, .signal = SIGABRT)
{
    AW_IGNORE(aw_yield());
}
