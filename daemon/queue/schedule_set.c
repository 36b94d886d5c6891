/* schedule_set.c - what clients do to schedules: set, delete, run. */
#include "queue/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A change on its way to the store, and the task that waits for it. */
struct pending {
    struct store_change change;
    struct store_schedule row;
    struct aw_event done;
    int result;
};

static void pending_done(struct store_change *change, int result)
{
    struct pending *pending = change->context;
    pending->result = result;
    aw_event_set(&pending->done);
}

/* Waits until it is set, whatever happens to the caller: its memory is in use. */
static void wait_shielded(struct aw_event *event)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (!event->set)
        AW_IGNORE(aw_event_wait(event));
    aw_scope_leave(&shield);
}

static int store_change_of(struct broker *broker, enum store_change_kind kind,
                           struct pending *pending, struct aw_error *reterr)
{
    pending->change = (struct store_change){
        .kind = kind, .schedule = &pending->row, .done = pending_done, .context = pending};
    aw_event_init(&pending->done);
    committer_add(&broker->committer, &pending->change);
    wait_shielded(&pending->done);
    if (pending->result < 0)
        return aw_error_set_code(reterr, pending->result, "FULL",
                                 "the disk that holds the queue is full; nothing was changed");
    return 0;
}

static int refuse_stopping(const struct broker *broker, struct aw_error *reterr)
{
    return broker->stopping
               ? aw_error_set_code(reterr, -ESHUTDOWN, "UNAVAILABLE", "awaitd is stopping")
               : 0;
}

/* The one of that name once nobody else changes it, or NULL. */
static int find_free(struct broker *broker, struct argument name, struct schedule **ret_schedule,
                     struct aw_error *reterr)
{
    struct schedules *schedules = broker->schedules;
    int result = refuse_stopping(broker, reterr);
    while (result == 0) {
        *ret_schedule = schedule_find(schedules, name, NULL);
        if (!*ret_schedule || !(*ret_schedule)->changing)
            return 0;
        result = aw_event_wait(&schedules->changed);
        if (result == 0)
            result = refuse_stopping(broker, reterr);
    }
    return result;
}

/* Others may look at it again: the clock, and those who want to change it. */
static void end_change(struct schedule *schedule)
{
    struct schedules *schedules = schedule->broker->schedules;
    schedule->changing = false;
    if (schedule->step_again)
        schedule_step(schedule);
    aw_event_set(&schedules->changed);
}

/* --- set ------------------------------------------------------------------------------- */

static const char *refused_option(const struct submit_options *options)
{
    return options->has_at            ? "AT"
           : options->bind_count > 0  ? "BIND"
           : options->after_count > 0 ? "AFTER"
           : options->has_onfail      ? "ONFAIL"
                                      : NULL;
}

/* What it will submit, as SUBMIT would check it. */
static int check_words(struct broker *broker, const struct schedule_settings *settings,
                       struct aw_error *reterr)
{
    struct submit_options options;
    struct target_lanes *target;
    struct aw_error error = {0};
    int result = submit_options_parse(SUBMIT_COMMAND, settings->words, settings->word_count,
                                      &options, &error);
    if (result < 0)
        return aw_error_set_code(reterr, result, "ERR", "%s",
                                 error.message[0] ? error.message : aw_error_text(result));
    const char *refused = refused_option(&options);
    if (refused)
        result = aw_error_set_code(reterr, -EINVAL, "ERR",
                                   "CRON SET takes no option %s: it names one moment or one job, "
                                   "and a schedule makes many",
                                   refused);
    else
        result = broker_check(broker, options.target, options.arguments, options.argument_count,
                              &target, reterr);
    submit_options_free(&options);
    return result;
}

static int make_plan(struct broker *broker, const struct schedule_settings *settings,
                     struct schedule_plan *plan, struct aw_error *reterr)
{
    struct argument text = settings->expression;
    struct schedules *schedules = broker->schedules;
    struct aw_error error = {0};
    int result = cron_expression_parse(text.data, text.size, &plan->expression, &error);
    plan->misfire = settings->misfire;
    plan->zone = schedules->zone_default;
    if (result == 0 && settings->zone.data)
        result = schedule_zone(schedules, settings->zone, &plan->zone, &error);
    if (result < 0)
        return aw_error_set_code(reterr, result, result == -ENOMEM ? "FULL" : "ERR", "%s",
                                 error.message);
    memcpy(plan->expression_text, text.data, text.size);
    plan->expression_text[text.size] = '\0';
    result = check_words(broker, settings, reterr);
    if (result < 0)
        return result;
    if (job_payload_size(settings->words, settings->word_count) > SCHEDULE_REQUEST_SIZE_MAX)
        return aw_error_set_code(reterr, -EMSGSIZE, "ERR",
                                 "a schedule's job may have at most %u KiB",
                                 SCHEDULE_REQUEST_SIZE_MAX / 1024);
    /* the parser has noted NULLs in the words; they are stored as they came */
    for (uint32_t i = 0; i < settings->word_count; i++)
        settings->words[i].null = false;
    plan->request = job_new(settings->words, settings->word_count);
    if (!plan->request)
        return aw_error_set_code(reterr, -ENOMEM, "FULL", "no memory for the schedule");
    return 0;
}

