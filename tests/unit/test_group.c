/* test_group.c - task groups: settling, first error, fail-fast, interruption of who waits. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>

struct child {
    uint64_t sleep_ms;
    int result;
    int woke_with;
    int *settled;
};

static int run_child(void *argument)
{
    struct child *child = argument;
    child->woke_with = aw_sleep(child->sleep_ms);
    if (child->woke_with < 0) {
        /* clean-up takes a while and must still be waited for */
        struct aw_scope shield;
        aw_shield_enter(&shield, AW_NEVER);
        aw_sleep(2);
        aw_scope_leave(&shield);
    }
    ++*child->settled;
    return child->woke_with < 0 ? child->woke_with : child->result;
}

static void add(struct aw_group *group, struct child *child)
{
    cr_assert_eq(aw_group_spawn(group, run_child, child), 0);
}

static int collects(void *argument)
{
    int *settled = argument;
    struct aw_group group;
    struct child children[3] = {
        {9, -EIO, 1, settled}, {3, -ENOENT, 1, settled}, {6, 5, 1, settled}};
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (int i = 0; i < 3; i++)
        add(&group, &children[i]);
    cr_expect_eq(aw_group_running(&group), 3);
    cr_expect_eq(aw_group_wait(&group), -ENOENT, "the first error in time counts");
    cr_expect_eq(aw_group_running(&group), 0);
    cr_expect_eq(*settled, 3);
    cr_expect_eq(aw_group_spawn(&group, run_child, &children[0]), -ECANCELED);
    cr_expect_eq(aw_group_wait(&group), -ENOENT, "waiting again tells the same");
    return 0;
}

Test(group, waits_for_all_and_keeps_the_first_error)
{
    int settled = 0;
    cr_assert_eq(aw_run(collects, &settled), 0);
}

static int fails_fast(void *argument)
{
    int *settled = argument;
    struct aw_group group;
    struct child children[3] = {
        {60000, 0, 1, settled}, {1, -EIO, 1, settled}, {60000, 0, 1, settled}};
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    for (int i = 0; i < 3; i++)
        add(&group, &children[i]);
    while (*settled == 0)
        aw_sleep(1);
    struct child late = {60000, 0, 1, settled};
    cr_expect_eq(aw_group_spawn(&group, run_child, &late), -ECANCELED,
                 "nobody would cancel a child started after the failure");
    cr_expect_eq(aw_group_wait(&group), -EIO);
    cr_expect_eq(*settled, 3);
    cr_expect_eq(children[0].woke_with, -ECANCELED);
    cr_expect_eq(children[2].woke_with, -ECANCELED);
    return 0;
}

Test(group, fail_fast_cancels_the_rest_and_refuses_more)
{
    int settled = 0;
    cr_assert_eq(aw_run(fails_fast, &settled), 0);
}

static int empty(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    cr_expect_eq(aw_group_wait(&group), 0);
    aw_group_init(&group, AW_GROUP_COLLECT);
    aw_group_cancel(&group);
    cr_expect_eq(aw_group_wait(&group), 0);
    return 0;
}

Test(group, an_empty_group_is_done)
{
    cr_assert_eq(aw_run(empty, NULL), 0);
}

struct waiting {
    struct aw_group group;
    struct child children[2];
    uint64_t deadline_ms;
    int result;
};

static int waits(void *argument)
{
    struct waiting *waiting = argument;
    aw_group_init(&waiting->group, AW_GROUP_COLLECT);
    add(&waiting->group, &waiting->children[0]);
    add(&waiting->group, &waiting->children[1]);
    struct aw_scope scope;
    aw_scope_enter(&scope, waiting->deadline_ms ? aw_after_ms(waiting->deadline_ms) : AW_NEVER);
    waiting->result = aw_group_wait(&waiting->group);
    aw_scope_leave(&scope);
    cr_expect_eq(*waiting->children[0].settled, 2, "it came back before all had settled");
    return 0;
}

static int interrupted(void *argument)
{
    (void)argument;
    int settled = 0;
    struct waiting waiting = {
        .children = {{60000, 0, 1, &settled}, {60000, 0, 1, &settled}}, .deadline_ms = 2};
    cr_expect_eq(waits(&waiting), 0);
    cr_expect_eq(waiting.result, -ETIME);
    cr_expect_eq(waiting.children[1].woke_with, -ECANCELED);

    settled = 0;
    waiting.deadline_ms = 0;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, waits, &waiting), 0);
    aw_sleep(1);
    aw_cancel(task);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(waiting.result, -ECANCELED);
    return 0;
}

