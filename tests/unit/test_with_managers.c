/* test_with_managers.c - the ready-made context managers and cleanup of single variables. */
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

/* --- ready-made managers ---------------------------------------------------------------------- */
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

Test(with_managers, a_lock_is_released_by_return_and_by_cancellation)
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

Test(with_managers, a_semaphore_gets_its_places_back)
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

Test(with_managers, deadlines_and_shields_are_blocks)
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

Test(with_managers, a_return_leaves_the_scopes)
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

Test(with_managers, a_timer_measures_also_when_the_body_fails)
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

Test(with_managers, a_file_is_closed_also_when_cancelled)
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

Test(with_managers, a_file_that_cannot_be_opened_skips_the_body)
{
    cr_assert_eq(run(missing_file, NULL), -ENOENT);
}

/* --- cleanup of single variables -------------------------------------------------------------- */
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

Test(with_managers, variables_clean_up_after_themselves)
{
    cr_assert_eq(run(cleanups, NULL), 0);
}

static int bad_close(void *argument)
{
    (void)argument;
    AW_CLEANUP(aw_cleanup_close) int fd = 1000000;
    return fd;
}

Test(with_managers, an_error_of_a_cleanup_is_the_result_of_the_task)
{
    cr_assert_eq(run(bad_close, NULL), -EBADF);
}