static int check_limits(const struct schedules *schedules, const struct schedule *present,
                        const struct schedule_plan *plan, struct aw_error *reterr)
{
    uint64_t present_bytes = present ? present->plan.request->payload_size : 0;
    if (!present && schedules->count >= SCHEDULES_MAX)
        return aw_error_set_code(reterr, -ENOSPC, "FULL",
                                 "there are %u schedules, the most there can be; delete one first",
                                 SCHEDULES_MAX);
    if (schedules->bytes - present_bytes + plan->request->payload_size > SCHEDULES_BYTES_MAX)
        return aw_error_set_code(reterr, -ENOSPC, "FULL",
                                 "the jobs of all schedules together may have at most %u MiB",
                                 SCHEDULES_BYTES_MAX >> 20);
    return 0;
}

/* A new one, in the list, which nobody sees before it is stored. */
static int add_new(struct broker *broker, struct argument name, struct schedule **ret_schedule,
                   struct aw_error *reterr)
{
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule) {
        memcpy(schedule->name, name.data, name.size);
        schedule->broker = broker;
    }
    if (!schedule || schedule_insert(broker->schedules, schedule) < 0) {
        free(schedule);
        return aw_error_set_code(reterr, -ENOMEM, "FULL", "no memory for the schedule");
    }
    *ret_schedule = schedule;
    return 0;
}

/* The store first, then memory. */
static int store_plan(struct schedule *schedule, struct schedule_plan *plan, uint64_t next_ms,
                      struct aw_error *reterr)
{
    struct schedules *schedules = schedule->broker->schedules;
    struct schedule planned = *schedule;
    struct pending pending;
    planned.plan = *plan;
    planned.next_ms = next_ms;
    pending.row = schedule_row(&planned);
    pending.row.name = schedule->name;
    pending.row.expression = plan->expression_text;
    schedule->changing = true;
    schedules->bytes += plan->request->payload_size;
    int result = store_change_of(schedule->broker, CHANGE_CRON_SET, &pending, reterr);
    if (result < 0) {
        schedules->bytes -= plan->request->payload_size;
        end_change(schedule);
        if (!schedule->stored)
            schedule_remove(schedules, schedule);
        return result;
    }
    if (schedule->plan.request)
        schedules->bytes -= schedule->plan.request->payload_size;
    job_free(schedule->plan.request);
    schedule->plan = *plan;
    plan->request = NULL;
    schedule->next_ms = next_ms;
    schedule->caught_up = 0;
    free(schedule->error);
    schedule->error = NULL;
    schedule->stored = true;
    schedule->step_again = false; /* its new times are stored */
    end_change(schedule);
    return 0;
}

static int set_plan(struct broker *broker, const struct schedule_settings *settings,
                    struct schedule_plan *plan, struct aw_error *reterr)
{
    struct schedule *schedule;
    int result = find_free(broker, settings->name, &schedule, reterr);
    if (result == 0)
        result = check_limits(broker->schedules, schedule, plan, reterr);
    uint64_t next_ms = cron_next(&plan->expression, plan->zone->zone, aw_wall_ms());
    if (result == 0 && next_ms == 0)
        result = aw_error_set_code(reterr, -EINVAL, "ERR",
                                   "the expression names no time before the year 10000");
    if (result == 0 && !schedule)
        result = add_new(broker, settings->name, &schedule, reterr);
    if (result == 0)
        result = store_plan(schedule, plan, next_ms, reterr);
    return result;
}

int broker_schedule_set(struct broker *broker, const struct schedule_settings *settings,
                        struct aw_error *reterr)
{
    struct schedule_plan plan = {0};
    int result = make_plan(broker, settings, &plan, reterr);
    if (result == 0)
        result = set_plan(broker, settings, &plan, reterr);
    job_free(plan.request);
    return result;
}

/* --- delete and run -------------------------------------------------------------------- */

int broker_schedule_delete(struct broker *broker, struct argument name, struct aw_error *reterr)
{
    struct schedule *schedule;
    struct pending pending;
    int result = find_free(broker, name, &schedule, reterr);
    if (result < 0 || !schedule)
        return result;
    schedule->changing = true;
    pending.row = schedule_row(schedule);
    result = store_change_of(broker, CHANGE_CRON_DELETE, &pending, reterr);
    if (result < 0) {
        end_change(schedule);
        return result;
    }
    if (schedule->plan.request)
        broker->schedules->bytes -= schedule->plan.request->payload_size;
    schedule_remove(broker->schedules, schedule);
    aw_event_set(&broker->schedules->changed);
    return 1;
}

struct run {
    struct aw_event done;
    struct aw_error *error;
    uint64_t id;
    int result;
};

static void run_stored(void *context, uint64_t id, const struct aw_error *error)
{
    struct run *run = context;
    run->id = id;
    run->result = error ? error->number : 0;
    if (error)
        *run->error = *error;
    aw_event_set(&run->done);
}

int broker_schedule_run(struct broker *broker, struct argument name, uint64_t *ret_id,
                        struct aw_error *reterr)
{
    struct run run = {.error = reterr};
    struct submit_options options;
    struct schedule *schedule = schedule_find(broker->schedules, name, NULL);
    if (!schedule || !schedule->stored)
        return -ENOENT;
    struct job *request = schedule->plan.request;
    aw_event_init(&run.done);
    int result = submit_options_parse(SUBMIT_COMMAND, request->arguments, request->argument_count,
                                      &options, reterr);
    if (result == 0) {
        result = broker_submit(broker, &options, options.target, options.arguments,
                               options.argument_count, run_stored, &run, reterr);
        submit_options_free(&options);
    }
    /* -ENOENT is an unknown schedule, not a target that is gone */
    if (result < 0)
        return result == -ENOENT ? -EINVAL : result;
    wait_shielded(&run.done);
    *ret_id = run.id;
    return run.result;
}
