/* window.c - moves jobs between the disk and the windows in memory, inside the configured limit.
 *
 * Each lane may hold LANE_WINDOW_MAX jobs, all lanes together memory_max bytes; a lane over its
 * share gives its last jobs back to the disk. It always keeps one, so that nothing starves. What
 * comes in order may exceed the share while all windows are small: a burst then need not be read
 * back from the disk, which costs as much as storing it. */
#include "queue/broker_state.h"

#include "admin/log.h"

#include <errno.h>

/* A part of memory_max; while all windows together are below it, lanes may exceed their share. Not
 * beyond LANE_BURST_MAX, or making a window small again (make_small) would hold the loop up. */
#define SPARE_PART 4u

#define REFILL_JOBS 512u
#define REFILL_BYTES (1024u * 1024)

static void ring_add(struct lane *lane)
{
    struct lane_slot *slot = lane_slot_of(lane);
    struct target_lanes *target = lane->target;
    if (slot->in_ring || !target)
        return;
    slot->in_ring = true;
    lane->credit = 0;
    target->lane_count++;
    if (!target->turn) {
        slot->ring_next = lane;
        slot->ring_previous = lane;
        target->turn = lane;
        return;
    }
    /* at the end: just before the one whose turn it is */
    struct lane_slot *turn = lane_slot_of(target->turn);
    slot->ring_next = target->turn;
    slot->ring_previous = turn->ring_previous;
    lane_slot_of(turn->ring_previous)->ring_next = lane;
    turn->ring_previous = lane;
}

static void ring_remove(struct lane *lane)
{
    struct lane_slot *slot = lane_slot_of(lane);
    if (!slot->in_ring)
        return;
    slot->in_ring = false;
    lane->target->lane_count--;
    if (slot->ring_next == lane) {
        lane->target->turn = NULL;
        return;
    }
    lane_slot_of(slot->ring_previous)->ring_next = slot->ring_next;
    lane_slot_of(slot->ring_next)->ring_previous = slot->ring_previous;
    if (lane->target->turn == lane)
        lane->target->turn = slot->ring_next;
}

/* What a change of the lane's window means for the ring and the total. */
static void window_changed(struct broker *broker, struct lane *lane, uint64_t bytes_before)
{
    broker->window_bytes += lane->window_bytes - bytes_before;
    if (lane->count > 0)
        ring_add(lane);
    else
        ring_remove(lane);
}

static void evict_one(struct broker *broker, struct lane *lane)
{
    struct job *job = lane_evict(lane);
    job_table_remove(&broker->jobs, job);
    job_free(job);
}

static void keep_limits(struct broker *broker, struct lane *lane, uint64_t bytes_before)
{
    uint64_t others = broker->window_bytes - bytes_before;
    uint64_t limit = broker->configuration->memory_max;
    while (lane->count > 1 && (others + lane->window_bytes > limit ||
                               (lane->count > LANE_WINDOW_MAX &&
                                others + lane->window_bytes > limit / SPARE_PART) ||
                               lane->count > LANE_BURST_MAX))
        evict_one(broker, lane);
}

/* A job into the midst of a large window would move many: it goes back to its share first. */
static void make_small(struct broker *broker, struct lane *lane, const struct job *job)
{
    if (lane->count <= LANE_WINDOW_MAX || lane_moves(lane, job) <= LANE_WINDOW_MAX)
        return;
    while (lane->count > LANE_WINDOW_MAX)
        evict_one(broker, lane);
}

/* No memory to hold it in order: it and all behind it go back to being only on disk. */
static void give_up_window_from(struct broker *broker, struct lane *lane, struct job *job)
{
    while (lane->count > 0) {
        struct job *last = lane->window[lane->head + lane->count - 1];
        if (last->priority < job->priority ||
            (last->priority == job->priority && last->id < job->id))
            break;
        evict_one(broker, lane);
    }
    lane->cursor = lane_key_of(job);
    lane->cursor.id--;
    lane->complete = false;
    job_table_remove(&broker->jobs, job);
    job_free(job);
}

/* The job is in the table. */
static void put(struct broker *broker, struct job *job)
{
    struct lane *lane = job->lane;
    uint64_t bytes_before = lane->window_bytes;
    job->state = JOB_READY;
    make_small(broker, lane, job);
    if (!lane_admits(lane, job)) {
        job_table_remove(&broker->jobs, job);
        job_free(job);
    } else if (lane_push(lane, job))
        keep_limits(broker, lane, bytes_before);
    else
        give_up_window_from(broker, lane, job);
    window_changed(broker, lane, bytes_before);
}

