/* limits.c - how much a queue may hold, and how fast jobs may start.
 *
 * Both are kept by counting. What a queue holds is what the store has committed and what is on its
 * way there, so that a burst of submissions cannot slip past the limit while the disk works. What
 * lacks a token leaves the time of its next one; one task waits for the first of these. */
#include "queue/broker_state.h"
#include "queue/job_extras.h"

#include <errno.h>
#include <inttypes.h>

static void count_held(const struct job_queue *queue, uint64_t *ret_jobs, uint64_t *ret_bytes)
{
    int64_t jobs = 0;
    int64_t bytes = 0;
    for (const struct lane *lane = queue->lanes; lane; lane = lane->queue_next) {
        jobs += lane->counts[JOB_SCHEDULED] + lane->counts[JOB_BLOCKED] + lane->counts[JOB_READY];
        bytes += lane->bytes;
    }
    *ret_jobs = (uint64_t)jobs + queue->accepted;
    *ret_bytes = (uint64_t)bytes + queue->accepted_bytes;
}

int limits_check(const struct job_queue *queue, uint64_t payload_size, struct aw_error *reterr)
{
    const struct config_queue *settings = queue->settings;
    if (settings->length_max == 0 && settings->bytes_max == 0)
        return 0;
    uint64_t jobs;
    uint64_t bytes;
    count_held(queue, &jobs, &bytes);
    if (settings->length_max > 0 && jobs >= settings->length_max)
        return aw_error_set_code(reterr, -ENOSPC, "FULL",
                                 "queue %s holds %" PRIu64 " jobs (length_max)", queue->name, jobs);
    if (settings->bytes_max > 0 && bytes + payload_size > settings->bytes_max)
        return aw_error_set_code(reterr, -ENOSPC, "FULL",
                                 "queue %s holds %" PRIu64 " bytes and has no room for %" PRIu64
                                 " more (bytes_max)",
                                 queue->name, bytes, payload_size);
    return 0;
}

/* One that only asks for the live job of its KEY takes no place. */
static bool takes_place(const struct job *job)
{
    return !job->extras || !job->extras->no_room;
}

void limits_accepted(const struct job *job)
{
    if (!takes_place(job))
        return;
    job->lane->queue->accepted++;
    job->lane->queue->accepted_bytes += job->payload_size;
}

void limits_stored(const struct job *job)
{
    if (!takes_place(job))
        return;
    job->lane->queue->accepted--;
    job->lane->queue->accepted_bytes -= job->payload_size;
}

bool limits_have_token(struct broker *broker, const struct token_bucket *bucket)
{
    if (bucket->interval_ns == 0)
        return true;
    uint64_t now_ns = aw_now_ns();
    uint64_t ready_ns = token_bucket_ready_ns(bucket, now_ns);
    if (ready_ns <= now_ns)
        return true;
    if (ready_ns < broker->next_token_ns) {
        broker->next_token_ns = ready_ns;
        aw_event_set(&broker->token_wanted);
    }
    return false;
}

void limits_take_tokens(struct target_lanes *target, struct job_queue *queue)
{
    if (queue->bucket.interval_ns > 0)
        token_bucket_take(&queue->bucket, aw_now_ns());
    if (target->bucket.interval_ns > 0)
        token_bucket_take(&target->bucket, aw_now_ns());
}

int limits_main(void *argument)
{
    struct broker *broker = argument;
    aw_task_set_name(NULL, "rate clock");
    while (aw_interrupted() == 0) {
        struct aw_scope scope;
        aw_event_clear(&broker->token_wanted);
        aw_scope_enter(&scope, broker->next_token_ns);
        AW_IGNORE(aw_event_wait(&broker->token_wanted));
        aw_scope_leave(&scope);
        if (aw_now_ns() < broker->next_token_ns)
            continue;
        broker->next_token_ns = AW_NEVER;
        dispatch_all(broker);
    }
    return 0;
}
