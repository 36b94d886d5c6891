/* lane.h - the jobs of one queue for one target, and the window of them that is in memory.
 *
 * A lane holds what waits in order: by priority, then by id. Only its first part, the window, is in
 * memory; the rest is only on disk. The rule that keeps the two apart:
 *
 *     every ready job at or before the cursor is in memory (in the window, running, or being
 * settled); those behind it are only on disk.
 *
 * `complete` is the cursor at the very end: nothing ready is only on disk. One lane a (queue,
 * target), so that a target that is down cannot fill the window of those that are up. A lane whose
 * target is no longer configured keeps everything on disk. */
#ifndef QUEUE_LANE_H
#define QUEUE_LANE_H

#include "queue/job.h"

#define LANE_WINDOW_MAX 1024u /* jobs; while memory has much room (window.c) LANE_BURST_MAX */
#define LANE_BURST_MAX 65536u
#define LANE_WINDOW_LOW 256u  /* fewer, and not complete: read more */

struct job_queue;
struct target_lanes;

struct lane_key {
    uint32_t priority;
    uint64_t id;
};

struct lane {
    uint32_t id; /* in the store */
    struct job_queue *queue;
    struct target_lanes *target; /* NULL: no such target in the configuration */
    char *target_name;
    struct lane *queue_next;     /* of the same queue */
    uint32_t credit;             /* jobs it may still start in its turn */
    struct lane *next_touched;   /* its counts changed in the transaction that runs */
    bool stored;                 /* its row is committed */
    bool touched;

    struct job **window; /* sorted; window[head .. head + count) */
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    uint64_t window_bytes;
    struct lane_key cursor;
    bool complete;
    bool reading; /* a refill is under way */

    int64_t counts[JOB_STATES];  /* committed; running jobs count as ready */
    int64_t changes[JOB_STATES]; /* of the transaction that runs */
    int64_t bytes;               /* committed: payloads of the jobs that have not finished */
    int64_t bytes_change;        /* of the transaction that runs */
};

/* The name of its queue. */
const char *lane_queue_name(const struct lane *lane);

/* How long a dead job of the lane is kept at least. */
uint64_t lane_keep_dead_ms(const struct lane *lane);

/* Whether results are those of SQL statements. */
bool lane_is_sql(const struct lane *lane);

struct lane_key lane_key_of(const struct job *job);

/* Whether a ready job belongs into the window (it is not behind the cursor). */
bool lane_admits(const struct lane *lane, const struct job *job);

/* Puts a job into the window. false: no memory. May leave the window over LANE_WINDOW_MAX: see
 * lane_evict. */
AW_MUST_CHECK bool lane_push(struct lane *lane, struct job *job);

/* How many jobs a push of this one moves in the array. */
uint32_t lane_moves(const struct lane *lane, const struct job *job);

/* Where in the window the jobs of the next priority begin, counted from its first; `count`: there
 * are none. */
uint32_t lane_next_priority(const struct lane *lane, uint32_t position);

/* Takes out the first job, NULL when the window is empty. */
struct job *lane_pop(struct lane *lane);

/* Takes the job out, wherever it stands; false when it is not in the window. */
bool lane_remove(struct lane *lane, struct job *job);

/* Takes out the last job and moves the cursor before it. */
struct job *lane_evict(struct lane *lane);

/* The window lacks jobs that are on disk. */
bool lane_wants_refill(const struct lane *lane);

#endif
