/* postgres_batch.h - several jobs in one transaction, so that they share its commit.
 *
 * Jobs that execute at the same time gather in a list; a flight takes up to `coalesce` of them (but
 * no more than half of all that are here, so that the halves take turns at the commit), sends them
 * as one transaction in one go, and gives each its result. Nothing waits for a timer:
 * while there are fewer flights than connections a job takes off in the same turn of the loop, so
 * that a lone job is a flight of one, and batches form from what comes while all flights are in the
 * air.
 *
 * Nobody pays for another. When a statement fails the transaction is rolled back; the job that
 * failed runs again by itself, where it is charged what it deserves, and the others gather again
 * (at most FLIGHTS_MAX times, then each runs by itself). When it is not known who failed, as at the
 * commit, all run by themselves. A job that is cancelled, or whose time runs out, has its flight
 * stopped and rolled back; the others gather again. Whose time ran out in company is not charged an
 * attempt: it runs again by itself.
 *
 * What travels: single statements that read or change rows and nothing else (aw_pg_is_plain), of
 * jobs that have not failed or been cut off before, on a target that does not deliver at most once.
 * All else runs by itself.
 *
 *   waiting -> flying -> ended (its outcome is there, or it is to run by itself)
 *       ^        |
 *       +--------+ rolled back for another's sake
 *
 * A member lives on the stack of its execution's task, which does not leave while it flies. */
#ifndef TARGETS_POSTGRES_BATCH_H
#define TARGETS_POSTGRES_BATCH_H

#include "targets/postgres_outcome.h"
#include "targets/postgres_receipt.h"

#include <sys/queue.h>

struct batch_member;
TAILQ_HEAD(batch_queue, batch_member);

struct postgres_batches {
    struct target *target;
    struct aw_pg_pool *pool;
    struct postgres_receipts *receipts;
    struct batch_queue waiting;
    uint32_t waiting_count;
    uint32_t flying_count; /* jobs */
    uint32_t flights;
    uint32_t boarding; /* of these: about to take members */
};

void postgres_batches_init(struct postgres_batches *batches, struct target *target,
                           struct aw_pg_pool *pool, struct postgres_receipts *receipts);

/* Whether this run may share a transaction with others. */
bool postgres_batch_takes(const struct postgres_batches *batches,
                          const struct postgres_attempt *attempt);

/* Runs it with others. BATCH_ALONE: nothing of it has lasted, and it is to run by itself. */
enum batch_verdict { BATCH_ENDED, BATCH_ALONE };
AW_SUSPENDS enum batch_verdict postgres_batch_run(struct postgres_batches *batches,
                                                  struct postgres_attempt *attempt,
                                                  struct outcome *ret_outcome);

#endif
