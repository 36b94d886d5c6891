/* notify.c - see notify.h. */
#include "admin/notify.h"

#include <systemd/sd-daemon.h>

void notify_ready(void)
{
    (void)sd_notify(0, "READY=1\nSTATUS=serving");
}

void notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1\nSTATUS=finishing what runs");
}

void notify_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading the configuration",
                     (unsigned long long)(aw_now_ns() / 1000));
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
