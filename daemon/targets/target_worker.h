/* target_worker.h - jobs for the users' own processes: RESERVE, ACK, NACK, EXTEND, PROGRESS.
 *
 * A worker target runs nothing itself. Executing a job means: hand it to the reservation that has
 * waited longest, as a lease, and wait until the worker acknowledges it, gives it back, or lets the
 * lease run out. Each lease has a random token; only who shows it may speak about the job, and it
 * dies with the lease, so a worker that was too slow cannot overwrite a newer answer.
 *
 * A lease that runs out counts like a lost connection: the job is ready again at once, and only
 * after many such losses is the job itself blamed (queue/settle.h). */
#ifndef TARGETS_TARGET_WORKER_H
#define TARGETS_TARGET_WORKER_H

#include "targets/target.h"

#define LEASE_DEFAULT_MS 60000u
#define LEASE_MAX_MS 86400000u
#define RESERVE_COUNT_MAX 1000u
#define RESERVE_TARGETS_MAX 32u
#define RESERVE_BYTES_MAX (16u << 20) /* one reply takes no further job once it holds this much */
#define PROGRESS_TEXT_SIZE 128u

/* Somebody who waits for jobs; lives on that task's stack. */
struct reservation {
    uint32_t wanted;          /* how many more it takes */
    uint32_t taken;
    uint64_t lease_ms;
    struct buffer jobs;       /* [id, token, attempt, argument ...] values, one after the other */
    struct aw_event event;    /* set when a job has been handed over */
    struct reservation_place {
        struct reservation *reservation;
        struct reservation_place *previous;
        struct reservation_place *next;
    } places[RESERVE_TARGETS_MAX]; /* one in each target's line */
};

/* Stands in the lines of all targets (all of type worker). */
void worker_line_up(struct reservation *reservation, struct target *const *targets, uint32_t count);
/* Leaves all lines; `jobs` is the caller's to free. */
void worker_leave(struct reservation *reservation, struct target *const *targets, uint32_t count);

/* A worker's word about its job. All give 0, or -ENOENT: no such lease (it ran out, was answered,
 * or the token is wrong). The settlement is told when the answer's effect is durable, and must live
 * until then. worker_acknowledge: -EMSGSIZE when the result is over result_size_max, or -ENOMEM;
 * the lease goes on. */
int worker_acknowledge(struct target *target, uint64_t id, uint64_t token,
                       const struct argument *result, struct settlement *settlement);
int worker_give_back(struct target *target, uint64_t id, uint64_t token, bool has_delay,
                     uint64_t delay_ms, const struct argument *reason,
                     struct settlement *settlement);
int worker_extend(struct target *target, uint64_t id, uint64_t token, uint64_t lease_ms);
int worker_progress(struct target *target, uint64_t id, uint64_t token, uint32_t percent,
                    const struct argument *text);

/* The last progress of a leased job; false when there is none. */
bool worker_progress_of(const struct target *target, uint64_t id, uint32_t *ret_percent,
                        char ret_text[PROGRESS_TEXT_SIZE]);

#endif
