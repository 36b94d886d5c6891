/* steer.c - RETRY, DELETE, PROMOTE: jobs are changed in the store, in chunks, and memory follows.
 *
 * A waiting job that memory holds is taken out of its window before it is deleted, so that it does
 * not start meanwhile; one that is only on disk is dropped as cancel.c does. Jobs that become ready
 * are let in as those whose time has come. */
#include "queue/broker_state.h"

#include <errno.h>
#include <stdlib.h>

#define STEER_JOBS 500u /* a chunk: one change of the store */
#define STEER_BYTES (8u * 1024 * 1024)

struct steering_request {
    struct store_change change;
    struct store_steering steering;
    struct broker *broker;
    struct aw_event done;
    int result;
    uint64_t ids[STEER_JOBS];
    uint64_t positions[STEER_JOBS];
    bool changed[STEER_JOBS];
    struct lane *waited[STEER_JOBS]; /* of the jobs deleted that had not finished */
};

/* One that take_for_delete has taken out, if it is still there. */
static struct job *taken_job(struct broker *broker, uint64_t id)
{
    struct job *job = job_table_find(&broker->jobs, id);
    return job && job->state == JOB_RUNNING && !job->record ? job : NULL;
}

static void after_delete(struct steering_request *request, uint32_t index)
{
    struct broker *broker = request->broker;
    uint64_t id = request->ids[index];
    struct job *taken = taken_job(broker, id);
    if (!request->changed[index]) {
        if (taken)
            window_return(broker, taken);
        return;
    }
    /* a refill may have brought it into memory between the question and the commit */
    consequences_drop(broker, id);
    if (!request->waited[index]) /* who has just asked for one that had finished finds none */
        return;
    watches_finish(broker, id, JOB_CANCELLED, NULL, "", "");
    note_cancelled(broker, id, request->waited[index]);
}

static void steered(struct store_change *change, int result)
{
    struct steering_request *request = change->context;
    request->result = result;
    if (result < 0) { /* given up on a full disk */
        request->steering.processed = 0;
        for (uint32_t i = 0; i < request->steering.count; i++)
            request->changed[i] = false;
    }
    for (uint32_t i = 0; i < request->steering.count; i++)
        if (request->steering.action == STEER_DELETE)
            after_delete(request, i);
    consequences_tell(request->broker, change);
    dispatch_all(request->broker);
    aw_event_set(&request->done);
}

/* Whether the job may be deleted as far as memory knows; if it waits there, it is taken out. */
static bool take_for_delete(struct broker *broker, uint64_t id)
{
    struct job *job = job_table_find(&broker->jobs, id);
    if (!job)
        return true;
    if (job->state != JOB_READY || !window_take(broker, job))
        return false;
    job->state = JOB_RUNNING; /* nobody may take it any more */
    return true;
}

/* Fills the next chunk out of the ids from *at on. */
static void fill_chunk(struct steering_request *request, const uint64_t *ids, size_t count,
                       size_t *at)
{
    struct store_steering *steering = &request->steering;
    steering->count = 0;
    while (*at < count && steering->count < STEER_JOBS) {
        uint64_t id = ids[(*at)++];
        if (id > INT64_MAX ||
            (steering->action == STEER_DELETE && !take_for_delete(request->broker, id)))
            continue;
        if (steering->action == STEER_RETRY)
            request->positions[steering->count] =
                job_id_next(&request->broker->ids, aw_wall_ms());
        request->ids[steering->count++] = id;
    }
}

/* Makes the change and waits until it is durable: its memory is in use until then. */
static int make_change(struct steering_request *request)
{
    request->change = (struct store_change){.kind = CHANGE_STEER,
                                            .steering = &request->steering,
                                            .now_ms = aw_wall_ms(),
                                            .bytes_max = STEER_BYTES,
                                            .done = steered,
                                            .context = request};
    aw_event_init(&request->done);
    committer_add(&request->broker->committer, &request->change);
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (!request->done.set)
        AW_IGNORE(aw_event_wait(&request->done));
    aw_scope_leave(&shield);
    return request->result;
}

static int steer_each(struct steering_request *request, const uint64_t *ids, size_t count)
{
    size_t at = 0;
    int changed = 0;
    int result = 0;
    while (at < count && result == 0) {
        fill_chunk(request, ids, count, &at);
        if (request->steering.count > 0)
            result = make_change(request);
        uint32_t processed = request->steering.count > 0 ? request->steering.processed : 0;
        for (uint32_t i = 0; i < processed && result == 0; i++)
            changed += request->changed[i] ? 1 : 0;
        /* the ids behind what filled the bytes of this chunk are looked for in the next one */
        if (result == 0 && request->steering.action != STEER_DELETE &&
            processed < request->steering.count)
            while (ids[at - 1] != request->ids[processed - 1])
                at--;
        if (result == 0)
            result = aw_interrupted();
    }
    return result < 0 ? result : changed;
}

int broker_steer(struct broker *broker, enum steer_action action, const uint64_t *ids,
                 size_t count)
{
    size_t unique_count;
    uint64_t *unique = unique_ids(ids, count, &unique_count);
    struct steering_request *request = malloc(sizeof *request);
    int result = unique && request ? 0 : -ENOMEM;
    if (result == 0) {
        request->broker = broker;
        request->result = 0;
        request->steering = (struct store_steering){
            .action = action,
            .ids = request->ids,
            .positions = request->positions,
            .changed = request->changed,
            .waited = request->waited};
        result = steer_each(request, unique, unique_count);
    }
    free(request);
    free(unique);
    return result;
}
