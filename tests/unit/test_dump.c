/* test_dump.c - the dump of tasks; and waiting for several: fail-fast gather, wait for any. */
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

static int sleep_long(void *argument)
{
    (void)argument;
    return aw_sleep(60000);
}

struct found {
    int tasks;
    int running;
    struct aw_task_info sleeper;
    struct aw_task_info self;
};

static void look(const struct aw_task_info *info, void *context)
{
    struct found *found = context;
    found->tasks++;
    if (strcmp(info->name, "sleeper") == 0)
        found->sleeper = *info;
    if (info->state == AW_TASK_RUNNING) {
        found->running++;
        found->self = *info;
    }
}

static int dump(void *argument)
{
    (void)argument;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, sleep_long, NULL), 0);
    aw_task_set_name(task, "sleeper");
    struct found found = {0};
    cr_expect_eq(aw_task_dump(look, &found), aw_task_count());
    cr_expect_eq(found.sleeper.state, AW_TASK_READY);
    cr_expect_str_eq(found.sleeper.where, "");
    cr_assert_eq(aw_yield(), 0); /* it sleeps from now on */
    cr_assert_eq(aw_sleep(10), 0);

    found = (struct found){0};
    cr_expect_eq(aw_task_dump(look, &found), aw_task_count());
    cr_expect_eq((uint32_t)found.tasks, aw_task_count());
    cr_expect_eq(found.running, 1);
    cr_expect_eq(found.self.task, aw_current());
    cr_expect_str_eq(found.self.name, "main");
    cr_expect_eq(found.self.children, 1);
    cr_expect_eq(found.sleeper.task, task);
    cr_expect_eq(found.sleeper.parent_id, found.self.id);
    cr_expect_gt(found.sleeper.id, found.self.id);
    cr_expect_eq(found.sleeper.state, AW_TASK_WAITING);
    cr_expect_str_eq(found.sleeper.where, "sleep");
    cr_expect_geq(found.sleeper.duration_ns, 9 * AW_NS_PER_MS);
    cr_expect_eq(found.sleeper.deadline_ns, AW_NEVER);
    cr_expect(!found.sleeper.interrupted);

    aw_cancel(task);
    found = (struct found){0};
    AW_IGNORE(aw_task_dump(look, &found) == 0);
    cr_expect(found.sleeper.interrupted);
    cr_expect_eq(aw_await(task), -ECANCELED);
    found = (struct found){0};
    cr_expect_eq(aw_task_dump(look, &found), aw_task_count());
    cr_expect_null(found.sleeper.task, "a finished task is gone");
    return 0;
}

Test(dump, tells_of_every_task_where_it_waits)
{
    cr_assert_eq(run(dump, NULL), 0);
}

static int dump_text(void *argument)
{
    (void)argument;
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(aw_group_spawn(&group, sleep_long, NULL), 0);
    AW_IGNORE(aw_yield());
    static char text[8192];
    size_t size = aw_task_dump_text(text, sizeof text);
    cr_expect_eq(size, strlen(text) + 1);
    cr_expect(strstr(text, " \"main\" (by 1) runs\n"), "%s", text);
    cr_expect(strstr(text, "\"task\" (by 2) waits "), "%s", text);
    cr_expect(strstr(text, " ms: sleep\n"));
    static char small[1024];
    static char after[8192];
    size_t small_size;
    int tries = 0;
    do { /* until all three were made in the same millisecond, which they show */
        size = aw_task_dump_text(text, sizeof text);
        small_size = aw_task_dump_text(small, sizeof small);
        (void)aw_task_dump_text(after, sizeof after);
    } while (strcmp(text, after) != 0 && ++tries < 10000);
    cr_expect_eq(small_size, size, "what it needs, whatever it got");
    size_t length = strlen(small);
    cr_expect_gt(length, 0);
    cr_expect_eq(small[length - 1], '\n', "whole lines");
    cr_expect_eq(strncmp(small, text, length), 0);
    cr_expect_geq(aw_task_dump_text(NULL, 0), size);
    aw_group_cancel(&group);
    cr_expect_eq(aw_group_wait(&group), -ECANCELED);
    return 0;
}