Test(group, an_interrupted_wait_cancels_the_children_and_waits_on)
{
    cr_assert_eq(aw_run(interrupted, NULL), 0);
}

static int cancelled_as_the_last_settles(void *argument)
{
    (void)argument;
    int settled = 0;
    struct waiting waiting = {.children = {{0, 7, 1, &settled}, {0, -EIO, 1, &settled}}};
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, waits, &waiting), 0);
    aw_yield();
    while (settled < 2)
        aw_yield();
    aw_cancel(task); /* all had settled: what they said outranks the interruption */
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(waiting.result, -EIO);
    return 0;
}

Test(group, a_group_that_has_settled_outranks_cancellation)
{
    cr_assert_eq(aw_run(cancelled_as_the_last_settles, NULL), 0);
}

static int wait_for_own_group(void *argument)
{
    struct aw_group *group = argument;
    return aw_group_wait(group);
}

static int second_waiter(void *argument)
{
    return aw_group_wait(argument);
}

static int wrong_waiters(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(aw_group_spawn(&group, wait_for_own_group, &group), 0);
    cr_expect_eq(aw_group_wait(&group), -EDEADLK, "a child that waits for its own group");

    int settled = 0;
    struct waiting waiting = {.children = {{20, 0, 1, &settled}, {20, 0, 1, &settled}}};
    struct aw_task *tasks[2];
    cr_assert_eq(aw_spawn(&tasks[0], waits, &waiting), 0);
    aw_yield();
    cr_assert_eq(aw_spawn(&tasks[1], second_waiter, &waiting.group), 0);
    cr_expect_eq(aw_await(tasks[1]), -EBUSY);
    cr_expect_eq(aw_await(tasks[0]), 0, "the first waiter was forgotten");
    cr_expect_eq(waiting.result, 0);
    return 0;
}

Test(group, who_cannot_wait_for_it_is_told, .timeout = 120)
{
    cr_assert_eq(aw_run(wrong_waiters, NULL), 0);
}

struct nest {
    int depth;
    int *settled;
};

static int nested(void *argument)
{
    struct nest *nest = argument;
    struct aw_group group;
    struct nest inner = {nest->depth - 1, nest->settled};
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    if (nest->depth > 0)
        for (int i = 0; i < 3; i++)
            cr_assert_eq(aw_group_spawn(&group, nested, &inner), 0);
    int result = nest->depth > 0 ? aw_group_wait(&group) : aw_sleep(60000);
    ++*nest->settled;
    return result;
}

static int cancel_a_tree(void *argument)
{
    (void)argument;
    int settled = 0;
    struct nest nest = {4, &settled};
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, nested, &nest), 0);
    while (aw_task_count() < 2 + 1 + 3 + 9 + 27 + 81)
        cr_assert_eq(aw_yield(), 0);
    cr_assert_eq(aw_yield(), 0); /* the last ones wait now too */
    cr_expect_eq(aw_task_count(), 2 + 1 + 3 + 9 + 27 + 81);
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    cr_expect_eq(settled, 1 + 3 + 9 + 27 + 81);
    cr_expect_eq(aw_task_count(), 2);
    return 0;
}

Test(group, cancellation_goes_down_a_tree_and_settles_bottom_up)
{
    cr_assert_eq(aw_run(cancel_a_tree, NULL), 0);
}

static int group_left_to_the_parent(void *argument)
{
    struct child *child = argument;
    struct aw_task *unawaited;
    cr_assert_eq(aw_spawn(&unawaited, run_child, child), 0);
    while (*child->settled == 0)
        aw_sleep(1);
    return 0; /* finished, never awaited: its memory goes with the parent */
}

static int leaves_handles(void *argument)
{
    (void)argument;
    int settled = 0;
    struct child child = {0, 0, 1, &settled};
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, group_left_to_the_parent, &child), 0);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_eq(aw_task_count(), 2);
    return 0;
}

Test(group, a_handle_that_nobody_gave_up_goes_with_the_parent)
{
    cr_assert_eq(aw_run(leaves_handles, NULL), 0);
}

static int outside(void *argument)
{
    (void)argument;
    return 0;
}

Test(group, spawning_outside_a_loop_is_refused)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(aw_group_spawn(&group, outside, NULL), -EPERM);
}
