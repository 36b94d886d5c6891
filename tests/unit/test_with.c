/* test_with.c - context managers: every way out of a block, errors of enter and exit, cancellation;
 * the ready-made managers; cleanup of single variables. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

/* --- a manager that writes down what happens ---------------------------------------------------- */
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

/* --- cancellation at each suspension point ------------------------------------------------------ */
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

/* --- ready-made managers ----------------------------------------------------------------------- */
static int hold(void *argument)
{
    struct aw_lock *lock = argument;
    int result = 0;
    AW_WITH(result, aw_with_lock(lock)) {
        cr_expect_eq(lock->owner, aw_current());
        return aw_sleep(1);
    }
    return result;
}

static int locks(void *argument)
{
    (void)argument;
    struct aw_lock lock;
    aw_lock_init(&lock);
    struct aw_task *tasks[3];
    for (int i = 0; i < 3; i++)
        cr_assert_eq(aw_spawn(&tasks[i], hold, &lock), 0);
    AW_IGNORE(aw_yield());
    aw_cancel(tasks[0]);
    aw_cancel(tasks[1]);
    int results[3];
    cr_expect_eq(aw_gather(3, tasks, results), -ECANCELED);
    cr_expect_eq(results[2], 0);
    cr_expect_null(lock.owner);
    return 0;
}

Test(with, a_lock_is_released_by_return_and_by_cancellation)
{
    cr_assert_eq(run(locks, NULL), 0);
}

static int semaphores(void *argument)
{
    (void)argument;
    struct aw_semaphore semaphore;
    aw_semaphore_init(&semaphore, 2);
    int result = 0;
    AW_WITH(result, aw_with_semaphore(&semaphore)) {
        AW_WITH(result, aw_with_semaphore(&semaphore)) {
            cr_expect_eq(semaphore.value, 0);
            result = -EAGAIN;
        }
        cr_expect_eq(semaphore.value, 1);
    }
    cr_expect_eq(semaphore.value, 2);
    return result;
}

Test(with, a_semaphore_gets_its_places_back)
{
    cr_assert_eq(run(semaphores, NULL), -EAGAIN);
}

static int scopes(void *argument)
{
    (void)argument;
    int result = 0;
    AW_WITH(result, aw_with_timeout(2)) {
        result = aw_sleep(60000);
    }
    cr_expect_eq(result, -ETIME);
    cr_expect_eq(aw_interrupted(), 0);
    AW_WITH(result, aw_with_deadline(AW_NEVER)) {
        result = aw_sleep(1);
    }
    cr_expect_eq(result, 0);
    aw_cancel(aw_current());
    AW_WITH(result, aw_with_shield(aw_after_ms(60000))) {
        result = aw_sleep(1);
    }
    cr_expect_eq(result, 0);
    return aw_sleep(1);
}

Test(with, deadlines_and_shields_are_blocks)
{
    cr_assert_eq(run(scopes, NULL), -ECANCELED);
}

static int left_scope(void *argument)
{
    (void)argument;
    int result = 0;
    AW_WITH(result, aw_with_timeout(60000)) {
        AW_WITH(result, aw_with_shield(AW_NEVER)) {
            return aw_sleep(1); /* a scope that stays behind would abort the task */
        }
    }
    return -EPROTO;
}

Test(with, a_return_leaves_the_scopes)
{
    cr_assert_eq(run(left_scope, NULL), 0);
}

static int timers(void *argument)
{
    (void)argument;
    uint64_t elapsed_ns = 0;
    int result = 0;
    AW_WITH(result, aw_with_timer(&elapsed_ns)) {
        result = aw_sleep(20) < 0 ? -EIO : -EAGAIN;
    }
    cr_expect_eq(result, -EAGAIN);
    cr_expect_geq(elapsed_ns, 20 * AW_NS_PER_MS);
    return 0;
}

Test(with, a_timer_measures_also_when_the_body_fails)
{
    cr_assert_eq(run(timers, NULL), 0);
}

static int write_file(void *path)
{
    int fd = -1;
    int kept = -1;
    int result = 0;
    AW_WITH(result, aw_with_file(&fd, path, O_CREAT | O_RDWR, 0600)) {
        cr_expect_geq(fd, 0);
        kept = fd;
        result = aw_write_all(fd, "text", 4, 0);
    }
    cr_expect_eq(fd, -1);
    cr_expect_eq(fcntl(kept, F_GETFD), -1);
    if (result < 0)
        return result;
    AW_WITH(result, aw_with_file(&fd, path, O_RDONLY, 0)) {
        aw_cancel(aw_current());
        char text[4];
        result = aw_read_exactly(fd, text, sizeof text, 0);
        kept = fd;
    }
    cr_expect_eq(fcntl(kept, F_GETFD), -1);
    return result;
}

Test(with, a_file_is_closed_also_when_cancelled)
{
    char path[] = "/tmp/test_with.XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(run(write_file, path), -ECANCELED);
    unlink(path);
}

static int missing_file(void *argument)
{
    (void)argument;
    int fd = -1;
    int result = 0;
    AW_WITH(result, aw_with_file(&fd, "/nonexistent/file", O_RDONLY, 0)) {
        cr_expect_fail("there is no such file");
    }
    cr_expect_eq(fd, -1);
    return result;
}

Test(with, a_file_that_cannot_be_opened_skips_the_body)
{
    cr_assert_eq(run(missing_file, NULL), -ENOENT);
}

/* --- cleanup of single variables ----------------------------------------------------------------- */
static int sleep_long(void *argument)
{
    int *cancelled = argument;
    int result = aw_sleep(60000);
    *cancelled = result == -ECANCELED;
    return result;
}

static int use_cleanup(int *cancelled, int *ret_fd)
{
    AW_CLEANUP(aw_cleanup_free) char *text = strdup("freed");
    AW_CLEANUP(aw_cleanup_close) int fd = aw_open("/dev/null", O_RDONLY, 0);
    AW_CLEANUP(aw_cleanup_close) int none = -1;
    AW_CLEANUP(aw_cleanup_task) struct aw_task *task = NULL;
    AW_CLEANUP(aw_cleanup_task) struct aw_task *no_task = NULL;
    cr_assert_eq(aw_spawn(&task, sleep_long, cancelled), 0);
    AW_IGNORE(aw_yield());
    *ret_fd = fd;
    return text && none == -1 && !no_task ? fd : -ENOMEM;
}

static int cleanups(void *argument)
{
    (void)argument;
    int cancelled = 0;
    int fd = -1;
    cr_expect_geq(use_cleanup(&cancelled, &fd), 0);
    cr_expect_eq(cancelled, 1);
    cr_expect_eq(fcntl(fd, F_GETFD), -1);
    return 0;
}

Test(with, variables_clean_up_after_themselves)
{
    cr_assert_eq(run(cleanups, NULL), 0);
}

static int bad_close(void *argument)
{
    (void)argument;
    AW_CLEANUP(aw_cleanup_close) int fd = 1000000;
    return fd;
}

Test(with, an_error_of_a_cleanup_is_the_result_of_the_task)
{
    cr_assert_eq(run(bad_close, NULL), -EBADF);
}
