/* settle.c - see settle.h and broker_state.h. */
#include "queue/settle.h"

#include "admin/log.h"
#include "queue/broker_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t settle_backoff_ms(uint64_t minimum_ms, uint64_t maximum_ms, uint32_t attempts,
                           uint32_t random)
{
    if (maximum_ms < minimum_ms)
        maximum_ms = minimum_ms;
    uint64_t delay = minimum_ms;
    for (uint32_t i = 1; i < attempts && delay > 0 && delay < maximum_ms; i++)
        delay = delay > maximum_ms / 2 ? maximum_ms : delay * 2;
    uint64_t quarter = delay / 4;
    delay = delay - quarter + (uint64_t)(((unsigned __int128)random * (2 * quarter)) >> 32);
    return delay < minimum_ms ? minimum_ms : delay > maximum_ms ? maximum_ms : delay;
}

static struct decision failed(const struct job *job, uint32_t random)
{
    uint32_t attempts = job->attempts + 1;
    if (attempts > job->retries)
        return (struct decision){.state = JOB_DEAD, .attempt_spent = true};
    return (struct decision){
        .state = JOB_SCHEDULED,
        .attempt_spent = true,
        .delay_ms = settle_backoff_ms(job->backoff_min_ms, job->backoff_max_ms, attempts, random),
    };
}

static struct decision interrupted(const struct job *job, enum target_delivery delivery,
                                   uint32_t random)
{
    const struct decision uncertain = {.state = JOB_UNCERTAIN, .attempt_spent = true};
    if (delivery == TARGET_AT_MOST_ONCE)
        return uncertain;
    if (job->cancel_requested)
        return delivery == TARGET_EXACTLY_ONCE ? uncertain
                                               : (struct decision){.state = JOB_CANCELLED};
    if (job->interruptions < INTERRUPTIONS_MAX)
        return (struct decision){.state = JOB_READY};
    struct decision decision = failed(job, random);
    return decision.state == JOB_DEAD && delivery == TARGET_EXACTLY_ONCE ? uncertain : decision;
}

struct decision settle_decide(const struct job *job, enum outcome_kind outcome,
                              enum target_delivery delivery, bool timed_out, uint32_t random)
{
    switch (outcome) {
    case OUTCOME_DONE:
        return (struct decision){.state = JOB_DONE, .attempt_spent = true};
    case OUTCOME_DEAD:
        return (struct decision){.state = JOB_DEAD, .attempt_spent = true};
    case OUTCOME_RETRY:
        if (job->cancel_requested)
            return (struct decision){.state = JOB_CANCELLED};
        return failed(job, random);
    case OUTCOME_STOPPED:
        if (job->cancel_requested)
            return (struct decision){.state = JOB_CANCELLED};
        if (timed_out)
            return failed(job, random);
        return (struct decision){.state = JOB_READY};
    case OUTCOME_INTERRUPTED:
        return interrupted(job, delivery, random);
    case OUTCOME_UNAVAILABLE:
        if (job->cancel_requested)
            return (struct decision){.state = JOB_CANCELLED};
        return (struct decision){.state = JOB_READY};
    }
    return (struct decision){.state = JOB_READY};
}

struct execution_record *execution_record_new(struct broker *broker)
{
    struct execution_record *record = spares_take(&broker->records, sizeof *record);
    if (!record)
        return NULL;
    /* all but the message's bytes, which are more than the rest */
    char *message = record->outcome.message;
    char *behind = message + sizeof record->outcome.message;
    memset(record, 0, (size_t)(message - (char *)record));
    message[0] = '\0';
    memset(behind, 0, (size_t)((char *)(record + 1) - behind));
    record->broker = broker;
    return record;
}

void execution_record_free(struct execution_record *record)
{
    spares_give(&record->broker->records, record, SPARES_MAX);
}

void forget_job(struct broker *broker, struct job *job)
{
    struct job *successor = job->successor;
    job->successor = NULL;
    if (job->in_table)
        job_table_remove(&broker->jobs, job);
    job_free(job);
    if (successor)
        window_admit(broker, successor);
}

