/* submit.c - accepting a job: checks, the struct job, and the group commit that makes it durable.
 */
#include "queue/broker_state.h"
#include "queue/job_extras.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct submission {
    struct store_change change;
    struct broker *broker;
    broker_submitted done;
    void *context;
    struct store_schedule schedule; /* of change.schedule */
};

/* A live job has its key, or a job it names is not there. */
static void not_inserted(struct submission *submission, const struct job_extras *extras)
{
    if (extras->existing_id) {
        submission->done(submission->context, extras->existing_id, NULL);
        return;
    }
    submission->broker->counters.refused++;
    submission->done(submission->context, 0, &extras->refusal);
}

void submit_take_in(struct broker *broker, struct store_change *change)
{
    struct job *job = change->job;
    broker->counters.submitted++;
    note_submitted(broker, job);
    job_extras_drop(job);
    if (job->expire_ms)
        clockwork_note_expiry(broker, job->expire_ms);
    if (job->state == JOB_BLOCKED) {
        consequences_tell(broker, change);
        job_free(job);
    } else if (job->state == JOB_SCHEDULED) {
        clockwork_note_due(broker, job->due_ms);
        job_free(job);
    } else {
        struct target_lanes *target = job->lane->target;
        window_admit(broker, job);
        dispatch(target);
    }
}

static void stored(struct store_change *change, int result)
{
    struct submission *submission = change->context;
    struct broker *broker = submission->broker;
    struct job *job = change->job;
    limits_stored(job);
    if (result < 0) {
        struct aw_error error;
        (void)aw_error_set_code(&error, result, "FULL",
                                "the disk that holds the queue is full; the job was not stored");
        broker->counters.refused++;
        submission->done(submission->context, 0, &error);
        job_free(job);
        spares_give(&broker->submissions, submission, SPARES_MAX);
        return;
    }
    if (!change->applied) {
        not_inserted(submission, job->extras);
        job_free(job);
        spares_give(&broker->submissions, submission, SPARES_MAX);
        return;
    }
    submission->done(submission->context, job->id, NULL);
    submit_take_in(broker, change);
    spares_give(&broker->submissions, submission, SPARES_MAX);
}

static int refuse(struct broker *broker, struct aw_error *reterr, int number, const char *word,
                  const char *message)
{
    broker->counters.refused++;
    return aw_error_set_code(reterr, number, word, "%s", message);
}

static int check_room(struct broker *broker, struct aw_error *reterr)
{
    if (broker->stopping)
        return refuse(broker, reterr, -ESHUTDOWN, "UNAVAILABLE", "awaitd is stopping");
    if (committer_refuses(&broker->committer))
        return refuse(broker, reterr, -ENOSPC, "FULL",
                      "the disk that holds the queue is full; no new jobs until there is room");
    if (broker->disk_free_bytes < broker->configuration->disk_free_min) {
        broker->counters.refused++;
        return aw_error_set_code(reterr, -ENOSPC, "FULL",
                                 "only %" PRIu64 " MiB are free on the disk of %s; new jobs need "
                                 "%" PRIu64 " MiB (disk_free_min)",
                                 broker->disk_free_bytes >> 20, broker->configuration->state,
                                 broker->configuration->disk_free_min >> 20);
    }
    return 0;
}

int broker_unknown_target(const struct broker *broker, struct argument name,
                          struct aw_error *reterr)
{
    char known[256] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < broker->target_count && used < sizeof known; i++) {
        int written = snprintf(known + used, sizeof known - used, " %s",
                               broker->targets[i].target.settings.name);
        used += written > 0 ? (size_t)written : 0;
    }
    return aw_error_set_code(reterr, -ENOENT, "NOTARGET", "no target '%.*s'; known:%s",
                             (int)(name.size < 64 ? name.size : 64), name.data,
                             known[0] ? known : " none");
}

