/* notify.c - see notify.h. */
#include "admin/notify.h"

#include "queue/opening.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#define OPENING_PERIOD_MS 500u
#define OPENING_TURNS 4u
/* How long one read or write of a recovery may hang before the start counts as stuck. */
#define OPENING_EXTENSION_US 120000000u
/* For what follows the wait for what runs: last replies, a checkpoint. */
#define STOPPING_EXTENSION_MS 60000u

void notify_ready(void)
{
    (void)sd_notify(0, "READY=1\nSTATUS=serving");
}

void notify_stopping(uint64_t timeout_ms)
{
    (void)sd_notifyf(0, "STOPPING=1\nSTATUS=finishing what runs, for at most %" PRIu64 " s",
                     timeout_ms / 1000);
    /* a message of its own: it counts from the state that the one above has begun */
    (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64,
                     (timeout_ms + STOPPING_EXTENSION_MS) * 1000);
}

void notify_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading the configuration",
                     (unsigned long long)(aw_now_ns() / 1000));
}

/* The loop turns for this task once a period. The other turns are the recovery's, whose reads and
 * writes come back, but for a few (a signal, a line of the log). */
static int extend(void *argument)
{
    (void)argument;
    uint64_t own = 1;
    uint64_t seen = 0;
    aw_task_set_name(NULL, "opening");
    for (; aw_sleep(OPENING_PERIOD_MS) == 0; own++) {
        struct aw_loop_statistics loop;
        aw_loop_statistics(&loop);
        if (loop.turns - own < seen + OPENING_TURNS)
            continue;
        seen = loop.turns - own;
        (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%u\nSTATUS=starting: %s", OPENING_EXTENSION_US,
                         opening_current());
    }
    return 0;
}

int notify_start_opening(struct aw_group *group)
{
    return sd_notify(0, "STATUS=starting") > 0 ? aw_group_spawn(group, extend, NULL) : 0;
}

static int feed(void *argument)
{
    struct broker *broker = argument;
    uint64_t period_us;
    aw_task_set_name(NULL, "watchdog");
    if (sd_watchdog_enabled(0, &period_us) <= 0)
        return 0;
    uint64_t sleep_ms = period_us / 3000;
    while (broker_probe(broker) == 0) {
        (void)sd_notify(0, "WATCHDOG=1");
        if (aw_sleep(sleep_ms ? sleep_ms : 1) < 0)
            break;
    }
    return 0;
}

int notify_start_watchdog(struct aw_group *group, struct broker *broker)
{
    uint64_t period_us;
    if (sd_watchdog_enabled(0, &period_us) <= 0)
        return 0;
    return aw_group_spawn(group, feed, broker);
}
