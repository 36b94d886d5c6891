/* test_barrier.c - barrier: release, places, use again, interruption, abort. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

static int arrive(void *argument)
{
    return aw_barrier_wait(argument);
}

static int rounds(void *argument)
{
    (void)argument;
    struct aw_barrier barrier;
    cr_assert_eq(aw_barrier_init(&barrier, 3), 0);
    for (int round = 0; round < 3; round++) {
        struct aw_task *tasks[2];
        int places[2];
        for (int i = 0; i < 2; i++)
            cr_assert_eq(aw_spawn(&tasks[i], arrive, &barrier), 0);
        AW_IGNORE(aw_yield());
        cr_expect_eq(aw_barrier_waiting(&barrier), 2);
        cr_expect(!aw_finished(tasks[0]));
        cr_expect_eq(aw_barrier_wait(&barrier), 2);
        cr_expect_eq(aw_barrier_waiting(&barrier), 0);
        cr_expect_eq(aw_gather(2, tasks, places), 0);
        cr_expect_eq(places[0], 0);
        cr_expect_eq(places[1], 1);
    }
    return 0;
}

Test(barrier, releases_all_when_the_last_arrives_and_again)
{
    cr_assert_eq(run(rounds, NULL), 0);
}

static int interrupted(void *argument)
{
    (void)argument;
    struct aw_barrier barrier;
    cr_assert_eq(aw_barrier_init(&barrier, 3), 0);
    struct aw_task *tasks[3];
    int places[3];
    for (int i = 0; i < 2; i++)
        cr_assert_eq(aw_spawn(&tasks[i], arrive, &barrier), 0);
    AW_IGNORE(aw_yield());
    aw_cancel(tasks[0]);
    cr_expect_eq(aw_await(tasks[0]), -ECANCELED);
    cr_expect_eq(aw_barrier_waiting(&barrier), 1);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(2));
    cr_expect_eq(aw_barrier_wait(&barrier), -ETIME);
    aw_scope_leave(&scope);
    cr_expect_eq(aw_barrier_waiting(&barrier), 1);
    cr_assert_eq(aw_spawn(&tasks[0], arrive, &barrier), 0);
    cr_assert_eq(aw_spawn(&tasks[2], arrive, &barrier), 0);
    cr_expect_eq(aw_gather(3, tasks, places), 0);
    cr_expect_eq(places[1], 0, "it had waited longest");
    cr_expect_eq(places[0], 1);
    cr_expect_eq(places[2], 2);
    return 0;
}

Test(barrier, who_is_interrupted_leaves_and_another_takes_the_place)
{
    cr_assert_eq(run(interrupted, NULL), 0);
}

static int aborted(void *argument)
{
    (void)argument;
    struct aw_barrier barrier;
    cr_assert_eq(aw_barrier_init(&barrier, 2), 0);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, arrive, &barrier), 0);
    AW_IGNORE(aw_yield());
    aw_barrier_abort(&barrier);
    cr_expect_eq(aw_await(task), -EPIPE);
    cr_expect_eq(aw_barrier_wait(&barrier), -EPIPE);
    aw_barrier_reset(&barrier);
    cr_assert_eq(aw_spawn(&task, arrive, &barrier), 0);
    AW_IGNORE(aw_yield());
    cr_expect_eq(aw_barrier_wait(&barrier), 1);
    return aw_await(task);
}

Test(barrier, an_abort_reaches_everybody_until_the_reset)
{
    cr_assert_eq(run(aborted, NULL), 0);
}

static int alone(void *argument)
{
    (void)argument;
    struct aw_barrier barrier;
    cr_expect_eq(aw_barrier_init(&barrier, 0), -EINVAL);
    cr_expect_eq(aw_barrier_init(&barrier, (1u << 24) + 1), -EINVAL);
    cr_expect_eq(aw_barrier_init(&barrier, 1), 0);
    return aw_barrier_wait(&barrier);
}

Test(barrier, of_one_never_waits_and_of_none_is_refused)
{
    cr_assert_eq(run(alone, NULL), 0);
}
