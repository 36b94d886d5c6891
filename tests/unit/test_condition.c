/* test_condition.c - condition: notify, order, cancellation, deadline; and once. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

struct shared {
    struct aw_lock lock;
    struct aw_condition condition;
    int stock;
    int order[4];
    int done;
};

struct customer {
    struct shared *shared;
    int number;
};

static bool has_stock(void *argument)
{
    return ((struct shared *)argument)->stock > 0;
}

static int take(void *argument)
{
    struct customer *customer = argument;
    struct shared *shared = customer->shared;
    int result = 0;
    AW_WITH(result, aw_with_lock(&shared->lock)) {
        result = aw_condition_wait_for(&shared->condition, &shared->lock, has_stock, shared);
        cr_expect_eq(shared->lock.owner, aw_current(), "held in every case");
        if (result < 0)
            break;
        shared->stock--;
        shared->order[shared->done++] = customer->number;
    }
    return result;
}

static void open_shop(struct shared *shared, struct customer customers[4], struct aw_task *tasks[4])
{
    *shared = (struct shared){0};
    aw_lock_init(&shared->lock);
    aw_condition_init(&shared->condition);
    for (int i = 0; i < 4; i++) {
        customers[i] = (struct customer){shared, i};
        cr_assert_eq(aw_spawn(&tasks[i], take, &customers[i]), 0);
    }
    cr_assert_eq(aw_yield(), 0);
}

static int notify_in_order(void *argument)
{
    (void)argument;
    struct shared shared;
    struct customer customers[4];
    struct aw_task *tasks[4];
    open_shop(&shared, customers, tasks);
    cr_expect_eq(aw_condition_notify(&shared.condition, 1), 1);
    AW_IGNORE(aw_yield());
    cr_expect_eq(shared.done, 0, "nothing in stock: it waits again, at the end");
    shared.stock = 2;
    cr_expect_eq(aw_condition_notify(&shared.condition, 2), 2);
    while (shared.done < 2)
        cr_assert_eq(aw_yield(), 0);
    shared.stock = 2;
    cr_expect_eq(aw_condition_notify_all(&shared.condition), 2);
    cr_expect_eq(aw_condition_notify_all(&shared.condition), 0);
    cr_expect_eq(aw_gather(4, tasks, NULL), 0);
    int order[4] = {1, 2, 3, 0};
    cr_expect_eq(memcmp(order, shared.order, sizeof order), 0);
    return 0;
}

Test(condition, wakes_in_order_and_waits_until_the_state_is_right)
{
    cr_assert_eq(run(notify_in_order, NULL), 0);
}

static int cancel_one(void *argument)
{
    (void)argument;
    struct shared shared;
    struct customer customers[4];
    struct aw_task *tasks[4];
    open_shop(&shared, customers, tasks);
    aw_cancel(tasks[0]); /* while it waits for the condition */
    cr_expect_eq(aw_await(tasks[0]), -ECANCELED);
    cr_expect_null(shared.lock.owner);
    /* cancelled after the notification, before it ran: the notification counts */
    shared.stock = 3;
    cr_expect_eq(aw_condition_notify(&shared.condition, 1), 1);
    aw_cancel(tasks[1]);
    cr_expect_eq(aw_await(tasks[1]), 0);
    cr_expect_eq(aw_condition_notify_all(&shared.condition), 2);
    cr_expect_eq(aw_await(tasks[2]), 0);
    cr_expect_eq(aw_await(tasks[3]), 0);
    return shared.stock;
}

Test(condition, cancellation_keeps_the_lock_and_loses_no_notification)
{
    cr_assert_eq(run(cancel_one, NULL), 0);
}

static int cancel_while_taking_back(void *argument)
{
    (void)argument;
    struct shared shared;
    struct customer customers[4];
    struct aw_task *tasks[4];
    open_shop(&shared, customers, tasks);
    shared.stock = 1;
    cr_assert_eq(aw_lock_acquire(&shared.lock), 0);
    cr_expect_eq(aw_condition_notify(&shared.condition, 1), 1);
    AW_IGNORE(aw_yield()); /* the first is awake and waits for the lock */
    aw_cancel(tasks[0]);
    AW_IGNORE(aw_yield());
    cr_expect(!aw_finished(tasks[0]));
    aw_lock_release(&shared.lock);
    cr_expect_eq(aw_await(tasks[0]), 0);
    for (int i = 1; i < 4; i++) {
        aw_cancel(tasks[i]);
        cr_expect_eq(aw_await(tasks[i]), -ECANCELED);
    }
    cr_expect_null(shared.lock.owner);
    return 0;
}

