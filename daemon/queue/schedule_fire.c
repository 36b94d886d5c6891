/* schedule_fire.c - what happens when a schedule is due.
 *
 * A due time that is dealt with at most LATE_MS after its time makes one job. An older one was
 * missed, because the daemon was down or the clock jumped, and the policy decides:
 *   skip  all due times up to now make no job
 *   once  all due times up to now make one job together
 *   all   each makes its job, oldest first, at most MISFIRE_ALL_MAX in a row; the rest is skipped
 * The times move on in the transaction that inserts the job, so each due time counts once. */
#include "queue/schedule.h"

#include "admin/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATE_MS 10000u
#define MISFIRE_ALL_MAX 1000u

static void tell_missed(struct schedule *schedule, const char *why)
{
    broker_event(schedule->broker, &(struct event){.kind = EVENT_MISSED, .cron = schedule->name,
                                                   .error_message = why});
}

void schedule_failed(struct schedule *schedule, const struct aw_error *error)
{
    char text[AW_ERROR_CODE_SIZE + AW_ERROR_MESSAGE_SIZE + 2];
    (void)snprintf(text, sizeof text, "%s%s%s", error->code, error->code[0] ? " " : "",
                   error->message);
    tell_missed(schedule, text);
    if (schedule->error && strcmp(schedule->error, text) == 0)
        return; /* said already */
    log_line(LOG_LEVEL_ERROR, "schedule %s: no job: %s", schedule->name, text);
    free(schedule->error);
    schedule->error = strdup(text); /* without memory the log alone has it */
}

/* --- its times in the store ------------------------------------------------------------ */

static void step_done(struct store_change *change, int result)
{
    (void)result; /* given up on a full disk: the times are as they were */
    struct schedule *schedule = change->context;
    schedule->step_pending = false;
    if (schedule->step_again && result == 0)
        schedule_step(schedule);
}

void schedule_step(struct schedule *schedule)
{
    /* One at a time, however long the disk stays full; and none behind a change that may delete the
     * schedule, which this one points into. */
    schedule->step_again = schedule->step_pending || schedule->changing;
    if (schedule->step_again)
        return;
    schedule->step_pending = true;
    schedule->step_row = schedule_row(schedule);
    schedule->step = (struct store_change){.kind = CHANGE_CRON_STEP,
                                           .schedule = &schedule->step_row,
                                           .done = step_done,
                                           .context = schedule};
    committer_add(&schedule->broker->committer, &schedule->step);
}

/* --- its job --------------------------------------------------------------------------- */

static void job_stored(void *context, uint64_t id, const struct aw_error *error)
{
    struct schedule *schedule = context;
    if (error) {
        schedule_failed(schedule, error);
        schedule_step(schedule);
        return;
    }
    schedule->last_job = id;
    broker_event(schedule->broker,
                 &(struct event){.kind = EVENT_FIRED, .job = id, .cron = schedule->name});
    free(schedule->error);
    schedule->error = NULL;
}

/* Makes the job for the due time; the schedule's times have moved on. */
static void submit(struct schedule *schedule)
{
    struct job *request = schedule->plan.request;
    struct submit_options options;
    struct aw_error error = {0};
    int result = submit_options_parse(SUBMIT_COMMAND, request->arguments, request->argument_count,
                                      &options, &error);
    if (result == 0) {
        struct store_schedule step = schedule_row(schedule);
        result = submit_scheduled(schedule->broker, &options, options.target, options.arguments,
                                  options.argument_count, &step, job_stored, schedule, &error);
        submit_options_free(&options);
    }
    if (result == 0)
        return;
    if (!error.message[0])
        (void)aw_error_set(&error, result, "%s", aw_error_text(result));
    schedule_failed(schedule, &error);
    schedule_step(schedule);
}

static void skip(struct schedule *schedule, const char *why)
{
    log_line(LOG_LEVEL_WARNING, "schedule %s: %s", schedule->name, why);
    tell_missed(schedule, why);
    schedule_step(schedule);
}

void schedule_fire(struct schedule *schedule, uint64_t now_ms)
{
    const struct schedule_plan *plan = &schedule->plan;
    uint64_t due_ms = schedule->next_ms;
    bool missed = now_ms - due_ms > LATE_MS;
    bool each = !missed || plan->misfire == MISFIRE_ALL;
    bool too_many = missed && each && schedule->caught_up >= MISFIRE_ALL_MAX;
    uint64_t after_ms = each && !too_many ? due_ms : now_ms;
    schedule->caught_up = missed && !too_many ? schedule->caught_up + 1 : 0;
    schedule->next_ms = cron_next(&plan->expression, plan->zone->zone, after_ms);
    if (missed && plan->misfire == MISFIRE_SKIP) {
        skip(schedule, "missed its time: skipped");
    } else if (too_many) {
        skip(schedule, "missed more than 1000 times: the rest is skipped");
    } else {
        schedule->last_ms = due_ms;
        submit(schedule);
    }
}
