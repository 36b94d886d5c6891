/* postgres_receipt.h - exactly-once on PostgreSQL: a receipt in the job's own transaction.
 *
 * The first statement of such a job inserts the row (store, job_id) into awaitd.receipt, so effect
 * and receipt are committed together or not at all. A job whose outcome was lost runs again; if it
 * had been committed, the receipt is there, its insert fails (23505) and the effect is skipped. An
 * old backend that is still at work holds the row: the insert then waits for how it ends.
 *
 * The table is made at first use. A role that may not make it gets its jobs held, and the SQL to
 * run is the reason why the target is down; it is asked for every few seconds. */
#ifndef TARGETS_POSTGRES_RECEIPT_H
#define TARGETS_POSTGRES_RECEIPT_H

#include "targets/postgres_job.h"

#include <await/pg.h>
#include <sys/queue.h>

struct postgres_receipts {
    struct target *target;
    struct aw_pg_pool *pool;
    struct aw_lock making;
    LIST_ENTRY(postgres_receipts) link; /* in the cleaner's list */
    bool listed;
    bool asking; /* a task asks now and then whether the table is there */
};

/* The statement of a job's receipt, and what it points at. */
struct postgres_receipt {
    char job_id[24];
    struct aw_pg_value values[2];
    struct aw_pg_statement statement;
};

void postgres_receipts_init(struct postgres_receipts *receipts, struct target *target,
                            struct aw_pg_pool *pool);

/* Whether the job can share a transaction with its receipt: 0, or -EINVAL with the reason. */
int postgres_receipt_check(const struct postgres_job *job, struct aw_error *reterr);

void postgres_receipt_fill(const struct postgres_receipts *receipts, uint64_t job_id,
                           struct postgres_receipt *ret_receipt);

/* The same for many jobs. The ids are text, "{1,2,3}", which the statement points at. */
void postgres_receipt_fill_many(const struct postgres_receipts *receipts, const char *ids,
                                struct postgres_receipt *ret_receipt);

/* The application_name of an exactly-once target's sessions: the store in it tells the cleaner
 * whose they are. */
#define POSTGRES_RECEIPT_NAME_SIZE 64
void postgres_receipt_session_name(const struct target *target,
                                   char ret_name[POSTGRES_RECEIPT_NAME_SIZE]);

/* What an error of the receipt's own statement means. */
enum receipt_verdict {
    RECEIPT_EXISTS,  /* the job was done before */
    RECEIPT_MISSING, /* there is no such table, or it may not be used */
    RECEIPT_OTHER,   /* an error as of any statement */
};
enum receipt_verdict postgres_receipt_judge(const struct aw_error *error);

/* The SQL that an administrator runs once, with the least privileges. */
extern const char postgres_receipts_preparation[];

/* Makes the table and looks whether receipts can be cleaned too. */
AW_MUST_CHECK AW_SUSPENDS int postgres_receipts_prepare(struct postgres_receipts *receipts,
                                                        struct aw_error *reterr);

/* Makes the table. 0; otherwise the target is down, with the SQL an administrator must run, until
 * it is there. */
AW_MUST_CHECK AW_SUSPENDS int postgres_receipts_make(struct postgres_receipts *receipts,
                                                     struct aw_error *reterr);

#endif
