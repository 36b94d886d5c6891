/* postgres_batch.h - several PostgreSQL jobs in one transaction (batch.h).
 *
 * What travels: single statements that read or change rows and nothing else (aw_pg_is_plain), of
 * jobs that have not failed or been cut off before, on a target that does not deliver at most once;
 * with functions that nobody knows (aw_pg_leaves_nothing) only where the job itself says COALESCE.
 * All else runs by itself. As many flights as there are connections are in the air. */
#ifndef TARGETS_POSTGRES_BATCH_H
#define TARGETS_POSTGRES_BATCH_H

#include "targets/batch.h"
#include "targets/postgres_memo.h"
#include "targets/postgres_outcome.h"
#include "targets/postgres_receipt.h"

struct postgres_batches {
    struct batches batches;
    struct aw_pg_pool *pool;
    struct postgres_receipts *receipts;
    struct postgres_memo memo;
};

void postgres_batches_init(struct postgres_batches *batches, struct target *target,
                           struct aw_pg_pool *pool, struct postgres_receipts *receipts);

void postgres_batches_free(struct postgres_batches *batches);

/* Whether this run may share a transaction with others. */
bool postgres_batch_takes(struct postgres_batches *batches, const struct postgres_attempt *attempt);

/* Runs it with others and fills the outcome, unless it is to run by itself. */
AW_SUSPENDS enum batch_verdict postgres_batch_run(struct postgres_batches *batches,
                                                  struct postgres_attempt *attempt,
                                                  struct outcome *ret_outcome);

#endif
