/* test_with.c - context managers: every way out of a block, errors of enter and exit,
 * cancellation at each suspension point. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

/* --- a manager that writes down what happens -------------------------------------------------- */
struct record {
    int enter_result;
    int exit_result;
    uint64_t exit_sleep_ms;
    int entered;
    int exited;
    int outcome;
    int exit_slept;
};

static int record_enter(void *object)
{
    struct record *record = object;
    int slept = aw_sleep(1);
    if (slept < 0)
        return slept;
    if (record->enter_result >= 0)
        record->entered++;
    return record->enter_result;
}

static int record_exit(void *object, int outcome)
{
    struct record *record = object;
    record->exited++;
    record->outcome = outcome;
    record->exit_slept = aw_sleep(record->exit_sleep_ms);
    return record->exit_result;
}

static const struct aw_manager recording = {.enter = record_enter, .exit = record_exit};
static const struct aw_manager hasty = {
    .enter = record_enter, .exit = record_exit, .exit_timeout_ms = 5};

static int complete(void *argument)
{
    struct record *record = argument;
    int result = -EIO; /* from before; the body begins with 0 */
    AW_WITH(result, aw_with(&recording, record)) {
        cr_expect_eq(result, 0);
        cr_expect_eq(record->entered, 1);
        result = 7;
    }
    cr_expect_eq(record->exited, 1);
    return result;
}

Test(with, exit_runs_after_the_body_and_learns_its_result)
{
    struct record record = {.enter_result = 3, .exit_sleep_ms = 1};
    cr_assert_eq(run(complete, &record), 7);
    cr_assert_eq(record.outcome, 7);
    cr_assert_eq(record.exit_slept, 0);
}

Test(with, an_error_of_exit_becomes_the_result_of_a_body_that_succeeded)
{
    struct record record = {.exit_result = -ENOSPC};
    cr_assert_eq(run(complete, &record), -ENOSPC);
}

static int not_entered(void *argument)
{
    int result = 0;
    AW_WITH(result, aw_with(&recording, argument)) {
        cr_expect_fail("the body ran without enter");
    }
    return result;
}

Test(with, a_failed_enter_skips_body_and_exit)
{
    struct record record = {.enter_result = -ECONNREFUSED};
    cr_assert_eq(run(not_entered, &record), -ECONNREFUSED);
    cr_assert_eq(record.exited, 0);
}

static int body_fails(void *argument)
{
    int result = 0;
    AW_WITH(result, aw_with(&recording, argument)) {
        result = -EBADMSG;
    }
    return result;
}

Test(with, the_error_of_the_body_outranks_that_of_exit)
{
    struct record record = {.exit_result = -EIO};
    cr_assert_eq(run(body_fails, &record), -EBADMSG);
    cr_assert_eq(record.outcome, -EBADMSG);
}

static int leave_by_break(void *argument)
{
    int result = 0;
    int after = 0;
    AW_WITH(result, aw_with(&recording, argument)) {
        result = 5;
        if (aw_current())
            break;
        after++;
    }
    cr_expect_eq(after, 0);
    return result;
}

Test(with, break_completes_the_body)
{
    struct record record = {0};
    cr_assert_eq(run(leave_by_break, &record), 5);
    cr_assert_eq(record.exited, 1);
    cr_assert_eq(record.outcome, 5);
    record.exit_result = -EDQUOT;
    cr_assert_eq(run(leave_by_break, &record), -EDQUOT);
}

static int leave_by_continue(void *argument)
{
    int result = 0;
    int times = 0;
    AW_WITH(result, aw_with(&recording, argument)) {
        times++;
        continue;
    }
    return result < 0 ? result : times;
}

Test(with, continue_completes_the_body_and_does_not_repeat_it)
{
    struct record record = {0};
    cr_assert_eq(run(leave_by_continue, &record), 1);
    cr_assert_eq(record.exited, 1);
}

static int leave_by_return(void *argument)
{
    int result = 0;
    AW_WITH(result, aw_with(&recording, argument)) {
        return 11;
    }
    return -EPROTO;
}

Test(with, a_body_that_returns_has_not_completed)
{
    struct record record = {.exit_sleep_ms = 1};
    cr_assert_eq(run(leave_by_return, &record), 11);
    cr_assert_eq(record.exited, 1);
    cr_assert_eq(record.outcome, -ECANCELED);
}

Test(with, an_error_of_exit_after_return_is_the_result_of_the_task)
{
    struct record record = {.exit_result = -EIO};
    cr_assert_eq(run(leave_by_return, &record), -EIO);
}

static int return_an_error(void *argument)
{
    int result = 0;
    AW_WITH(result, aw_with(&recording, argument)) {
        return result = -EBADMSG;
    }
    return 0;
}

