/* sqlite_transaction.h - SQLite: several statements in one transaction, with code in between.
 *
 *     struct aw_sqlite_transaction transaction = {.pool = pool, .immediate = true};
 *     AW_WITH(result, aw_sqlite_with_transaction(&transaction)) {
 *         result = aw_sqlite_transaction_execute(&transaction, "UPDATE ...");
 *     }
 *     if (result < 0) ... transaction.error says why
 *
 * Enter takes a session of the pool (sqlite.h) and begins. A body that completes with `result` 0 or
 * more commits, durably; one that failed, was cancelled or was left by `return` or `goto` rolls
 * back. The connection goes back to the pool in every case. From its first write on all other
 * writers of the pool wait: keep the block short.
 *
 * The block's result, besides the body's own:
 *   -EBUSY         another connection or process holds the lock, or (error.code
 *                  SQLITE_BUSY_SNAPSHOT, never with `immediate`) has written since this one read:
 *                  run it all again. Nothing has lasted
 *   -EINVAL        a statement of the body had made SQLite roll back (SQLITE_ABORT_ROLLBACK), or
 *                  had ended the transaction (SQLITE_ERROR): nothing has lasted, except what such a
 *                  statement committed itself
 *   -ENOSPC        the disk is full: rolled back
 *   -EUCLEAN       a write or sync failed: unknown whether it lasts (sqlite.h)
 *   -EAGAIN        the pool recovers from that: not begun
 *   -ETIME, -ECANCELED  interrupted in enter, or exit had to wait longer than ten seconds: rolled
 *                  back
 *   and in enter what aw_sqlite_session_enter gives.
 *
 * Link with sqlite3 to use this header. */
#ifndef AWAIT_SQLITE_TRANSACTION_H
#define AWAIT_SQLITE_TRANSACTION_H

#include <await/sqlite.h>
#include <await/sync.h>
#include <await/with.h>

struct aw_sqlite_transaction {
    struct aw_sqlite_pool *pool;       /* must outlive the block */
    bool immediate;                    /* BEGIN IMMEDIATE: a writer from the start */
    struct aw_error error;             /* why enter, exit or the last failed statement failed */
    struct aw_sqlite_session *session; /* inside the block: for aw_sqlite_session_query */
    struct aw_event lost;              /* private */
};

/* The block of one transaction. Enter and exit suspend. */
AW_API struct aw_with aw_sqlite_with_transaction(struct aw_sqlite_transaction *transaction);

/* Runs one statement inside the block, with its values and where its rows go, as
 * aw_sqlite_session_query does: 0, or its errors; the reason of a failure goes to
 * transaction->error. `receiver` may be NULL. -EINVAL: outside the block. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_transaction_query(
    struct aw_sqlite_transaction *transaction, const struct aw_sqlite_statement *statement,
    const struct aw_sqlite_receiver *receiver);

/* aw_sqlite_transaction_query of `sql` without values, whose rows nobody wants: 0, or its errors.
 */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_transaction_execute(
    struct aw_sqlite_transaction *transaction, const char *sql);

#endif