int broker_check(struct broker *broker, struct argument name, const struct argument *arguments,
                 uint32_t count, struct target_lanes **ret_target, struct aw_error *reterr)
{
    struct target_lanes *target = registry_target(broker, name.data, name.size);
    if (!target)
        return broker_unknown_target(broker, name, reterr);
    struct aw_error error = {0};
    int result = target->target.type->check(&target->target, arguments, count, &error);
    if (result < 0)
        return aw_error_set_code(reterr, -EINVAL, "ERR", "target %s: %s",
                                 target->target.settings.name, error.message);
    *ret_target = target;
    return 0;
}

/* The wall-clock time the options ask for, 0: at once. */
static uint64_t due_time(const struct submit_options *options, uint64_t now_ms)
{
    uint64_t due_ms = options->has_at ? options->at_ms
                      : options->has_delay ? now_ms + options->delay_ms
                                           : 0;
    return due_ms > now_ms ? due_ms : 0;
}

static void apply_options(struct job *job, const struct submit_options *options, uint64_t now_ms)
{
    const struct config_queue *settings = job->lane->queue->settings;
    job->due_ms = due_time(options, now_ms);
    job->state = job->due_ms ? JOB_SCHEDULED : JOB_READY;
    job->priority = options->priority;
    job->timeout_ms = options->has_timeout ? options->timeout_ms : settings->timeout_ms;
    job->retries = options->has_retry ? options->retry : settings->retry;
    job->backoff_min_ms = options->has_backoff ? options->backoff_min_ms : settings->backoff_min_ms;
    job->backoff_max_ms = options->has_backoff ? options->backoff_max_ms : settings->backoff_max_ms;
    job->keep_ms = options->has_keep ? options->keep_ms : settings->keep_ms;
    job->format = (uint8_t)options->format;
    if (options->has_coalesce) /* 0 and 1 are the same: by itself */
        job->coalesce = (uint16_t)(options->coalesce > 0 ? options->coalesce : 1);
}

/* Once into the WAL, once into the database: between two looks at the disk the room is estimated,
 * so that a burst cannot run through the reserve. */
static void spend_room(struct broker *broker, const struct job *job)
{
    uint64_t bytes = 2 * (uint64_t)(job_size_bytes(job) + job_extras_size_bytes(job));
    if (broker->disk_free_bytes != UINT64_MAX)
        broker->disk_free_bytes -= bytes < broker->disk_free_bytes ? bytes
                                                                   : broker->disk_free_bytes;
}

int broker_may_submit(struct broker *broker, struct argument target_name,
                      const struct argument *arguments, uint32_t count, struct aw_error *reterr)
{
    struct target_lanes *target;
    int result = check_room(broker, reterr);
    if (result == 0)
        result = broker_check(broker, target_name, arguments, count, &target, reterr);
    if (result == 0 && job_payload_size(arguments, count) > JOB_PAYLOAD_SIZE_MAX)
        result = refuse(broker, reterr, -EMSGSIZE, "ERR",
                        "the arguments are larger than a stored job can be (480 MB)");
    return result;
}

int submit_make_job(struct broker *broker, const struct submit_options *options,
                    struct argument target_name, const struct argument *arguments, uint32_t count,
                    uint64_t now_ms, struct job **ret_job, struct aw_error *reterr)
{
    int result = broker_may_submit(broker, target_name, arguments, count, reterr);
    if (result < 0)
        return result;
    struct lane *lane = registry_lane(broker, options->queue, options->queue_size,
                                      target_name.data, target_name.size);
    if (!lane)
        return refuse(broker, reterr, -ENOSPC, "FULL",
                      "too many queues (20,000 pairs of queue and target), or no memory");
    struct aw_error no_room;
    bool fits = limits_check(lane->queue, job_payload_size(arguments, count), &no_room) == 0;
    if (!fits && !options->has_key)
        return refuse(broker, reterr, -ENOSPC, no_room.code, no_room.message);
    struct job *job = job_new(arguments, count);
    if (!job)
        return refuse(broker, reterr, -ENOMEM, "FULL", "no memory for the job");
    job->lane = lane;
    job->id = job_id_next(&broker->ids, now_ms);
    apply_options(job, options, now_ms);
    result = job_extras_add(job, options, now_ms, reterr);
    if (result < 0) {
        job_free(job);
        if (result == -ENOMEM)
            return refuse(broker, reterr, result, "FULL", "no memory for the job");
        broker->counters.refused++;
        return result;
    }
    if (!fits) {
        /* a live job may have its KEY: only the store knows, at its turn */
        job->extras->no_room = true;
        job->extras->refusal = no_room;
    }
    spend_room(broker, job);
    limits_accepted(job);
    *ret_job = job;
    return 0;
}

