/* schedule_look.c - schedules as clients see them: one with all its fields, or the list. */
#include "queue/schedule.h"

#include <errno.h>
#include <string.h>

#define LIST_STRIDE 64u /* schedules listed between two turns of the loop */

static const char *misfire_name(enum misfire misfire)
{
    static const char *const names[] = {"skip", "once", "all"};
    return names[misfire];
}

static void write_next(const struct schedule *schedule, struct buffer *out)
{
    const struct schedule_plan *plan = &schedule->plan;
    uint64_t times[SCHEDULE_NEXT_SHOWN];
    size_t count = 0;
    uint64_t next_ms = plan->zone ? schedule->next_ms : 0;
    while (next_ms > 0 && count < SCHEDULE_NEXT_SHOWN) {
        times[count++] = next_ms;
        next_ms = cron_next(&plan->expression, plan->zone->zone, next_ms);
    }
    value_array(out, count);
    for (size_t i = 0; i < count; i++)
        value_integer(out, (int64_t)times[i]);
}

static void write_schedule(const struct schedule *schedule, bool with_command, struct buffer *out)
{
    const struct schedule_plan *plan = &schedule->plan;
    value_map(out, with_command ? 9 : 8);
    value_bulk_text(out, "name");
    value_bulk_text(out, schedule->name);
    value_bulk_text(out, "expression");
    value_bulk_text(out, plan->expression_text);
    value_bulk_text(out, "zone");
    value_bulk_text(out, plan->zone ? plan->zone->name : "");
    value_bulk_text(out, "misfire");
    value_bulk_text(out, misfire_name(plan->misfire));
    value_bulk_text(out, "next");
    write_next(schedule, out);
    value_bulk_text(out, "last");
    if (schedule->last_ms)
        value_integer(out, (int64_t)schedule->last_ms);
    else
        value_null(out);
    value_bulk_text(out, "last_job");
    if (schedule->last_job)
        value_bulk_number(out, schedule->last_job);
    else
        value_null(out);
    value_bulk_text(out, "error");
    if (schedule->error)
        value_bulk_text(out, schedule->error);
    else
        value_null(out);
    if (!with_command)
        return;
    value_bulk_text(out, "command");
    value_array(out, plan->request->argument_count);
    for (uint32_t i = 0; i < plan->request->argument_count; i++)
        value_bulk(out, plan->request->arguments[i].data, plan->request->arguments[i].size);
}

int broker_schedule_describe(struct broker *broker, struct argument name, struct buffer *out)
{
    const struct schedule *schedule = schedule_find(broker->schedules, name, NULL);
    if (!schedule || !schedule->stored)
        return -ENOENT;
    write_schedule(schedule, true, out);
    return 0;
}

int broker_schedule_list(struct broker *broker, struct buffer *out)
{
    const struct schedules *schedules = broker->schedules;
    struct buffer maps = {0};
    char last[NAME_SIZE_MAX + 1] = "";
    size_t count = 0;
    uint32_t at = 0;
    int result = 0;
    while (at < schedules->count && result == 0) {
        const struct schedule *schedule = schedules->list[at++];
        if (schedule->stored) {
            write_schedule(schedule, false, &maps);
            count++;
        }
        if (at % LIST_STRIDE > 0)
            continue;
        /* the list may change meanwhile: go on behind this name */
        memcpy(last, schedule->name, sizeof last);
        result = aw_yield();
        struct argument name = {.data = last, .size = (uint32_t)strlen(last)};
        if (schedule_find(schedules, name, &at))
            at++;
    }
    if (result == 0) {
        value_array(out, count);
        buffer_append(out, maps.data, maps.size);
        out->failed = out->failed || maps.failed;
    }
    buffer_free(&maps);
    return result;
}
