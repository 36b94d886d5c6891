/* note.c - notes what happens to jobs: in the statistics of their queue and target, and as events.
 * One call a step of a job's life, each behind the commit that makes it true. */
#include "queue/broker_state.h"
#include "targets/target_worker.h"

#include <string.h>

static void count(const struct lane *lane, enum traffic_event event, uint64_t now_ns)
{
    traffic_count(&lane->queue->traffic, event, now_ns);
    if (lane->target)
        traffic_count(&lane->target->traffic, event, now_ns);
}

static void tell(struct broker *broker, enum event_kind kind, uint64_t id, const struct lane *lane,
                 uint32_t attempt, const char *code, const char *message)
{
    broker_event(broker, &(struct event){.kind = kind,
                                         .job = id,
                                         .queue = lane ? lane->queue->name : NULL,
                                         .target = lane ? lane->target_name : NULL,
                                         .attempt = attempt,
                                         .error_code = code,
                                         .error_message = message});
}

void note_submitted(struct broker *broker, const struct job *job)
{
    count(job->lane, TRAFFIC_SUBMITTED, aw_now_ns());
    if (broker->listener)
        tell(broker, EVENT_SUBMITTED, job->id, job->lane, 0, NULL, NULL);
}

void note_started(const struct execution_record *record)
{
    const struct job *job = record->job;
    uint64_t now_ns = record->started_ns;
    uint64_t since_ms = job->ready_ms ? job->ready_ms : job_created_ms(job);
    uint64_t waited_ms = job->started_ms > since_ms ? job->started_ms - since_ms : 0;
    count(job->lane, TRAFFIC_STARTED, now_ns);
    traffic_waited(&job->lane->queue->traffic, waited_ms * 1000, now_ns);
    traffic_waited(&record->target->traffic, waited_ms * 1000, now_ns);
    if (record->broker->listener)
        tell(record->broker, EVENT_STARTED, job->id, job->lane, job->attempts + 1, NULL, NULL);
}

void note_ran(const struct execution_record *record)
{
    uint64_t now_ns = aw_now_ns();
    uint64_t ran_us = (now_ns - record->started_ns) / 1000;
    traffic_ran(&record->job->lane->queue->traffic, ran_us, now_ns);
    traffic_ran(&record->target->traffic, ran_us, now_ns);
}

static enum event_kind kind_of(enum job_state state, const char *code)
{
    return state == JOB_DEAD && code && strcmp(code, "EXPIRED") == 0 ? EVENT_EXPIRED
           : state == JOB_DONE      ? EVENT_DONE
           : state == JOB_CANCELLED ? EVENT_CANCELLED
           : state == JOB_UNCERTAIN ? EVENT_UNCERTAIN
           : state == JOB_SCHEDULED ? EVENT_RETRY
                                    : EVENT_DEAD;
}

void note_settled(const struct execution_record *record)
{
    const struct store_change *change = &record->change;
    const struct job *job = record->job;
    enum event_kind kind =
        change->kind == CHANGE_RETRY ? EVENT_RETRY
                                      : kind_of(change->state, change->error_code);
    if (kind != EVENT_CANCELLED)
        count(job->lane, kind == EVENT_DONE ? TRAFFIC_DONE : TRAFFIC_FAILED, aw_now_ns());
    if (record->broker->listener)
        tell(record->broker, kind, job->id, job->lane, job->attempts, change->error_code,
             change->error_message);
}

void note_ended(struct broker *broker, const struct ended_job *ended)
{
    if (ended->state != JOB_CANCELLED && ended->lane)
        count(ended->lane, TRAFFIC_FAILED, aw_now_ns());
    if (broker->listener)
        tell(broker, kind_of(ended->state, ended->code), ended->id, ended->lane, 0, ended->code,
             ended->message);
}

void note_cancelled(struct broker *broker, uint64_t id, const struct lane *lane)
{
    if (broker->listener)
        tell(broker, EVENT_CANCELLED, id, lane, 0, NULL, NULL);
}

void note_progress(struct broker *broker, uint64_t id, uint32_t percent, struct argument text)
{
    const struct job *job = broker->listener ? job_table_find(&broker->jobs, id) : NULL;
    if (!job)
        return;
    char shown[PROGRESS_TEXT_SIZE];
    size_t size = text.size < sizeof shown ? text.size : sizeof shown - 1;
    if (size > 0)
        memcpy(shown, text.data, size);
    shown[size] = '\0';
    broker_event(broker, &(struct event){.kind = EVENT_PROGRESS,
                                         .job = id,
                                         .queue = job->lane->queue->name,
                                         .target = job->lane->target_name,
                                         .attempt = job->attempts + 1,
                                         .has_percent = true,
                                         .percent = percent,
                                         .text = shown});
}

void note_target(struct broker *broker, const struct target *target)
{
    broker_event(broker, &(struct event){.kind = target->up ? EVENT_UP : EVENT_DOWN,
                                         .target = target->settings.name,
                                         .error_message = target->up ? NULL : target->down_reason});
}