int submit_scheduled(struct broker *broker, const struct submit_options *options,
                     struct argument target_name, const struct argument *arguments, uint32_t count,
                     const struct store_schedule *step, broker_submitted done, void *context,
                     struct aw_error *reterr)
{
    struct submission *submission = spares_take(&broker->submissions, sizeof *submission);
    if (!submission)
        return refuse(broker, reterr, -ENOMEM, "FULL", "no memory for the job");
    uint64_t now_ms = aw_wall_ms();
    struct job *job;
    int result = submit_make_job(broker, options, target_name, arguments, count, now_ms, &job,
                                 reterr);
    if (result < 0) {
        spares_give(&broker->submissions, submission, SPARES_MAX);
        return result;
    }
    *submission = (struct submission){.broker = broker, .done = done, .context = context};
    submission->change = (struct store_change){
        .kind = CHANGE_INSERT, .job = job, .now_ms = now_ms, .done = stored,
        .context = submission};
    if (step) {
        submission->schedule = *step;
        submission->schedule.last_job = job->id;
        submission->change.schedule = &submission->schedule;
    }
    committer_add(&broker->committer, &submission->change);
    return 0;
}

int broker_submit(struct broker *broker, const struct submit_options *options,
                  struct argument target, const struct argument *arguments, uint32_t count,
                  broker_submitted done, void *context, struct aw_error *reterr)
{
    return submit_scheduled(broker, options, target, arguments, count, NULL, done, context, reterr);
}

bool broker_is_congested(const struct broker *broker)
{
    return committer_is_congested(&broker->committer);
}

int broker_wait_uncongested(struct broker *broker)
{
    return aw_event_wait(&broker->committer.uncongested);
}

int broker_find_target(struct broker *broker, struct argument name, struct target **ret_target,
                       struct aw_error *reterr)
{
    struct target_lanes *target = registry_target(broker, name.data, name.size);
    if (!target)
        return broker_unknown_target(broker, name, reterr);
    if (broker->stopping)
        return aw_error_set_code(reterr, -ESHUTDOWN, "UNAVAILABLE", "awaitd is stopping");
    *ret_target = &target->target;
    return 0;
}

int broker_run(struct broker *broker, enum result_format format, struct argument target_name,
               const struct argument *arguments, uint32_t count, struct outcome *ret_outcome,
               struct aw_error *reterr)
{
    struct target_lanes *target;
    int result = broker_check(broker, target_name, arguments, count, &target, reterr);
    if (result == 0 && target->target.type->queued_only)
        result = aw_error_set_code(reterr, -EINVAL, "ERR",
                                   "target %s: RUN cannot be used on a worker target; SUBMIT the "
                                   "job and AWAIT it",
                                   target->target.settings.name);
    if (result == 0 && target->paused_ms > 0)
        result = aw_error_set_code(reterr, -EAGAIN, "UNAVAILABLE", "target %s is paused",
                                   target->target.settings.name);
    if (result < 0)
        return result;
    struct execution execution = {
        .arguments = arguments,
        .argument_count = count,
        .format = format,
        .result_size_max = broker->configuration->result_size_max,
    };
    *ret_outcome = (struct outcome){0};
    target->target.type->execute(&target->target, &execution, ret_outcome);
    broker->counters.executed++;
    target->outcomes[ret_outcome->kind]++;
    return 0;
}