Test(with, exit_learns_the_error_that_a_return_was_given)
{
    struct record record = {.exit_result = -EIO};
    cr_assert_eq(run(return_an_error, &record), -EBADMSG);
    cr_assert_eq(record.outcome, -EBADMSG);
}

static int leave_by_goto(void *argument)
{
    struct record *record = argument;
    int result = 0;
    AW_WITH(result, aw_with(&recording, record)) {
        goto out;
    }
    return -EPROTO;
out:
    return record->exited;
}

Test(with, goto_out_of_the_body_runs_exit_first)
{
    struct record record = {0};
    cr_assert_eq(run(leave_by_goto, &record), 1);
    cr_assert_eq(record.outcome, -ECANCELED);
}

static int nested(void *argument)
{
    struct record *records = argument;
    int result = 0;
    AW_WITH(result, aw_with(&recording, &records[0])) {
        AW_WITH(result, aw_with(&recording, &records[1])) {
            AW_WITH(result, aw_with(&recording, &records[2])) {
                result = -ERANGE;
            }
            cr_expect_eq(records[2].exited, 1);
            cr_expect_eq(records[1].exited, 0);
        }
        cr_expect_eq(records[1].exited, 1);
        cr_expect_eq(records[0].exited, 0);
    }
    return result;
}

Test(with, blocks_nest_and_an_error_goes_outwards)
{
    struct record records[3] = {0};
    cr_assert_eq(run(nested, records), -ERANGE);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(records[i].outcome, -ERANGE);
}

Test(with, outside_a_loop_nothing_is_entered)
{
    struct record record = {0};
    cr_assert_eq(not_entered(&record), -EPERM);
    cr_assert_eq(record.entered, 0);
}

/* --- cancellation at each suspension point ---------------------------------------------------- */
static int yield_enter(void *object)
{
    struct record *record = object;
    for (int turn = 0; turn < 3; turn++) {
        int result = aw_yield();
        if (result < 0)
            return result;
    }
    record->entered++;
    return 0;
}

static int yield_exit(void *object, int outcome)
{
    struct record *record = object;
    record->outcome = outcome;
    for (int turn = 0; turn < 3; turn++)
        record->exit_slept += aw_yield();
    record->exited++;
    return 0;
}

static int three_turns(void *argument)
{
    static const struct aw_manager yielding = {.enter = yield_enter, .exit = yield_exit};
    int result = 0;
    AW_WITH(result, aw_with(&yielding, argument)) {
        for (int turn = 0; turn < 3 && result == 0; turn++)
            result = aw_yield();
    }
    return result;
}

struct attempt {
    struct record record;
    int turns; /* before the cancellation */
};

static int cancel_after_turns(void *argument)
{
    struct attempt *attempt = argument;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, three_turns, &attempt->record), 0);
    for (int turn = 0; turn < attempt->turns; turn++)
        cr_assert_eq(aw_yield(), 0);
    aw_cancel(task);
    return aw_await(task);
}

Test(with, cancelled_anywhere_exit_runs_if_and_only_if_entered)
{
    int seen_enter = 0;
    int seen_body = 0;
    int seen_exit = 0;
    for (int turns = 0; turns < 12; turns++) {
        struct attempt attempt = {.turns = turns};
        int result = run(cancel_after_turns, &attempt);
        struct record *record = &attempt.record;
        cr_assert_eq(record->exited, record->entered, "cancelled after %d turns", turns);
        cr_assert_eq(record->exit_slept, 0, "cancelled after %d turns", turns);
        cr_assert(record->entered ? record->outcome == result : result == -ECANCELED);
        seen_enter += !record->entered;
        seen_body += record->entered && result == -ECANCELED;
        seen_exit += result == 0;
    }
    cr_assert(seen_enter >= 2 && seen_body >= 2 && seen_exit >= 2);
}

static int cancelled_body(void *argument)
{
    int result = 0;
    AW_WITH(result, aw_with(&recording, argument)) {
        aw_cancel(aw_current());
        result = aw_sleep(60000);
    }
    cr_expect_eq(aw_interrupted(), -ECANCELED);
    return result;
}

Test(with, exit_may_suspend_although_the_task_is_cancelled)
{
    struct record record = {.exit_sleep_ms = 3};
    cr_assert_eq(run(cancelled_body, &record), -ECANCELED);
    cr_assert_eq(record.outcome, -ECANCELED);
    cr_assert_eq(record.exit_slept, 0);
}

static int slow_exit(void *argument)
{
    int result = 0;
    AW_WITH(result, aw_with(&hasty, argument)) {
        result = 1;
    }
    return result;
}

Test(with, the_deadline_of_a_manager_ends_its_exit)
{
    struct record record = {.exit_sleep_ms = 60000};
    cr_assert_eq(run(slow_exit, &record), 1);
    cr_assert_eq(record.exit_slept, -ETIME);
}
