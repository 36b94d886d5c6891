/* test_signal.c - signals as a descriptor on the ring. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

static int wait_signal(void *argument)
{
    return aw_signal_wait(*(int *)argument);
}

static int signal_body(void *argument)
{
    (void)argument;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    int fd = aw_signal_open(&signals);
    cr_expect_geq(fd, 0);

    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_signal_wait(fd), -ETIME);
    aw_scope_leave(&scope);

    struct aw_task *task;
    if (aw_spawn(&task, wait_signal, &fd) < 0)
        return -1;
    aw_yield();
    cr_expect_not(aw_finished(task));
    kill(getpid(), SIGUSR2);
    cr_expect_eq(aw_await(task), SIGUSR2);

    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    int first = aw_signal_wait(fd);
    int second = aw_signal_wait(fd);
    cr_expect_eq(first + second, SIGUSR1 + SIGUSR2, "none is lost");
    cr_expect_eq(aw_close(fd), 0);
    cr_expect_eq(aw_signal_wait(fd), -EBADF);
    return 0;
}

Test(signal, is_awaited)
{
    cr_assert_eq(aw_run(signal_body, NULL), 0);
}