void count_final(struct broker *broker, enum job_state state)
{
    if (state == JOB_DONE)
        broker->counters.done++;
    else if (state == JOB_CANCELLED)
        broker->counters.cancelled++;
    else if (state == JOB_UNCERTAIN)
        broker->counters.uncertain++;
    else
        broker->counters.dead++;
}

/* The outcome is durable: tell who waits for it. */
static void tell(struct execution_record *record)
{
    struct broker *broker = record->broker;
    const struct store_change *change = &record->change;
    const struct job *job = record->job;
    if (!change->applied) {
        log_line(LOG_LEVEL_INFO,
                 "job %" PRIu64 ": its outcome (%s) came after it had been cancelled", job->id,
                 job_state_name(change->state));
        return;
    }
    note_settled(record);
    if (change->kind == CHANGE_FINISH) {
        count_final(broker, change->state);
        clockwork_note_purge(broker, change->purge_ms);
        watches_finish(broker, job->id, change->state, &record->outcome.result,
                       record->outcome.code, record->outcome.message);
        consequences_tell(broker, &record->change);
        return;
    }
    broker->counters.retried++;
    clockwork_note_due(broker, job->due_ms);
    /* CANCEL came after the retry had been decided */
    if (job->cancel_requested && cancel_stored(broker, job->id) < 0)
        log_line(LOG_LEVEL_WARNING, "job %" PRIu64 ": no memory to cancel it before its retry",
                 job->id);
}

static void tell_settlement(const struct outcome *outcome, bool stored)
{
    if (!outcome->settlement)
        return;
    outcome->settlement->stored = stored;
    aw_event_set(&outcome->settlement->done);
}

static void settled(struct store_change *change, int result)
{
    struct execution_record *record = change->context;
    struct broker *broker = record->broker;
    struct target_lanes *target = record->target; /* NULL: it was cancelled while it waited */
    struct job_queue *queue = record->job->lane->queue;
    /* given up on a full disk: it runs again after the next start, so nobody is told */
    if (result == 0)
        tell(record);
    tell_settlement(&record->outcome, result == 0 && change->applied);
    if (change->applied) { /* for its successor too */
        job_free(record->job->successor);
        record->job->successor = NULL;
    }
    forget_job(broker, record->job);
    buffer_free(&record->outcome.result);
    execution_record_free(record);
    if (!target)
        return;
    dispatch_leave_queue(broker, queue);
    /* dispatching stops while the committer is congested: this may be the end of that */
    dispatch(target);
}

/* How long a finished job stays: done and cancelled ones as submitted, dead and uncertain ones long
 * enough to be seen. */
static uint64_t purge_time(const struct job *job, enum job_state state, uint64_t now_ms)
{
    uint64_t keep_ms = job->keep_ms;
    bool failed_so = state == JOB_DEAD || state == JOB_UNCERTAIN;
    if (failed_so && job->lane->queue->settings->keep_dead_ms > keep_ms)
        keep_ms = job->lane->queue->settings->keep_dead_ms;
    return keep_ms ? now_ms + keep_ms : 0;
}

static void log_failure(const struct execution_record *record, const struct decision *decision)
{
    const struct job *job = record->job;
    const struct log_subject subject = {.job = job->id,
                                        .queue = job->lane->queue->name,
                                        .target = job->lane->target_name,
                                        .error = record->outcome.code};
    if (decision->state == JOB_DEAD)
        log_about(LOG_LEVEL_WARNING, &subject,
                  "job %" PRIu64 " on %s (queue %s) is dead after %u attempts: %s %s", job->id,
                  subject.target, subject.queue, job->attempts, record->outcome.code,
                  record->outcome.message);
    else if (decision->state == JOB_UNCERTAIN)
        log_about(LOG_LEVEL_WARNING, &subject,
                  "job %" PRIu64 " on %s (queue %s) is uncertain, it may have taken effect: %s %s",
                  job->id, subject.target, subject.queue, record->outcome.code,
                  record->outcome.message);
    else
        log_about(LOG_LEVEL_DEBUG, &subject,
                  "job %" PRIu64 " on %s failed (attempt %u), again in %" PRIu64 " ms: %s %s",
                  job->id, subject.target, job->attempts, decision->delay_ms, record->outcome.code,
                  record->outcome.message);
}