void window_admit(struct broker *broker, struct job *job)
{
    if (!lane_admits(job->lane, job) || cancel_is_pending(broker, job->id)) {
        job_free(job);
        return;
    }
    job_table_add(&broker->jobs, job);
    put(broker, job);
}

void window_return(struct broker *broker, struct job *job)
{
    if (lane_admits(job->lane, job)) {
        put(broker, job);
        return;
    }
    job_table_remove(&broker->jobs, job);
    job_free(job);
}

bool window_take(struct broker *broker, struct job *job)
{
    struct lane *lane = job->lane;
    uint64_t bytes_before = lane->window_bytes;
    if (!lane_remove(lane, job))
        return false;
    window_changed(broker, lane, bytes_before);
    window_refill(broker, lane);
    return true;
}

struct job *window_pop(struct broker *broker, struct lane *lane)
{
    uint64_t bytes_before = lane->window_bytes;
    struct job *job = lane_pop(lane);
    window_changed(broker, lane, bytes_before);
    window_refill(broker, lane);
    return job;
}

/* Puts the jobs that were read, in order, behind the cursor; false: memory ran out on the way. */
static bool take_read_jobs(struct broker *broker, struct lane *lane, struct job *jobs)
{
    bool room = true;
    while (jobs) {
        struct job *job = jobs;
        struct lane_key key = lane_key_of(job);
        jobs = job->next;
        if (room && (job_table_find(&broker->jobs, job->id) ||
                     cancel_is_pending(broker, job->id))) {
            /* running, being settled or cancelled: on disk it is ready until that is stored */
            lane->cursor = key;
            job_free(job);
        } else if (room && mark_was_running(job)) {
            job_table_add(&broker->jobs, job);
            room = settle_uncertain(broker, job) == 0;
            if (room)
                lane->cursor = key;
            else
                forget_job(broker, job);
        } else if (room && lane_push(lane, job)) {
            lane->cursor = key;
            job_table_add(&broker->jobs, job);
        } else {
            room = false;
            job_free(job);
        }
    }
    return room;
}

static void free_jobs(struct job *jobs)
{
    while (jobs) {
        struct job *next = jobs->next;
        job_free(jobs);
        jobs = next;
    }
}

/* What a refill may read: a lane without any job gets at least one. */
static uint64_t refill_bytes(const struct broker *broker)
{
    uint64_t limit = broker->configuration->memory_max;
    uint64_t room = limit > broker->window_bytes ? limit - broker->window_bytes : 1;
    return room < REFILL_BYTES ? room : REFILL_BYTES;
}

/* In the committer's task. */
static void perform_refill(struct store_read *read, struct store *store)
{
    struct lane *lane = read->context;
    struct broker *broker = lane->target->broker;
    struct lane_key after = lane->cursor;
    struct aw_error error = {0};
    struct job *jobs = NULL;
    bool end = false;
    int result = store_read_ready(store, lane, after, REFILL_JOBS, refill_bytes(broker), &jobs,
                                  &end, &error);
    lane->reading = false;
    if (result == -ENOMEM)
        return; /* asked for again by the next pop, or by window_tick */
    if (result < 0)
        log_fatal("%s", error.message);
    if (after.priority != lane->cursor.priority || after.id != lane->cursor.id) {
        /* jobs were evicted while the disk was read: what lies between is missing here */
        free_jobs(jobs);
        window_refill(broker, lane);
        return;
    }
    uint64_t bytes_before = lane->window_bytes;
    bool room = take_read_jobs(broker, lane, jobs);
    lane->complete = room && end;
    window_changed(broker, lane, bytes_before);
    /* all that was read may be running already */
    if (room)
        window_refill(broker, lane);
    dispatch(lane->target);
}

void window_refill(struct broker *broker, struct lane *lane)
{
    if (!lane_wants_refill(lane) || !lane->target || broker->stopping)
        return;
    if (lane->count > 0 && broker->window_bytes >= broker->configuration->memory_max)
        return;
    struct lane_slot *slot = lane_slot_of(lane);
    lane->reading = true;
    slot->refill.perform = perform_refill;
    slot->refill.context = lane;
    committer_add_read(&broker->committer, &slot->refill);
}

void window_tick(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->lane_count; i++)
        if (broker->lanes[i])
            window_refill(broker, broker->lanes[i]);
}
