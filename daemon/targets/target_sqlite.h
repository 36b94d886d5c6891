/* target_sqlite.h - between the parts of the sqlite target: a job's arguments as statements
 * (target_sqlite_arguments.c), their rows as a result (target_sqlite_result.c), the receipt of an
 * exactly-once target (target_sqlite_receipt.c) and its end (target_sqlite_clean.c). */
#ifndef TARGETS_TARGET_SQLITE_H
#define TARGETS_TARGET_SQLITE_H

#include "targets/target.h"

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

/* As aw_sqlite_query, in one transaction with the job's receipt. SQLITE_RECEIPT_EXISTS: it was done
 * before, and nothing ran now. All functions of the receiver are needed. */
#define SQLITE_RECEIPT_EXISTS 1
AW_MUST_CHECK AW_SUSPENDS int sqlite_receipt_query(struct aw_sqlite_pool *pool, const char *store,
                                                   uint64_t job_id, const struct sqlite_job *job,
                                                   const struct aw_sqlite_receiver *receiver,
                                                   struct aw_error *reterr);

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
