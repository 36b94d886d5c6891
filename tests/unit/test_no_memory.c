/* test_no_memory.c - the nth allocation fails, for n = 1, 2 ... until the program runs through
 * untouched: each failure is an error that is told, and nothing of what was allocated stays.
 * See failing_memory.h. */
#include <await.h>

#include "ring/request.h"
#include "support/failing_memory.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <errno.h>

static _Thread_local bool started; /* the program ran, so aw_run itself had what it needs */

enum { TASKS = 70 };

static int quick(void *argument)
{
    (void)argument;
    struct ring_request nop = {.kind = RING_NOP};
    return ring_perform(&nop);
}

static int slow(void *argument)
{
    (void)argument;
    return aw_sleep(60000);
}

static int on_thread(void *argument)
{
    ++*(int *)argument;
    return 0;
}

static int spawn_all(aw_function function)
{
    struct aw_task *tasks[TASKS];
    size_t count = 0;
    int result = 0;
    while (count < TASKS && (result = aw_spawn(&tasks[count], function, NULL)) == 0)
        count++;
    if (function == slow)
        for (size_t i = 0; i < count; i++)
            aw_cancel(tasks[i]);
    int gathered = aw_gather(count, tasks, NULL);
    return result < 0 ? result : function == slow ? 0 : gathered;
}

static int race_two(void)
{
    struct aw_task *tasks[2];
    int result = aw_spawn(&tasks[0], slow, NULL);
    if (result < 0)
        return result;
    result = aw_spawn(&tasks[1], quick, NULL);
    if (result < 0) {
        aw_cancel(tasks[0]);
        AW_IGNORE(aw_await(tasks[0]));
        return result;
    }
    size_t winner;
    return aw_race(2, tasks, &winner);
}

static int group_of_some(void)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    int result = 0;
    for (int i = 0; i < TASKS && result == 0; i++)
        result = aw_group_spawn(&group, quick, NULL);
    if (result < 0)
        aw_group_cancel(&group);
    int waited = aw_group_wait(&group);
    return result < 0 ? result : waited;
}

/* A bit of everything that allocates. */
static int program(void *argument)
{
    struct ring_request batch[64];
    int results[64];
    struct aw_queue queue;
    started = true;
    for (int i = 0; i < 64; i++)
        batch[i] = (struct ring_request){.kind = RING_NOP};
    int result = spawn_all(quick);
    if (result == 0)
        result = ring_perform_all(batch, 64, true, results);
    if (result == 0)
        result = spawn_all(slow);
    if (result == 0)
        result = race_two();
    if (result == 0)
        result = group_of_some();
    if (result == 0 && (result = aw_queue_init(&queue, 10)) == 0)
        aw_queue_free(&queue);
    if (result == 0)
        result = aw_to_thread(on_thread, argument);
    return result;
}

static void fail_each(bool for_ever)
{
    int descriptors = open_descriptors();
    long nth = 0;
    do {
        struct aw_error error = {0};
        int calls = 0;
        live = 0;
        failed = false;
        started = false;
        keeps_failing = for_ever;
        allocations_left = nth++;
        int result = aw_run_with(NULL, program, &calls, &error);
        allocations_left = -1;
        if (failed)
            cr_assert_eq(result, -ENOMEM, "allocation %ld failed, the result is %d", nth, result);
        else
            cr_assert_eq(result, 0, "result %d, %s", result, error.message);
        cr_assert_eq(error.number, started ? 0 : -ENOMEM);
        cr_assert(started || error.message[0] != '\0', "aw_run failed without a word");
        cr_assert_eq(live, 0, "%ld allocations stayed after failure %ld", live, nth);
        cr_assert_eq(open_descriptors(), descriptors, "descriptors after failure %ld", nth);
    } while (failed);
    cr_assert_gt(nth, 20, "only %ld allocations: they are not redirected", nth);
}

Test(no_memory, each_allocation_fails_once, .timeout = 120)
{
    fail_each(false);
}

Test(no_memory, from_each_allocation_on_all_fail, .timeout = 120)
{
    fail_each(true);
}
