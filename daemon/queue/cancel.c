/* cancel.c - CANCEL: jobs that wait are cancelled in the store, those that run are stopped on their
 * engine; either way the answer comes when the end of each is durable. */
#include "queue/broker_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Cancels a job that is only on disk (as far as memory knew when it was asked for). */
struct stored_cancel {
    struct store_change change;
    struct broker *broker;
    struct stored_cancel *next;
    struct stored_cancel **place;
};

static void link_cancel(struct stored_cancel *cancel)
{
    struct stored_cancel **first = &cancel->broker->cancels;
    cancel->next = *first;
    cancel->place = first;
    if (cancel->next)
        cancel->next->place = &cancel->next;
    *first = cancel;
}

static void unlink_cancel(struct stored_cancel *cancel)
{
    *cancel->place = cancel->next;
    if (cancel->next)
        cancel->next->place = cancel->place;
}

bool cancel_is_pending(const struct broker *broker, uint64_t id)
{
    const struct stored_cancel *cancel = broker->cancels;
    while (cancel && cancel->change.id != id)
        cancel = cancel->next;
    return cancel;
}

static void stop_running(struct job *job)
{
    job->cancel_requested = true;
    if (job->record && job->record->in_scope)
        aw_scope_cancel(&job->record->scope);
}

static void stored_cancel_done(struct store_change *change, int result)
{
    struct stored_cancel *cancel = change->context;
    struct broker *broker = cancel->broker;
    unlink_cancel(cancel);
    if (result == 0 && change->applied) {
        broker->counters.cancelled++;
        clockwork_note_purge(broker, change->now_ms);
        note_cancelled(broker, change->id, change->lane);
        /* one that is being retried is still in memory */
        consequences_drop(broker, change->id);
        watches_finish(broker, change->id, JOB_CANCELLED, NULL, "", "");
        consequences_tell(broker, change);
    }
    free(cancel);
}

int cancel_stored(struct broker *broker, uint64_t id)
{
    struct stored_cancel *cancel = calloc(1, sizeof *cancel);
    if (!cancel)
        return -ENOMEM;
    cancel->broker = broker;
    cancel->change = (struct store_change){.kind = CHANGE_CANCEL,
                                           .id = id,
                                           .now_ms = aw_wall_ms(),
                                           .done = stored_cancel_done,
                                           .context = cancel};
    link_cancel(cancel);
    committer_add(&broker->committer, &cancel->change);
    return 0;
}

static int request_cancel(struct broker *broker, uint64_t id)
{
    struct job *job = job_table_find(&broker->jobs, id);
    if (!job)
        return cancel_stored(broker, id);
    if (job->state == JOB_READY) {
        if (!window_take(broker, job))
            return 0;
        int result = settle_cancelled(broker, job);
        if (result < 0)
            window_return(broker, job);
        return result;
    }
    stop_running(job);
    return 0;
}

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

uint64_t *unique_ids(const uint64_t *ids, size_t count, size_t *ret_count)
{
    uint64_t *unique = malloc((count + 1) * sizeof *unique);
    if (!unique)
        return NULL;
    memcpy(unique, ids, count * sizeof *unique);
    qsort(unique, count, sizeof *unique, compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || unique[kept - 1] != unique[i])
            unique[kept++] = unique[i];
    *ret_count = kept;
    return unique;
}

static int cancel_each(struct broker *broker, const uint64_t *ids, size_t count)
{
    struct watch *watches = calloc(count, sizeof *watches);
    bool *was_finished = calloc(count, sizeof *was_finished);
    struct aw_event event;
    aw_event_init(&event);
    int result = watches && was_finished ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && result == 0; i++) {
        watches[i].id = ids[i];
        watches[i].event = &event;
    }
    if (result == 0)
        result = broker_watch(broker, watches, count);
    if (result < 0) {
        free(watches);
        free(was_finished);
        return result;
    }
    for (size_t i = 0; i < count; i++) {
        was_finished[i] = watches[i].finished;
        if (watches[i].known && !watches[i].finished && result == 0)
            result = request_cancel(broker, ids[i]);
    }
    int cancelled = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        while (watches[i].known && !watches[i].finished && result == 0) {
            aw_event_clear(&event);
            result = aw_event_wait(&event);
        }
        if (watches[i].finished && !was_finished[i] && watches[i].state == JOB_CANCELLED)
            cancelled++;
    }
    broker_unwatch(broker, watches, count);
    free(watches);
    free(was_finished);
    return result < 0 ? result : cancelled;
}

int broker_cancel(struct broker *broker, const uint64_t *ids, size_t count)
{
    size_t unique_count;
    uint64_t *unique = unique_ids(ids, count, &unique_count);
    if (!unique)
        return -ENOMEM;
    int result = unique_count > 0 ? cancel_each(broker, unique, unique_count) : 0;
    free(unique);
    return result;
}
