/* postgres_outcome.h - what a run on PostgreSQL means for its job.
 *
 * The rule: what is known to have been rolled back may be tried again or is dead, what never ran
 * costs nothing, and only a connection lost while the statement ran is INTERRUPTED. At-most-once: a
 * lone CALL or DO may have committed a part before it failed or was stopped, so that is INTERRUPTED
 * too. */
#ifndef TARGETS_POSTGRES_OUTCOME_H
#define TARGETS_POSTGRES_OUTCOME_H

#include "targets/postgres_job.h"

#include <await/pg.h>

/* One run of a job, and what came of it. */
struct postgres_attempt {
    const struct execution *execution;
    const struct postgres_job *job;
    bool receipted;  /* the first statement is the receipt's */
    uint32_t failed; /* the statement that raised the error */
    int status;      /* of aw_pg_run */
    struct aw_pg_results *results;
    struct aw_error error;
};

/* Fills the outcome. May ask the server whether it is shutting down. */
AW_SUSPENDS void postgres_judge(const struct target *target, struct aw_pg_pool *pool,
                                const struct postgres_attempt *attempt, struct outcome *outcome);

/* The parts: of a run that failed with `status` (atomic: not a lone CALL or DO), and of one that
 * succeeded, whose results begin at number `first`. */
AW_SUSPENDS void postgres_outcome_failure(struct outcome *outcome, struct aw_pg_pool *pool,
                                          int status, const struct aw_error *error, bool atomic);
void postgres_outcome_result(struct outcome *outcome, const struct execution *execution,
                             const struct aw_pg_results *results, uint32_t first, bool several);

#endif