Test(condition, taking_the_lock_again_is_not_interrupted)
{
    cr_assert_eq(run(cancel_while_taking_back, NULL), 0);
}

static int errors(void *argument)
{
    (void)argument;
    struct aw_lock lock;
    struct aw_condition condition;
    aw_lock_init(&lock);
    aw_condition_init(&condition);
    cr_expect_eq(aw_condition_wait(&condition, &lock), -EPERM);
    cr_expect_eq(aw_condition_wait_for(&condition, &lock, has_stock, NULL), -EPERM);
    cr_assert_eq(aw_lock_acquire(&lock), 0);
    cr_expect_eq(aw_condition_wait_until(&condition, &lock, aw_after_ms(2)), -ETIME);
    cr_expect_eq(lock.owner, aw_current());
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(2));
    cr_expect_eq(aw_condition_wait(&condition, &lock), -ETIME);
    cr_expect_eq(aw_condition_wait(&condition, &lock), -ETIME, "level: again, at once");
    aw_scope_leave(&scope);
    cr_expect_eq(lock.owner, aw_current());
    aw_lock_release(&lock);
    return 0;
}

Test(condition, deadlines_and_a_lock_that_is_not_held)
{
    cr_assert_eq(run(errors, NULL), 0);
}

/* --- once ------------------------------------------------------------------------------------- */
struct opening {
    struct aw_once once;
    int runs;
    int failures; /* of the first runs */
};

static int open_slowly(void *argument)
{
    struct opening *opening = argument;
    opening->runs++;
    int result = 0;
    for (int turns = 0; turns < 10 && result == 0; turns++)
        result = aw_yield(); /* no time: on a slow machine it would be over too soon */
    if (result < 0)
        return result;
    return opening->failures-- > 0 ? -ECONNREFUSED : 42;
}

static int use(void *argument)
{
    struct opening *opening = argument;
    return aw_once_run(&opening->once, open_slowly, opening);
}

static int run_once(void *argument)
{
    struct opening *opening = argument;
    aw_once_init(&opening->once);
    struct aw_task *tasks[5];
    int results[5];
    for (int i = 0; i < 5; i++)
        cr_assert_eq(aw_spawn(&tasks[i], use, opening), 0);
    AW_IGNORE(aw_yield());
    cr_expect(!aw_once_done(&opening->once));
    aw_cancel(tasks[4]);
    AW_IGNORE(aw_gather(5, tasks, results));
    cr_expect_eq(results[4], -ECANCELED, "a waiter");
    int failed = 0;
    for (int i = 0; i < 4; i++)
        failed += results[i] == -ECONNREFUSED;
    for (int i = failed; i < 4; i++)
        cr_expect_eq(results[i], 42);
    cr_expect(aw_once_done(&opening->once));
    cr_expect_eq(use(opening), 42);
    return failed;
}

Test(once, runs_once_and_gives_its_result_to_all)
{
    struct opening opening = {0};
    cr_assert_eq(run(run_once, &opening), 0);
    cr_assert_eq(opening.runs, 1);
}

Test(once, a_failed_run_is_tried_again_by_the_first_waiter)
{
    struct opening opening = {.failures = 2};
    cr_assert_eq(run(run_once, &opening), 2);
    cr_assert_eq(opening.runs, 3);
}

static int cancel_the_runner(void *argument)
{
    struct opening *opening = argument;
    struct aw_task *tasks[2];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(aw_spawn(&tasks[i], use, opening), 0);
    AW_IGNORE(aw_yield());
    aw_cancel(tasks[0]);
    int results[2];
    cr_expect_eq(aw_gather(2, tasks, results), -ECANCELED);
    return results[1];
}

Test(once, a_cancelled_run_passes_on)
{
    struct opening opening = {0};
    cr_assert_eq(run(cancel_the_runner, &opening), 42);
    cr_assert_eq(opening.runs, 2);
}

static int call_itself(void *argument)
{
    return aw_once_run(argument, call_itself, argument);
}

Test(once, a_run_that_waits_for_itself_is_told)
{
    struct aw_once once;
    aw_once_init(&once);
    cr_assert_eq(run(call_itself, &once), -EDEADLK);
}