Test(dump, as_text_in_whole_lines)
{
    cr_assert_eq(run(dump_text, NULL), 0);
}

Test(dump, outside_a_loop_there_is_nothing)
{
    char text[16] = "x";
    cr_assert_eq(aw_task_dump_text(text, sizeof text), 1);
    cr_assert_str_eq(text, "");
}

static int churn(void *argument)
{
    (void)argument;
    struct aw_task *tasks[8] = {0};
    unsigned number = 1;
    for (int i = 0; i < 2000; i++) {
        number = number * 1103515245u + 12345u;
        struct aw_task **task = &tasks[(number >> 16) % 8];
        if (*task) {
            aw_cancel(*task);
            cr_expect_eq(aw_await(*task), -ECANCELED);
            *task = NULL;
        } else {
            cr_assert_eq(aw_spawn(task, sleep_long, NULL), 0);
        }
        struct found found = {0};
        cr_assert_eq(aw_task_dump(look, &found), aw_task_count());
        cr_assert_eq((uint32_t)found.tasks, aw_task_count());
    }
    return 0;
}

Test(dump, the_list_is_right_whoever_comes_and_goes)
{
    cr_assert_eq(run(churn, NULL), 0);
}

/* --- waiting for several ---------------------------------------------------------------------- */
struct job {
    uint64_t sleep_ms;
    int result;
};

static int work(void *argument)
{
    struct job *job = argument;
    int slept = aw_sleep(job->sleep_ms);
    return slept < 0 ? slept : job->result;
}

static void spawn_jobs(size_t count, struct job jobs[], struct aw_task *tasks[])
{
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(aw_spawn(&tasks[i], work, &jobs[i]), 0);
}

static int fail_fast(void *argument)
{
    (void)argument;
    struct job jobs[] = {{60000, 1}, {1, 2}, {300, -EIO}, {60000, 4}};
    struct aw_task *tasks[4];
    int results[4];
    spawn_jobs(4, jobs, tasks);
    cr_expect_eq(aw_gather_fail_fast(4, tasks, results), -EIO);
    cr_expect_eq(results[0], -ECANCELED);
    cr_expect_eq(results[1], 2);
    cr_expect_eq(results[2], -EIO);
    cr_expect_eq(results[3], -ECANCELED);
    cr_expect_eq(aw_task_count(), 2, "all have settled");
    return 0;
}

Test(gather, fail_fast_cancels_the_rest)
{
    cr_assert_eq(run(fail_fast, NULL), 0);
}

static int fail_fast_success(void *argument)
{
    (void)argument;
    struct job jobs[] = {{3, 1}, {0, 2}, {1, 3}};
    struct aw_task *tasks[3];
    int results[3];
    spawn_jobs(3, jobs, tasks);
    cr_expect_eq(aw_gather_fail_fast(3, tasks, results), 0);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(results[i], i + 1);
    cr_expect_eq(aw_gather_fail_fast(0, tasks, NULL), 0);
    /* one that had failed before the call */
    struct job more[] = {{0, -EDOM}, {60000, 0}};
    spawn_jobs(2, more, tasks);
    cr_assert_eq(aw_wait(tasks[0], AW_NEVER), 0);
    cr_expect_eq(aw_gather_fail_fast(2, tasks, NULL), -EDOM);
    return 0;
}

Test(gather, fail_fast_without_a_failure_and_with_an_early_one)
{
    cr_assert_eq(run(fail_fast_success, NULL), 0);
}

