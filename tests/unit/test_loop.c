/* test_loop.c - a watched loop: turns are counted, and the longest names the task that held it. */
#include <await.h>

#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>

#define HOLD_NS UINT64_C(30000000)

static int hold(void *argument)
{
    (void)argument;
    aw_task_set_name(NULL, "the culprit");
    uint64_t until_ns = aw_now_ns() + HOLD_NS;
    while (aw_now_ns() < until_ns)
        ;
    return aw_yield();
}

static int pass(void *argument)
{
    (void)argument;
    aw_task_set_name(NULL, "a bystander");
    for (int i = 0; i < 10; i++)
        if (aw_yield() < 0)
            return -ECANCELED;
    return 0;
}

static uint64_t sum(const struct aw_loop_statistics *statistics)
{
    uint64_t all = 0;
    for (int i = 0; i < AW_LOOP_BUCKETS; i++)
        all += statistics->buckets[i];
    return all;
}

static int run_three(void)
{
    struct aw_task *tasks[3];
    cr_assert_eq(aw_spawn(&tasks[0], pass, NULL), 0);
    cr_assert_eq(aw_spawn(&tasks[1], hold, NULL), 0);
    cr_assert_eq(aw_spawn(&tasks[2], pass, NULL), 0);
    return aw_gather(3, tasks, NULL);
}

static int watched(void *argument)
{
    (void)argument;
    cr_assert_eq(aw_loop_watch(), 0);
    cr_assert_eq(aw_loop_watch(), 0, "twice is once");
    cr_assert_eq(run_three(), 0);
    cr_assert_eq(aw_yield(), 0);
    struct aw_loop_statistics statistics;
    aw_loop_statistics(&statistics);
    cr_expect_gt(statistics.turns, 3);
    cr_expect_eq(sum(&statistics), statistics.turns);
    cr_expect_geq(statistics.longest_ns, HOLD_NS);
    cr_expect_geq(statistics.busy_ns, statistics.longest_ns);
    cr_expect_geq(statistics.buckets[3] + statistics.buckets[4] + statistics.buckets[5], 1);
    cr_expect_str_eq(statistics.longest_task, "the culprit");
    return 0;
}

Test(loop, the_longest_turn_names_its_task)
{
    cr_assert_eq(aw_run(watched, NULL), 0);
}

static int unwatched(void *argument)
{
    (void)argument;
    cr_assert_eq(run_three(), 0);
    struct aw_loop_statistics statistics;
    memset(&statistics, 1, sizeof statistics);
    aw_loop_statistics(&statistics);
    cr_expect_eq(statistics.turns, 0);
    cr_expect_eq(statistics.longest_ns, 0);
    return 0;
}

Test(loop, nothing_is_counted_unless_asked_for)
{
    cr_assert_eq(aw_run(unwatched, NULL), 0);
}

Test(loop, outside_there_is_none)
{
    struct aw_loop_statistics statistics;
    cr_assert_eq(aw_loop_watch(), -EPERM);
    aw_loop_statistics(&statistics);
    cr_assert_eq(statistics.turns, 0);
}
