/* purge_queue.c - QUEUE PURGE: deletes what waits in a queue, a bounded batch at a time.
 *
 * Each batch is read from the indexes, deleted by one group commit among the changes of others, and
 * only then is the next one read; so the loop and other clients go on. Nothing of the queue starts
 * meanwhile, or a job could begin to run between the look and the deletion. First those that are
 * scheduled or blocked, the newest first, so that those that wait for others go before these; then
 * the ready ones: what wakes up in between is met there. What is submitted meanwhile is not even
 * looked at, else whoever submits faster than this could keep the queue standing still. */
#include "queue/broker_state.h"

#include "admin/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define BATCH_JOBS 256u

struct purge;

struct drop {
    struct store_change change;
    struct purge *purge;
};

struct purge {
    struct broker *broker;
    struct store_read read;
    const struct lane *lane;
    uint64_t last_id;       /* jobs submitted later stay */
    bool ready;             /* the second half */
    uint64_t before_id;     /* of the first half */
    struct lane_key after;
    uint32_t count;         /* of the batch */
    int result;
    struct aw_error error;
    uint64_t ids[BATCH_JOBS];
    struct lane_key keys[BATCH_JOBS];
    struct drop drops[BATCH_JOBS];
    uint32_t pending;
    uint64_t deleted;
    struct aw_event done;
};

/* In the committer's task. */
static void perform(struct store_read *read, struct store *store)
{
    struct purge *purge = read->context;
    if (!purge->ready) {
        purge->result = store_list_held(store, purge->lane, purge->before_id, BATCH_JOBS,
                                        purge->ids, &purge->count, &purge->error);
        return;
    }
    purge->result = store_list_ready(store, purge->lane, purge->after, purge->last_id, BATCH_JOBS,
                                     purge->keys, &purge->count, &purge->error);
    for (uint32_t i = 0; i < purge->count; i++)
        purge->ids[i] = purge->keys[i].id;
}

/* Reads the next batch and moves on; false: there is none. */
static bool read_batch(struct purge *purge)
{
    purge->count = 0;
    purge->read = (struct store_read){.perform = perform, .context = purge};
    committer_read(&purge->broker->committer, &purge->read);
    if (purge->result < 0 || purge->count == 0)
        return false;
    if (purge->ready)
        purge->after = purge->keys[purge->count - 1];
    else
        purge->before_id = purge->ids[purge->count - 1];
    return true;
}

static void dropped(struct store_change *change, int result)
{
    struct drop *drop = change->context;
    struct purge *purge = drop->purge;
    if (result == 0 && change->applied) {
        purge->deleted += change->changed;
        purge->broker->counters.cancelled++;
        consequences_drop(purge->broker, change->id);
        watches_finish(purge->broker, change->id, JOB_CANCELLED, NULL, "", "");
        note_cancelled(purge->broker, change->id, change->lane);
        consequences_tell(purge->broker, change);
    } else if (result < 0) {
        purge->result = result;
    }
    if (--purge->pending == 0)
        aw_event_set(&purge->done);
}

static bool may_drop(const struct purge *purge, uint64_t id)
{
    const struct job *job = job_table_find(&purge->broker->jobs, id);
    return !(job && job->state == JOB_RUNNING);
}

static void delete_batch(struct purge *purge)
{
    uint64_t now_ms = aw_wall_ms();
    aw_event_init(&purge->done);
    purge->pending = 1; /* ours: no deletion ends the batch before all are handed over */
    for (uint32_t i = 0; i < purge->count; i++) {
        if (!may_drop(purge, purge->ids[i]))
            continue;
        struct drop *drop = &purge->drops[i];
        drop->purge = purge;
        drop->change = (struct store_change){.kind = CHANGE_DROP, .id = purge->ids[i],
                                             .id_max = purge->last_id, .now_ms = now_ms,
                                             .done = dropped, .context = drop};
        purge->pending++;
        committer_add(&purge->broker->committer, &drop->change);
    }
    if (--purge->pending == 0)
        return;
    struct aw_scope shield; /* the changes are in this task's memory */
    aw_shield_enter(&shield, AW_NEVER);
    while (!purge->done.set)
        AW_IGNORE(aw_event_wait(&purge->done));
    aw_scope_leave(&shield);
}

static void purge_lane(struct purge *purge)
{
    for (int half = 0; half < 2; half++) {
        purge->ready = half == 1;
        purge->after = (struct lane_key){0};
        purge->before_id = purge->last_id;
        while (purge->result == 0 && read_batch(purge)) {
            delete_batch(purge);
            if (purge->result == 0)
                purge->result = aw_interrupted();
        }
    }
}

int broker_purge_queue(struct broker *broker, struct argument name, uint64_t *ret_count,
                       struct aw_error *reterr)
{
    *ret_count = 0;
    struct job_queue *queue = registry_queue(broker, name.data, name.size, false);
    if (!queue)
        return 0; /* nothing was ever submitted to it */
    struct purge *purge = calloc(1, sizeof *purge);
    if (!purge)
        return aw_error_set_code(reterr, -ENOMEM, "ERR", "no memory to purge queue %s",
                                 queue->name);
    purge->broker = broker;
    purge->last_id = job_id_next(&broker->ids, aw_wall_ms());
    queue->purging++;
    for (purge->lane = queue->lanes; purge->lane && purge->result == 0;
         purge->lane = purge->lane->queue_next)
        purge_lane(purge);
    queue->purging--;
    dispatch_all(broker);
    *ret_count = purge->deleted;
    int result = purge->result;
    if (result < 0 && purge->error.message[0])
        (void)aw_error_set_code(reterr, result, "ERR", "%s", purge->error.message);
    if (purge->deleted > 0)
        log_line(LOG_LEVEL_INFO, "queue %s: purged, %" PRIu64 " waiting jobs deleted", queue->name,
                 purge->deleted);
    free(purge);
    return result;
}