static int fail_fast_interrupted(void *argument)
{
    (void)argument;
    struct job jobs[] = {{60000, 1}, {0, 2}};
    struct aw_task *tasks[2];
    int results[2];
    spawn_jobs(2, jobs, tasks);
    cr_assert_eq(aw_wait(tasks[1], AW_NEVER), 0);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_gather_fail_fast(2, tasks, results), -ECANCELED);
    aw_scope_leave(&scope);
    cr_expect_eq(results[0], -ECANCELED);
    cr_expect_eq(results[1], 2);
    struct aw_task *self[] = {aw_current()};
    cr_expect_eq(aw_gather_fail_fast(1, self, NULL), -EDEADLK);
    return 0;
}

Test(gather, an_interrupted_fail_fast_gather_cancels_and_waits)
{
    cr_assert_eq(run(fail_fast_interrupted, NULL), 0);
}

static int wait_any(void *argument)
{
    (void)argument;
    struct job jobs[] = {{60000, 1}, {300, 2}, {1, 3}};
    struct aw_task *tasks[3];
    size_t index = 99;
    spawn_jobs(3, jobs, tasks);
    cr_expect_eq(aw_wait_any(3, tasks, AW_NEVER, &index), 0);
    cr_expect_eq(index, 2);
    cr_expect_eq(aw_await(tasks[2]), 3);
    cr_expect_eq(aw_wait_any(2, tasks, AW_NEVER, &index), 0);
    cr_expect_eq(index, 1);
    cr_expect_eq(aw_wait_any(2, tasks, AW_NEVER, &index), 0, "finished already: at once");
    cr_expect_eq(aw_await(tasks[1]), 2);
    index = 99;
    cr_expect_eq(aw_wait_any(1, tasks, aw_after_ms(2), &index), -ETIME);
    cr_expect_eq(index, 99);
    cr_expect(!aw_finished(tasks[0]), "nothing was cancelled");
    cr_expect_eq(aw_wait_any(0, tasks, AW_NEVER, &index), -EINVAL);
    struct aw_task *self[] = {aw_current()};
    cr_expect_eq(aw_wait_any(1, self, AW_NEVER, &index), -EDEADLK);
    struct aw_scope scope;
    aw_scope_enter(&scope, AW_NEVER);
    aw_scope_cancel(&scope);
    cr_expect_eq(aw_wait_any(1, tasks, AW_NEVER, &index), -ECANCELED);
    aw_scope_leave(&scope);
    aw_cancel(tasks[0]);
    return aw_await(tasks[0]);
}

Test(gather, wait_any_gives_the_first_and_leaves_the_others_alone)
{
    cr_assert_eq(run(wait_any, NULL), -ECANCELED);
}

static int dumps_on_signal(void *argument)
{
    (void)argument;
    int ends[2];
    cr_assert_eq(aw_pipe(ends), 0);
    cr_expect_eq(aw_task_dump_on_signal(-1, ends[1]), -EINVAL);
    cr_assert_eq(aw_task_dump_on_signal(SIGUSR1, ends[1]), 0);
    aw_task_set_name(NULL, "asked for");
    for (int round = 0; round < 2; round++) {
        char text[4096];
        cr_assert_eq(kill(getpid(), SIGUSR1), 0);
        int size = aw_read(ends[0], text, sizeof text - 1, AW_AT_POSITION);
        cr_assert_gt(size, 0);
        text[size] = '\0';
        cr_expect(strstr(text, "\"asked for\""), "%s", text);
        cr_expect(strstr(text, "\"dump on signal\" (by 2) runs"), "%s", text);
        cr_expect_eq(text[size - 1], '\n');
    }
    (void)aw_close(ends[0]);
    (void)aw_close(ends[1]);
    return 0;
}

Test(dump, a_signal_writes_it_as_often_as_it_comes)
{
    int descriptors = open_descriptors();
    cr_expect_eq(aw_task_dump_on_signal(SIGUSR1, 2), -EPERM);
    cr_assert_eq(run(dumps_on_signal, NULL), 0);
    cr_expect_eq(open_descriptors(), descriptors, "its descriptor has gone with its parent");
}
