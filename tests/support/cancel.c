/* cancel.c - see cancel.h */
#include "support/cancel.h"

#include "support/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/wait.h>

#define TURNS_ONE_BY_ONE 24
#define TURNS_MAX 2000000

static void expect_nothing_left(int descriptors_before, int turns)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "%d turns: a descriptor is left", turns);
    cr_expect(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "%d turns: a child is left",
              turns);
}

int cancel_everywhere(aw_function function, void *argument)
{
    /* what the loop itself opens at first use (mailbox, threads) is there after one whole round */
    int whole = function(argument);
    cr_assert_geq(whole, 0, "uncancelled: %d", whole);
    int descriptors_before = open_descriptors();
    int cancelled = 0;
    for (int turns = 0; turns < TURNS_MAX; turns += turns < TURNS_ONE_BY_ONE ? 1 : turns / 3) {
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, function, argument), 0);
        for (int i = 0; i < turns && !aw_finished(task); i++)
            aw_yield();
        bool in_time = !aw_finished(task);
        aw_cancel(task);
        int result = aw_await(task);
        cr_expect(result >= 0 || (in_time && result == -ECANCELED), "%d turns: %d", turns, result);
        expect_nothing_left(descriptors_before, turns);
        if (!in_time)
            return cancelled;
        cancelled++;
    }
    cr_assert_fail("the function never ends");
    return -1;
}
