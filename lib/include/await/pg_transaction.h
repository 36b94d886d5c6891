/* pg_transaction.h - PostgreSQL: several statements in one transaction, with code in between.
 *
 *     struct aw_pg_transaction transaction = {.pool = pool};
 *     AW_WITH(result, aw_pg_with_transaction(&transaction)) {
 *         result = aw_pg_transaction_query(&transaction, "UPDATE ...", 0, NULL, NULL);
 *     }
 *     if (result < 0) ... transaction.error says why
 *
 * Enter leases a connection (pg.h) and begins. A body that completes with `result` 0 or more
 * commits; one that failed, was cancelled or was left by `return` or `goto` rolls back. The
 * connection goes back to the pool in every case.
 *
 * The block's result, besides the body's own:
 *   -ENOTCONN      no connection could be had, or it was lost before COMMIT: nothing has lasted
 *   -EREMOTEIO     BEGIN or COMMIT was refused (error.code is the SQLSTATE; 40001: run it all
 *                  again; 40000: a statement had failed and the body did not say so; 25P01: a
 *                  statement of the body had ended the transaction): nothing has lasted, except
 *                  what such a statement committed itself
 *   -ESHUTDOWN     the server ended the session at COMMIT: rolled back
 *   -ETIME, -ECANCELED  interrupted in enter; -ETIME also when COMMIT took longer than ten seconds
 *                  and was stopped: rolled back
 *   -ECONNRESET, -ECONNABORTED  lost, or not stopped in time, while it committed: unknown
 *   -ENOMEM
 *
 * Link with libpq to use this header. */
#ifndef AWAIT_PG_TRANSACTION_H
#define AWAIT_PG_TRANSACTION_H

#include <await/pg.h>
#include <await/sync.h>
#include <await/with.h>

struct aw_pg_transaction {
    struct aw_pg_pool *pool;   /* must outlive the block */
    const char *modes;         /* what follows BEGIN, such as "ISOLATION LEVEL SERIALIZABLE"; NULL:
                                  the server's default */
    struct aw_error error;     /* why enter, exit or the last failed statement failed */
    struct aw_pg_lease *lease; /* inside the block: for aw_pg_lease_run */
    struct aw_event changed;   /* private */
};

/* The block of one transaction. Enter and exit suspend; exit takes at most about twenty seconds. */
AW_API struct aw_with aw_pg_with_transaction(struct aw_pg_transaction *transaction);

/* Runs one statement inside the block: `sql` ends with a NUL. Results as aw_pg_lease_run; the
 * reason of a failure goes to transaction->error. After -EREMOTEIO the transaction has failed:
 * every later statement gives 25P02 until the block ends, or until ROLLBACK TO a savepoint.
 * -EINVAL: outside the block. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_transaction_query(struct aw_pg_transaction *transaction,
                                                             const char *sql,
                                                             uint32_t parameter_count,
                                                             const struct aw_pg_value *parameters,
                                                             struct aw_pg_results **ret_results);

#endif
