/* test_scope.c - deadlines, cancellation and shields. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

static int deadline_is_level(void *argument)
{
    (void)argument;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_sleep(60000), -ETIME);
    cr_expect_eq(aw_sleep(60000), -ETIME);
    cr_expect_eq(aw_yield(), -ETIME);
    cr_expect_eq(aw_interrupted(), -ETIME);
    cr_expect(aw_scope_expired(&scope));
    aw_scope_leave(&scope);
    cr_expect_eq(aw_interrupted(), 0);
    return aw_sleep(1);
}

Test(scope, a_deadline_ends_every_wait_until_the_scope_is_left)
{
    cr_assert_eq(run(deadline_is_level, NULL), 0);
}

static int nested(void *argument)
{
    (void)argument;
    struct aw_scope outer;
    struct aw_scope inner;
    aw_scope_enter(&outer, aw_after_ms(5));
    aw_scope_enter(&inner, aw_after_ms(60000));
    cr_expect_eq(aw_sleep(30000), -ETIME);
    cr_expect(!aw_scope_expired(&inner));
    cr_expect(aw_scope_expired(&outer));
    aw_scope_leave(&inner);
    aw_scope_leave(&outer);
    return 0;
}

Test(scope, the_nearest_deadline_counts_and_says_whose_it_was)
{
    cr_assert_eq(run(nested, NULL), 0);
}

static int sleep_shorter_than_scope(void *argument)
{
    (void)argument;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(60000));
    cr_expect_eq(aw_sleep(2), 0);
    aw_scope_leave(&scope);
    return 0;
}

Test(scope, a_sleep_that_ends_in_time_is_no_timeout)
{
    cr_assert_eq(run(sleep_shorter_than_scope, NULL), 0);
}

static int cleans_up(void *argument)
{
    int *steps = argument;
    if (aw_sleep(60000) == -ECANCELED)
        ++*steps;
    struct aw_scope shield;
    aw_shield_enter(&shield, aw_after_ms(60000));
    if (aw_sleep(2) == 0)
        ++*steps;
    aw_scope_leave(&shield);
    if (aw_sleep(1) == -ECANCELED)
        ++*steps;
    return 0;
}

static int shielded(void *argument)
{
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, cleans_up, argument), 0);
    cr_assert_eq(aw_sleep(1), 0);
    aw_cancel(task);
    return aw_await(task);
}

Test(scope, a_shield_keeps_cancellation_out)
{
    int steps = 0;
    cr_assert_eq(run(shielded, &steps), 0);
    cr_assert_eq(steps, 3);
}

static int shield_has_its_own_deadline(void *argument)
{
    (void)argument;
    struct aw_scope shield;
    aw_shield_enter(&shield, aw_after_ms(2));
    cr_expect_eq(aw_sleep(60000), -ETIME);
    aw_scope_leave(&shield);
    return 0;
}

Test(scope, a_shield_ends_at_its_own_deadline)
{
    cr_assert_eq(run(shield_has_its_own_deadline, NULL), 0);
}

struct holder {
    struct aw_scope scope;
    int inside;
    int after;
};

static int waits_in_scope(void *argument)
{
    struct holder *holder = argument;
    aw_scope_enter(&holder->scope, AW_NEVER);
    holder->inside = aw_sleep(60000);
    aw_scope_leave(&holder->scope);
    holder->after = aw_sleep(1);
    return 0;
}

static int cancel_only_the_scope(void *argument)
{
    struct holder *holder = argument;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, waits_in_scope, holder), 0);
    cr_assert_eq(aw_sleep(1), 0);
    aw_scope_cancel(&holder->scope);
    return aw_await(task);
}

Test(scope, cancelling_a_scope_spares_what_comes_after_it)
{
    struct holder holder = {.inside = 1, .after = 1};
    cr_assert_eq(run(cancel_only_the_scope, &holder), 0);
    cr_assert_eq(holder.inside, -ECANCELED);
    cr_assert_eq(holder.after, 0);
}

static int both(void *argument)
{
    (void)argument;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(0));
    cr_expect_eq(aw_sleep(1), -ETIME);
    aw_scope_cancel(&scope);
    cr_expect_eq(aw_sleep(1), -ECANCELED);
    aw_scope_leave(&scope);
    return 0;
}

Test(scope, cancellation_outranks_a_deadline)
{
    cr_assert_eq(run(both, NULL), 0);
}

static int moved_deadline(void *argument)
{
    (void)argument;
    struct aw_scope scope;
    aw_scope_enter(&scope, AW_NEVER);
    aw_scope_set_deadline(&scope, aw_now_ns());
    cr_expect_eq(aw_sleep(60000), -ETIME);
    aw_scope_set_deadline(&scope, AW_NEVER); /* it was a deadline, not a cancellation */
    cr_expect_eq(aw_sleep(1), 0);
    cr_expect_not(aw_scope_expired(&scope));
    aw_scope_leave(&scope);
    return 0;
}

Test(scope, a_deadline_can_be_moved)
{
    cr_assert_eq(run(moved_deadline, NULL), 0);
}