static void store_decision(struct execution_record *record, const struct decision *decision)
{
    struct job *job = record->job;
    uint64_t now_ms = aw_wall_ms();
    job->attempts += decision->attempt_spent ? 1 : 0;
    bool failed_now = decision->state == JOB_SCHEDULED || decision->state == JOB_DEAD ||
                      decision->state == JOB_UNCERTAIN;
    if (failed_now)
        log_failure(record, decision);
    record->change = (struct store_change){
        .kind = decision->state == JOB_SCHEDULED ? CHANGE_RETRY : CHANGE_FINISH,
        .job = job,
        .state = decision->state,
        .now_ms = now_ms,
        .attempt_spent = decision->attempt_spent,
        .result = &record->outcome.result,
        .error_code = failed_now ? record->outcome.code : NULL,
        .error_message = failed_now ? record->outcome.message : NULL,
        .done = settled,
        .context = record,
    };
    if (decision->state == JOB_SCHEDULED)
        job->due_ms = now_ms + decision->delay_ms;
    else
        record->change.purge_ms = purge_time(job, decision->state, now_ms);
    if (job->ended_in_store) /* and retried since, it may be: this outcome is of the old life */
        settled(&record->change, 0);
    else
        committer_add(&record->broker->committer, &record->change);
}

void settle(struct execution_record *record)
{
    struct broker *broker = record->broker;
    struct job *job = record->job;
    struct outcome *outcome = &record->outcome;
    record->target->outcomes[outcome->kind]++;
    if (outcome->kind == OUTCOME_STOPPED && record->timed_out)
        outcome_set(outcome, OUTCOME_STOPPED, "TIMEOUT", "ran longer than its timeout of %" PRIu64
                    " ms", job->timeout_ms);
    if (outcome->kind == OUTCOME_INTERRUPTED) {
        job->interruptions++;
        broker->counters.interrupted++;
    }
    struct decision decision = settle_decide(job, outcome->kind,
                                             record->target->target.settings.delivery,
                                             record->timed_out,
                                             (uint32_t)aw_random_below(UINT64_C(1) << 32));
    if (outcome->has_delay && decision.state == JOB_SCHEDULED)
        decision.delay_ms = outcome->delay_ms;
    if (decision.state == JOB_READY) {
        mark_take_away(record);
        if (job->cancel_requested) /* it came meanwhile */
            decision.state = JOB_CANCELLED;
    }
    if (decision.state != JOB_READY) {
        store_decision(record, &decision);
        return;
    }
    struct job_queue *queue = job->lane->queue;
    tell_settlement(outcome, false);
    job->record = NULL;
    job->ready_ms = aw_wall_ms();
    window_return(broker, job); /* which may free it */
    dispatch_leave_queue(broker, queue);
    buffer_free(&outcome->result);
    execution_record_free(record);
}

/* Ends a job that is not executed now. */
static int end_unexecuted(struct broker *broker, struct job *job, enum job_state state,
                          const char *code, const char *message)
{
    struct execution_record *record = execution_record_new(broker);
    if (!record)
        return -ENOMEM;
    record->job = job;
    job->state = JOB_RUNNING; /* nobody may take it any more */
    job->record = record;
    outcome_set(&record->outcome, OUTCOME_STOPPED, code, "%s", message);
    struct decision decision = {.state = state, .attempt_spent = state == JOB_UNCERTAIN};
    store_decision(record, &decision);
    return 0;
}

int settle_cancelled(struct broker *broker, struct job *job)
{
    return end_unexecuted(broker, job, JOB_CANCELLED, "", "");
}

int settle_expired(struct broker *broker, struct job *job)
{
    return end_unexecuted(broker, job, JOB_DEAD, "EXPIRED", EXPIRED_MESSAGE);
}

int settle_uncertain(struct broker *broker, struct job *job)
{
    return end_unexecuted(broker, job, JOB_UNCERTAIN, "CRASHED",
                          "awaitd ended while it ran: whether it took effect is unknown");
}
