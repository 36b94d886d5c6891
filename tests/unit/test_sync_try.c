/* test_sync_try.c - what never waits: trying a lock, a semaphore, a queue; and misuse. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>

static int hold_the_lock(void *argument)
{
    struct aw_lock *lock = argument;
    cr_expect_eq(aw_lock_try_acquire(lock), -EAGAIN, "another task holds it");
    return aw_lock_acquire(lock);
}

/* What does not wait takes what is free and nothing that others wait for. */
static int try_to_take(void *argument)
{
    (void)argument;
    struct aw_lock lock;
    struct aw_semaphore semaphore;
    struct aw_queue queue;
    aw_lock_init(&lock);
    cr_expect_eq(aw_lock_try_acquire(&lock), 0);
    cr_expect_eq(aw_lock_try_acquire(&lock), -EDEADLK);
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, hold_the_lock, &lock), 0);
    cr_assert_eq(aw_yield(), 0);
    aw_lock_release(&lock); /* to the one that waits, though it has not run yet */
    cr_expect_eq(aw_lock_try_acquire(&lock), -EAGAIN);
    cr_expect_eq(aw_await(task), 0);

    aw_semaphore_init(&semaphore, 1);
    cr_expect_eq(aw_semaphore_try_acquire(&semaphore), 0);
    cr_expect_eq(aw_semaphore_try_acquire(&semaphore), -EAGAIN);
    aw_semaphore_release(&semaphore);
    cr_expect_eq(aw_semaphore_try_acquire(&semaphore), 0);

    int number = 1;
    void *item = &lock;
    cr_assert_eq(aw_queue_init(&queue, 1), 0);
    cr_expect_eq(aw_queue_try_get(&queue, &item), -EAGAIN);
    cr_expect_eq(item, &lock, "untouched");
    cr_expect_eq(aw_queue_try_put(&queue, &number), 0);
    aw_queue_close(&queue);
    cr_expect_eq(aw_queue_try_get(&queue, &item), 0);
    cr_expect_eq(item, &number);
    cr_expect_eq(aw_queue_try_get(&queue, &item), -EPIPE);
    aw_queue_free(&queue);
    cr_expect_eq(aw_queue_init(&queue, 0), -EINVAL);
    cr_expect_eq(aw_queue_init(&queue, (1u << 24) + 1), -EINVAL);
    return 0;
}

Test(sync, trying_takes_what_is_free_and_never_waits)
{
    cr_assert_eq(aw_run(try_to_take, NULL), 0);
}

Test(sync, a_lock_outside_a_task_aborts, .signal = SIGABRT)
{
    struct aw_lock lock;
    aw_lock_init(&lock);
    AW_IGNORE(aw_lock_acquire(&lock));
}
