/* batch.h - several jobs in one transaction, so that they share its commit; the same for every
 * engine that has transactions (postgres_batch.h, sqlite_batch.h).
 *
 * Jobs that execute at the same time gather in a list; a flight takes as many of them as their
 * `coalesce` lets it (but, where several can be in the air, no more than half of all that are here,
 * so that the halves take turns at the commit), sends them as one transaction in one go, and gives
 * each its result. Nothing waits for a timer: while there are fewer flights than there may be a job
 * takes off in the same turn of the loop, so that a lone job is a flight of one, and batches form
 * from what comes while all flights are in the air.
 *
 * Nobody pays for another. When a statement fails the transaction is rolled back; the job that
 * failed runs again by itself, where it is charged what it deserves, and the others gather again
 * (at most FLIGHTS_MAX times, then each runs by itself). When it is not known who failed, as at the
 * commit, all run by themselves. A job that is cancelled, or whose time runs out, has its flight
 * stopped and rolled back; the others gather again. Whose time ran out in company is not charged an
 * attempt: it runs again by itself.
 *
 *   waiting -> flying -> ended (its outcome is there, or it is to run by itself)
 *       ^        |
 *       +--------+ rolled back for another's sake
 *
 * A member lives on the stack of its execution's task, which does not leave while it flies. */
#ifndef TARGETS_BATCH_H
#define TARGETS_BATCH_H

#include "targets/target.h"

#include <sys/queue.h>

struct batches;
struct batch_flight;

enum batch_verdict {
    BATCH_ENDED,   /* its engine has put down how, in what `run` points at */
    BATCH_STOPPED, /* cancelled, or its time ran out: the outcome is filled */
    BATCH_ALONE,   /* nothing of it has lasted, and it is to run by itself */
};

struct batch_member {
    void *run;           /* the engine's */
    size_t size_bytes;   /* of what it sends */
    uint32_t coalesce;   /* the most jobs in its transaction, at least 2 */

    /* of batch.c */
    TAILQ_ENTRY(batch_member) link;
    enum { BATCH_WAITING, BATCH_FLYING, BATCH_LANDED } state;
    enum batch_verdict verdict; /* once landed */
    int interrupted;            /* how its own task was, while it flew; or 0 */
    uint32_t flights;           /* that came to nothing */
    struct batch_flight *flight;
    struct outcome *outcome;
    struct aw_event landed;
};

TAILQ_HEAD(batch_queue, batch_member);

/* One transaction under way; belongs to its task. */
struct batch_flight {
    struct batches *batches;
    struct batch_member **members;
    uint32_t count;
    uint32_t capacity;
    struct aw_scope scope; /* entered around `fly`, cancelled by a member that was interrupted */
};

struct batch_engine {
    const char *task_name;
    const char *cancelled_code; /* of an outcome */
    const char *late_code;
    uint32_t members_max;       /* of a flight */

    /* Runs the members' statements as one transaction, under the flight's scope. Then, outside of
     * it, `land` ends every member: batch_end, batch_gather_again or batch_scatter. */
    AW_SUSPENDS void (*fly)(struct batch_flight *flight, void *result);
    void (*land)(struct batch_flight *flight, void *result);
    size_t result_size; /* what `result` points at, zeroed before each flight */
};

struct batches {
    const struct batch_engine *engine;
    struct target *target;
    void *context; /* the engine's */
    uint32_t flights_max;
    struct batch_queue waiting;
    uint32_t waiting_count;
    uint32_t flying_count; /* jobs */
    uint32_t flights;
    uint32_t boarding; /* of these: about to take members */
};

#define BATCH_SIZE_MAX ((size_t)512 * 1024) /* bytes of a flight; a larger job flies by itself */

void batches_init(struct batches *batches, const struct batch_engine *engine,
                  struct target *target, uint32_t flights_max, void *context);

/* The most jobs in this one's transaction, as the job or its target says; 1: it runs by itself,
 * since it wants to, has failed or was cut off before, is a RUN, or is to happen at most once. */
uint32_t batch_coalesce_of(const struct target *target, const struct execution *execution);

/* Runs it with others. `run`, `size_bytes` and `coalesce` are filled, the rest is zero. */
AW_SUSPENDS enum batch_verdict batch_run(struct batches *batches, struct batch_member *member,
                                         struct outcome *ret_outcome);

/* --- for `land`: each member once -------------------------------------------------------- */

void batch_end(struct batch_member *member, enum batch_verdict verdict);

/* Rolled back: `guilty` (or NULL) runs by itself, those that were interrupted are stopped, the
 * others fly again. */
void batch_gather_again(struct batch_flight *flight, const struct batch_member *guilty);

/* Rolled back, and nobody knows because of whom: each runs by itself. */
void batch_scatter(struct batch_flight *flight);

#endif
