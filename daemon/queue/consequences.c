/* consequences.c - what a change meant for other jobs, once it is durable: those it released, those
 * it ended; and jobs that may not be started any more. See broker_state.h. */
#include "queue/broker_state.h"

#include <stdlib.h>

static void admit(struct broker *broker, struct job *job)
{
    struct job *before = job_table_find(&broker->jobs, job->id);
    if (before) { /* it was cancelled in the store, and retried; its execution has not ended yet */
        job_free(before->successor);
        before->successor = job;
        return;
    }
    job->ready_ms = aw_wall_ms();
    window_admit(broker, job);
}

static void admit_woken(struct broker *broker, struct store_change *change)
{
    struct target_lanes *only = NULL;
    uint32_t count = 0;
    while (change->woken) {
        struct job *job = change->woken;
        change->woken = job->next;
        only = job->lane->target;
        admit(broker, job);
        count++;
    }
    /* all are in their windows before the first is taken: priority decides */
    if (count == 1 && only)
        dispatch(only);
    else if (count > 1)
        dispatch_all(broker);
}

static void tell_ended(struct broker *broker, const struct ended_job *ended)
{
    count_final(broker, ended->state);
    clockwork_note_purge(broker, ended->purge_ms);
    consequences_drop(broker, ended->id);
    note_ended(broker, ended);
    watches_finish(broker, ended->id, ended->state, NULL, ended->code, ended->message);
}

void consequences_tell(struct broker *broker, struct store_change *change)
{
    while (change->ended) {
        struct ended_job *ended = change->ended;
        change->ended = ended->next;
        tell_ended(broker, ended);
        free(ended);
    }
    if (change->scheduled_ms)
        clockwork_note_due(broker, change->scheduled_ms);
    if (change->unfinished)
        clockwork_note_release(broker);
    admit_woken(broker, change);
}

void consequences_drop(struct broker *broker, uint64_t id)
{
    struct job *job = job_table_find(&broker->jobs, id);
    if (!job)
        return;
    bool waits = job->state == JOB_READY && window_take(broker, job);
    bool expires = job->state == JOB_RUNNING && !job->record;
    if (waits || expires) {
        forget_job(broker, job);
        return;
    }
    /* its outcome will find that the row has ended; until then only the store knows how */
    job->ended_in_store = true;
    job->cancel_requested = true;
    if (job->record && job->record->in_scope)
        aw_scope_cancel(&job->record->scope);
}

bool consequences_expired(const struct job *job)
{
    return job->expire_ms && job->attempts == 0 && job->interruptions == 0 &&
           job->expire_ms <= aw_wall_ms();
}

bool consequences_may_expire(void *context, uint64_t id)
{
    struct broker *broker = context;
    struct job *job = job_table_find(&broker->jobs, id);
    if (!job)
        return true;
    if (job->state == JOB_RUNNING)
        return !job->record; /* taken out below, in a batch that a full disk has put off */
    if (job->interruptions > 0 || !window_take(broker, job))
        return false;
    job->state = JOB_RUNNING; /* nobody may take it any more */
    return true;
}
