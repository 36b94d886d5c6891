/* target_sqlite.h - between the parts of the sqlite target: a job's arguments as statements
 * (target_sqlite_arguments.c), their rows as a result (target_sqlite_result.c), the transaction
 * they run in, with the receipts of an exactly-once target (target_sqlite_receipt.c), who shares one
 * (target_sqlite_batch.c) and the end of receipts (target_sqlite_clean.c). */
#ifndef TARGETS_TARGET_SQLITE_H
#define TARGETS_TARGET_SQLITE_H

#include "targets/batch.h"

#include <await/sqlite.h>

#define SQLITE_STATEMENTS_MAX 1000u

/* The statements of one job. They point into the arguments. */
struct sqlite_job {
    struct aw_sqlite_statement *statements;
    struct aw_sqlite_value *values;
    unsigned count;
    bool transaction; /* TX: the result is an array of the statements' results */
};

/* Whether the arguments have the right shape: 0, or -EINVAL with the reason. Allocates nothing. */
int sqlite_job_check(const struct argument *arguments, uint32_t count, struct aw_error *reterr);

/* As sqlite_job_check, and fills *ret_job; also -ENOMEM. */
int sqlite_job_parse(const struct argument *arguments, uint32_t count, struct sqlite_job *ret_job,
                     struct aw_error *reterr);
void sqlite_job_free(struct sqlite_job *job);

/* What a job's statements give, built up while they run. */
struct sqlite_result {
    const struct sqlite_job *job;
    enum result_format format;
    size_t size_max;
    struct aw_error *error;
    struct buffer *out;  /* the value */
    struct buffer rows;  /* of the statement that runs */
    uint64_t row_count;
};

/* A receiver that writes into *result; result->rows is to be freed. */
struct aw_sqlite_receiver sqlite_result_receiver(struct sqlite_result *result);

/* Whether the job can share a transaction with its receipt: 0, -EINVAL with the reason, -ENOMEM. */
int sqlite_receipt_check(const struct argument *arguments, uint32_t count, struct aw_error *reterr);

/* One job's run, on the stack of its execution's task. */
struct sqlite_run {
    uint64_t job_id;
    const struct sqlite_job *job;
    struct sqlite_result rows;
    struct aw_sqlite_receiver receiver; /* into `rows` */
    struct buffer out;                  /* the result */
    int status;                         /* as of sqlite_run_together */
    struct aw_error error;
};

/* As aw_sqlite_query, the statements of all runs in one transaction; with the store's name also
 * their receipts. SQLITE_RECEIPT_EXISTS: one of them was done before, and nothing ran now.
 * *ret_guilty (unless NULL): the run whose statement failed, or SQLITE_NOBODY when it was none's,
 * as at the commit. */
#define SQLITE_RECEIPT_EXISTS 1
#define SQLITE_NOBODY UINT32_MAX
AW_MUST_CHECK AW_SUSPENDS int sqlite_run_together(struct aw_sqlite_pool *pool, const char *store,
                                                  struct sqlite_run *const *runs, uint32_t count,
                                                  uint32_t *ret_guilty, struct aw_error *reterr);

/* Several jobs in one transaction (batch.h). What travels: single statements that begin with
 * INSERT, REPLACE, UPDATE or DELETE. All else runs by itself: what only reads has no commit to share and
 * would keep the writers waiting, PRAGMA and VACUUM want no transaction. One flight is in the air,
 * since SQLite has one writer. */
#define SQLITE_GATHERED_MAX 900u

struct sqlite_batches {
    struct batches batches;
    struct aw_sqlite_pool *pool;
};

void sqlite_batches_init(struct sqlite_batches *batches, struct target *target,
                         struct aw_sqlite_pool *pool);

/* Runs it with others: then its status is there, or the outcome is filled, or it is to run by
 * itself (also where it may share nothing). */
AW_SUSPENDS enum batch_verdict sqlite_batch_run(struct sqlite_batches *batches,
                                                const struct execution *execution,
                                                struct sqlite_run *run,
                                                struct outcome *ret_outcome);

/* What an error means for its job. */
enum outcome_kind sqlite_outcome_kind(const struct aw_error *error);

/* What the cleaner of receipts needs. */
struct sqlite_receipts {
    struct target *target;
    struct aw_sqlite_pool *pool;
};

/* Starts the cleaner (receipt_cleaner.h) of an exactly-once target; *receipts outlives it. */
AW_MUST_CHECK int sqlite_receipts_clean(struct sqlite_receipts *receipts);

/* "INSERT 0 3", "CREATE TABLE" ...: what PostgreSQL would say of the statement. */
void sqlite_command_tag(const char *sql, size_t sql_size, int64_t changes, char *ret_tag,
                        size_t size);

#endif
