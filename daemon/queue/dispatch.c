/* dispatch.c - which job runs next, and its execution.
 *
 * A target takes jobs while it is up, not paused and has room; its lanes are served in turn, each
 * with as many jobs as its queue's weight, so that no queue starves another (ADR 7). Within a lane
 * the order is priority, then age. A queue's concurrency and rate count over all targets. */
#include "queue/broker_state.h"

#include "admin/log.h"

#include <stdlib.h>

#define COME_BACK_PAUSE_MS 100u

static int execute(void *argument);

static bool may_start(struct broker *broker, const struct job_queue *queue)
{
    return queue->running < queue->settings->concurrency && queue->paused_ms == 0 &&
           queue->purging == 0 && limits_have_token(broker, &queue->bucket);
}

/* The next lane in turn that may start a job. Its turn ends when it has started as many as its
 * weight, or cannot start one; it keeps nothing for the next. */
static struct lane *next_lane(struct target_lanes *target)
{
    for (uint32_t i = 0; i < target->lane_count; i++) {
        struct lane *lane = target->turn;
        bool starts = may_start(target->broker, lane->queue);
        if (starts && lane->credit == 0)
            lane->credit = lane->queue->settings->weight;
        lane->credit = starts ? lane->credit - 1 : 0;
        if (lane->credit == 0)
            target->turn = lane_slot_of(lane)->ring_next;
        if (starts)
            return lane;
    }
    return NULL;
}

/* Ends the lane's first jobs that may not be started any more. False: no memory. */
static bool end_expired(struct broker *broker, struct lane *lane)
{
    while (lane->count > 0 && consequences_expired(lane->window[lane->head])) {
        struct job *job = window_pop(broker, lane);
        if (settle_expired(broker, job) < 0) {
            window_return(broker, job);
            return false;
        }
    }
    return true;
}

static bool start(struct target_lanes *target, struct lane *lane)
{
    struct broker *broker = target->broker;
    if (!end_expired(broker, lane))
        return false;
    if (lane->count == 0)
        return true;
    struct execution_record *record = execution_record_new(broker);
    if (!record)
        return false;
    record->target = target;
    record->job = window_pop(broker, lane);
    record->job->state = JOB_RUNNING;
    record->job->record = record;
    target->running++;
    lane->queue->running++;
    if (aw_group_spawn(&broker->executions, execute, record) == 0) {
        limits_take_tokens(target, lane->queue);
        return true;
    }
    target->running--;
    lane->queue->running--;
    record->job->record = NULL;
    window_return(broker, record->job);
    execution_record_free(record);
    return false;
}

static bool has_room(const struct target_lanes *target)
{
    const struct target_type *type = target->target.type;
    uint32_t capacity = type->capacity ? type->capacity(&target->target) : target->capacity;
    return target->running < capacity;
}

void dispatch(struct target_lanes *target)
{
    struct broker *broker = target->broker;
    while (target->lane_count > 0 && !broker->stopping && target->target.up &&
           target->paused_ms == 0 && has_room(target) &&
           !committer_is_congested(&broker->committer) &&
           limits_have_token(broker, &target->bucket)) {
        struct lane *lane = next_lane(target);
        if (!lane || !start(target, lane))
            return;
    }
}

void dispatch_leave_queue(struct broker *broker, struct job_queue *queue)
{
    bool was_full = queue->running >= queue->settings->concurrency;
    queue->running--;
    /* other targets may have been waiting for this place */
    if (was_full)
        dispatch_all(broker);
}

void dispatch_all(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->target_count; i++)
        dispatch(&broker->targets[i]);
}

static void run_job(struct execution_record *record)
{
    struct job *job = record->job;
    uint64_t result_size_max = record->broker->configuration->result_size_max;
    struct execution execution = {
        .arguments = job->arguments,
        .argument_count = job->argument_count,
        .job_id = job->id,
        .attempt = job->attempts + 1,
        .alone = job->attempts > 0 || job->interruptions > 0,
        .coalesce = job->coalesce,
        .format = (enum result_format)job->format,
        .result_size_max =
            result_size_max < JOB_RESULT_SIZE_MAX ? result_size_max : JOB_RESULT_SIZE_MAX,
    };
    job->started_ms = aw_wall_ms();
    record->started_ns = aw_now_ns();
    aw_scope_enter(&record->scope, job->timeout_ms ? aw_after_ms(job->timeout_ms) : AW_NEVER);
    record->in_scope = true;
    if (job->cancel_requested)
        outcome_set(&record->outcome, OUTCOME_STOPPED, "", "cancelled before it began");
    else if (!mark_started(record))
        outcome_set(&record->outcome, OUTCOME_UNAVAILABLE, "", "it could not be marked as started");
    else {
        note_started(record);
        record->target->target.type->execute(&record->target->target, &execution,
                                             &record->outcome);
        note_ran(record);
    }
    record->in_scope = false;
    record->timed_out = job->timeout_ms && aw_scope_expired(&record->scope) &&
                        !record->scope.cancelled;
    aw_scope_leave(&record->scope);
}

/* Its execution does not count as an attempt, so no backoff keeps it away. */
static bool comes_back(const struct execution_record *record)
{
    enum outcome_kind kind = record->outcome.kind;
    return kind == OUTCOME_UNAVAILABLE || kind == OUTCOME_INTERRUPTED ||
           (kind == OUTCOME_STOPPED && !record->timed_out && !record->job->cancel_requested);
}

static int execute(void *argument)
{
    struct execution_record *record = argument;
    struct target_lanes *target = record->target;
    struct broker *broker = record->broker;

    aw_task_set_name(NULL, target->target.settings.name);
    run_job(record);
    broker->counters.executed++;
    /* a job that comes back at once to a target that is up must not spin; one whose capacity
     * changes takes it again only when somebody asks for it */
    if (comes_back(record) && target->target.up && !broker->stopping &&
        !target->target.type->capacity)
        (void)aw_sleep(COME_BACK_PAUSE_MS);
    target->running--;
    settle(record);
    dispatch(target);
    return 0;
}
