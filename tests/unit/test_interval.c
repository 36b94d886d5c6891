/* test_interval.c - ticks on a grid, policies for missed ones, interruption. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

/* Blocks the whole loop, as a long computation does. */
static void compute_until(uint64_t time_ns)
{
    while (aw_now_ns() < time_ns) {
    }
}

static int on_the_grid(void *argument)
{
    (void)argument;
    struct aw_interval interval;
    cr_assert_eq(aw_interval_start(&interval, 5, AW_MISSED_BURST), 0);
    uint64_t first_ns = interval.next_ns;
    for (uint64_t tick = 0; tick < 6; tick++) {
        cr_expect_eq(aw_interval_tick(&interval), 0);
        cr_expect_geq(aw_now_ns(), first_ns + tick * 5 * AW_NS_PER_MS);
        compute_until(aw_now_ns() + 2 * AW_NS_PER_MS);
        cr_expect_eq(interval.next_ns, first_ns + (tick + 1) * 5 * AW_NS_PER_MS, "no drift");
    }
    return 0;
}

Test(interval, ticks_do_not_drift)
{
    cr_assert_eq(run(on_the_grid, NULL), 0);
}

static int missed(void *argument)
{
    (void)argument;
    struct aw_interval interval;
    uint64_t period_ns = 10 * AW_NS_PER_MS;

    cr_assert_eq(aw_interval_start(&interval, 10, AW_MISSED_SKIP), 0);
    uint64_t first_ns = interval.next_ns;
    compute_until(first_ns + 3 * period_ns);
    int left_out = aw_interval_tick(&interval);
    cr_expect_geq(left_out, 3);
    cr_expect_eq((interval.next_ns - first_ns) % period_ns, 0);
    cr_expect_eq(interval.next_ns, first_ns + ((uint64_t)left_out + 1) * period_ns);

    cr_assert_eq(aw_interval_start(&interval, 10, AW_MISSED_BURST), 0);
    first_ns = interval.next_ns;
    compute_until(first_ns + 3 * period_ns);
    for (uint64_t tick = 1; tick <= 3; tick++) {
        cr_expect_eq(aw_interval_tick(&interval), 0);
        cr_expect_eq(interval.next_ns, first_ns + tick * period_ns);
    }

    cr_assert_eq(aw_interval_start(&interval, 10, AW_MISSED_DELAY), 0);
    compute_until(interval.next_ns + 3 * period_ns);
    uint64_t before_ns = aw_now_ns();
    cr_expect_geq(aw_interval_tick(&interval), 3);
    cr_expect_geq(interval.next_ns, before_ns + period_ns);
    return 0;
}

Test(interval, each_policy_treats_missed_ticks_its_way)
{
    cr_assert_eq(run(missed, NULL), 0);
}

static int interrupted(void *argument)
{
    (void)argument;
    struct aw_interval interval;
    cr_expect_eq(aw_interval_start(&interval, 0, AW_MISSED_SKIP), -EINVAL);
    cr_expect_eq(aw_interval_start(&interval, UINT64_MAX, AW_MISSED_SKIP), -EINVAL);
    cr_assert_eq(aw_interval_start(&interval, 60000, AW_MISSED_SKIP), 0);
    uint64_t next_ns = interval.next_ns;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(2));
    cr_expect_eq(aw_interval_tick(&interval), -ETIME);
    aw_scope_leave(&scope);
    cr_expect_eq(interval.next_ns, next_ns, "not used up");
    aw_cancel(aw_current());
    return aw_interval_tick(&interval);
}

Test(interval, an_interrupted_tick_is_not_used_up)
{
    cr_assert_eq(run(interrupted, NULL), -ECANCELED);
}

static int count_up(void *argument)
{
    int *count = argument;
    while (aw_yield() == 0)
        ++*count;
    return 0;
}

static int others_run(void *argument)
{
    (void)argument;
    int count = 0;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, count_up, &count), 0);
    struct aw_interval interval;
    cr_assert_eq(aw_interval_start(&interval, 1, AW_MISSED_BURST), 0);
    compute_until(interval.next_ns + 20 * AW_NS_PER_MS);
    for (int i = 0; i < 10; i++)
        cr_expect_eq(aw_interval_tick(&interval), 0);
    cr_expect_geq(count, 5, "a late tick suspends too");
    return 0;
}

Test(interval, a_burst_does_not_starve_the_others)
{
    cr_assert_eq(run(others_run, NULL), 0);
}
