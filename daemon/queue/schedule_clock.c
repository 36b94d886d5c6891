/* schedule_clock.c - the task that fires schedules.
 *
 * Due times are on the wall clock, which can step; so the task looks again at least every
 * RECHECK_MS. Forward: what lies between is missed (schedule_fire.c says what becomes of it). Back:
 * due times that have been served are not served again, the schedule waits for its next one; but
 * one step back of more than CORRECTION_MS means that the clock had been wrong, and the next times
 * are worked out anew. */
#include "queue/schedule.h"

#include "admin/log.h"

#include <inttypes.h>

#define RECHECK_MS 1000u
#define STEP_NOTICED_MS 500u
#define CORRECTION_MS (UINT64_C(3) * 3600 * 1000)

void schedule_heal(struct schedule *schedule, uint64_t now_ms)
{
    const struct schedule_plan *plan = &schedule->plan;
    if (!plan->zone || schedule->next_ms == 0)
        return;
    uint64_t later_ms = cron_next(&plan->expression, plan->zone->zone, now_ms + CORRECTION_MS);
    if (later_ms == 0 || later_ms >= schedule->next_ms)
        return;
    schedule->next_ms = cron_next(&plan->expression, plan->zone->zone, now_ms);
    log_line(LOG_LEVEL_WARNING,
             "schedule %s: the clock was set back by hours: its next time is worked out anew",
             schedule->name);
    schedule_step(schedule);
}

/* The monotonic clock does not step: against it the wall clock's steps show. */
static void notice_step(struct schedules *schedules, uint64_t now_ms)
{
    uint64_t ahead_ms = now_ms - aw_now_ns() / AW_NS_PER_MS;
    bool back = (int64_t)(ahead_ms - schedules->clock_ahead_ms) < -(int64_t)STEP_NOTICED_MS;
    schedules->clock_ahead_ms = ahead_ms;
    for (uint32_t i = 0; back && i < schedules->count; i++)
        if (schedules->list[i]->stored && !schedules->list[i]->changing)
            schedule_heal(schedules->list[i], now_ms);
}

static bool is_waiting(const struct schedule *schedule)
{
    return schedule->stored && !schedule->changing && schedule->plan.zone &&
           schedule->next_ms > 0;
}

/* Serves one due time of each schedule that is due; UINT64_MAX or the nearest time that is left. */
static uint64_t serve(struct broker *broker, uint64_t now_ms)
{
    struct schedules *schedules = broker->schedules;
    uint64_t nearest_ms = UINT64_MAX;
    for (uint32_t i = 0; i < schedules->count; i++) {
        struct schedule *schedule = schedules->list[i];
        if (is_waiting(schedule) && schedule->next_ms <= now_ms && !broker->stopping)
            schedule_fire(schedule, now_ms);
        if (is_waiting(schedule) && schedule->next_ms < nearest_ms)
            nearest_ms = schedule->next_ms;
    }
    return nearest_ms;
}

static void sleep_until(struct broker *broker, uint64_t nearest_ms)
{
    uint64_t now_ms = aw_wall_ms();
    if (broker->stopping)
        nearest_ms = UINT64_MAX;
    if (nearest_ms <= now_ms) {
        AW_IGNORE(aw_yield());
        return;
    }
    uint64_t left_ms = nearest_ms - now_ms < RECHECK_MS ? nearest_ms - now_ms : RECHECK_MS;
    struct aw_scope scope;
    aw_scope_enter(&scope, nearest_ms == UINT64_MAX ? AW_NEVER : aw_after_ms(left_ms));
    AW_IGNORE(aw_event_wait(&broker->schedules->changed));
    aw_scope_leave(&scope);
}

int schedules_main(void *argument)
{
    struct broker *broker = argument;
    aw_task_set_name(NULL, "schedules");
    broker->schedules->clock_ahead_ms = aw_wall_ms() - aw_now_ns() / AW_NS_PER_MS;
    while (aw_interrupted() == 0 && broker_wait_uncongested(broker) == 0) {
        aw_event_clear(&broker->schedules->changed);
        uint64_t now_ms = aw_wall_ms();
        notice_step(broker->schedules, now_ms);
        sleep_until(broker, serve(broker, now_ms));
    }
    return 0;
}
