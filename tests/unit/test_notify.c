/* test_notify.c - what the service manager hears: more time only while opening the queue gets on,
 * the watchdog only while the queue's store answers. The manager is a socket of the test's own. */
#include "admin/notify.h"
#include "queue/broker_state.h"
#include "queue/opening.h"
#include "support/queue_stage.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct queue_stage stage;
static int manager;

static void enter(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    queue_stage_make(&stage);
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", stage.folder);
    cr_assert_lt((size_t)size, sizeof address.sun_path);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_geq(manager, 0);
    cr_assert_eq(bind(manager, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
}

static void leave(void)
{
    close(manager);
    queue_stage_remove(&stage);
}

TestSuite(notify, .init = enter, .fini = leave, .timeout = 120);

/* How many messages with this text have come since the last look; all of them are taken. */
static unsigned heard(const char *text)
{
    unsigned count = 0;
    char message[1024];
    ssize_t size;
    while ((size = recv(manager, message, sizeof message - 1, 0)) >= 0) {
        message[size] = '\0';
        count += strstr(message, text) != NULL;
    }
    cr_assert_eq(errno, EAGAIN);
    return count;
}

static void wait_for(const char *text)
{
    while (heard(text) == 0)
        cr_assert_eq(aw_sleep(20), 0);
}

static int turn_on(void *argument)
{
    (void)argument;
    while (aw_sleep(10) == 0) {
    }
    return 0;
}

static int open_slowly(void *argument)
{
    struct aw_group group;
    struct aw_task *recovery;
    (void)argument;
    cr_assert_eq(aw_loop_watch(), 0);
    aw_group_init(&group, AW_GROUP_COLLECT);
    opening_step("checking queue.db (%d KiB)", 12);
    cr_assert_eq(notify_start_opening(&group), 0);
    cr_assert_eq(aw_spawn(&recovery, turn_on, NULL), 0);
    wait_for("EXTEND_TIMEOUT_USEC=");
    wait_for("STATUS=starting: checking queue.db (12 KiB)");
    opening_step("reading the queues");
    wait_for("STATUS=starting: reading the queues");

    aw_cancel(recovery);
    AW_IGNORE(aw_await(recovery));
    cr_assert_eq(aw_sleep(700), 0); /* the period in which it ended */
    (void)heard("");
    cr_assert_eq(aw_sleep(1300), 0); /* nothing but this sleep and the asking task itself */
    cr_expect_eq(heard("EXTEND_TIMEOUT_USEC="), 0, "a recovery that hangs got more time");

    aw_group_cancel(&group);
    AW_IGNORE(aw_group_wait(&group));
    return 0;
}

Test(notify, a_recovery_gets_time_while_it_gets_on)
{
    cr_assert_eq(aw_run(open_slowly, NULL), 0);
}

static struct aw_event disk;

static void hang(struct store_read *read, struct store *store)
{
    (void)read;
    (void)store;
    cr_assert_eq(aw_event_wait(&disk), 0);
}

static int occupy_the_store(void *argument)
{
    struct store_read read = {.perform = hang};
    (void)argument;
    committer_read(&stage.broker->committer, &read);
    return 0;
}

static void feed(void)
{
    struct aw_group group;
    struct aw_task *occupied;
    queue_stage_open(&stage, "");
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(notify_start_watchdog(&group, stage.broker), 0);
    wait_for("WATCHDOG=1");
    wait_for("WATCHDOG=1");

    aw_event_init(&disk);
    cr_assert_eq(aw_spawn(&occupied, occupy_the_store, NULL), 0);
    cr_assert_eq(aw_sleep(200), 0); /* a probe that was under way */
    (void)heard("");
    cr_assert_eq(aw_sleep(1000), 0);
    cr_expect_eq(heard("WATCHDOG=1"), 0, "fed although the store does not answer");
    aw_event_set(&disk);
    cr_assert_eq(aw_await(occupied), 0);
    wait_for("WATCHDOG=1");

    aw_group_cancel(&group);
    AW_IGNORE(aw_group_wait(&group));
    queue_stage_close(&stage);
}

Test(notify, the_watchdog_is_fed_while_the_store_answers)
{
    char pid[16];
    (void)snprintf(pid, sizeof pid, "%d", getpid());
    cr_assert_eq(setenv("WATCHDOG_PID", pid, 1), 0);
    cr_assert_eq(setenv("WATCHDOG_USEC", "90000", 1), 0);
    queue_stage_run(feed);
}

Test(notify, a_long_drain_gets_the_time_it_was_given)
{
    char message[256];
    notify_stopping(600000);
    ssize_t size = recv(manager, message, sizeof message - 1, 0);
    cr_assert_gt(size, 0);
    message[size] = '\0';
    cr_expect(strstr(message, "STOPPING=1") && strstr(message, "at most 600 s"), "%s", message);
    size = recv(manager, message, sizeof message - 1, 0);
    cr_assert_gt(size, 0);
    message[size] = '\0';
    cr_expect_eq(strtoull(message + strlen("EXTEND_TIMEOUT_USEC="), NULL, 10), 660000000u);
}

Test(notify, without_a_manager_nothing_runs)
{
    struct aw_group group;
    cr_assert_eq(unsetenv("NOTIFY_SOCKET"), 0);
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_expect_eq(notify_start_opening(&group), 0);
    cr_expect_eq(aw_group_running(&group), 0);
}
