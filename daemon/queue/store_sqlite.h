/* store_sqlite.h - what the files of the SQLite store share. */
#ifndef QUEUE_STORE_SQLITE_H
#define QUEUE_STORE_SQLITE_H

#include "queue/store.h"

#include <await/sqlite.h>

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLL_BACK,
    STATEMENT_INSERT,
    STATEMENT_INSERT_ROWS, /* INSERT_ROWS of them */
    STATEMENT_FINISH,
    STATEMENT_DELETE,
    STATEMENT_RETRY,
    STATEMENT_MARK,
    STATEMENT_CANCEL,
    STATEMENT_WAKE,
    STATEMENT_PURGE,
    STATEMENT_LANE_INSERT,
    STATEMENT_LANE_COUNTS,
    STATEMENT_CEILING,
    STATEMENT_READ_READY,
    STATEMENT_NEXT_DUE,
    STATEMENT_NEXT_PURGE,
    STATEMENT_READ_JOB,
    STATEMENT_SCAN,
    STATEMENT_WALK_SCHEDULED,
    STATEMENT_WALK_BLOCKED,
    STATEMENT_WALK_READY,
    STATEMENT_WALK_FINISHED,
    STATEMENT_WALK_FAILED,
    STATEMENT_LOOK,
    STATEMENT_REVIVE,
    STATEMENT_REVIVE_EXTRA,
    STATEMENT_KEY_HELD,
    STATEMENT_DELETE_FINISHED,
    STATEMENT_PROMOTE,
    STATEMENT_ATTEMPT_INSERT,
    STATEMENT_ATTEMPT_FLAG,
    STATEMENT_ATTEMPT_TRIM,
    STATEMENT_READ_ATTEMPTS,
    STATEMENT_CRON_SET,
    STATEMENT_CRON_STEP,
    STATEMENT_CRON_DELETE,
    STATEMENT_CRON_READ,
    STATEMENTS,
};

/* Jobs that one statement inserts, where so many arrive together: opening the table and its
 * indexes for each costs more than the row itself. */
#define INSERT_ROWS 16u
#define INSERT_PARAMETERS 13u /* of a row */

struct store {
    struct aw_sqlite *database;
    sqlite3_stmt *statements[STATEMENTS];
    struct lane *(*lane_by_id)(void *context, uint32_t id);
    void *context;
    struct lane *touched;       /* lanes whose counts the transaction changes */
    const struct job *inserts[INSERT_ROWS]; /* accepted by the transaction, not yet written */
    uint32_t insert_count;
    char name[STORE_NAME_SIZE];
    uint64_t id_ceiling;        /* committed */
    uint64_t id_ceiling_next;   /* of the transaction that runs */
    struct store_statistics statistics;
    bool checkpoints_held;
};

extern const char *const store_statement_texts[STATEMENTS];

/* Turns SQLite's result into the store's: 0, -ENOSPC for a full disk, else negative. */
int store_result(struct store *store, int code, const char *what, struct aw_error *reterr);

/* Steps a statement that gives no rows, and resets it. */
AW_MUST_CHECK AW_SUSPENDS int store_run(struct store *store, enum statement which,
                                        const char *what, struct aw_error *reterr);

/* Notes that a job of that many bytes of payload goes from one state to another, as part of the
 * transaction; JOB_STATES: it did not exist, or does not any more. */
void store_count(struct store *store, struct lane *lane, enum job_state from, enum job_state to,
                 size_t payload_size);

/* A waiting job is cancelled, with all that follows from it. */
AW_MUST_CHECK AW_SUSPENDS int store_cancel(struct store *store, struct store_change *change,
                                           struct aw_error *reterr);

/* store_sqlite_steer.c: CHANGE_STEER. */
AW_MUST_CHECK AW_SUSPENDS int store_steer(struct store *store, struct store_change *change,
                                          struct aw_error *reterr);

/* store_sqlite_history.c: an execution failed for the reason the change (FINISH, RETRY) gives. */
AW_MUST_CHECK AW_SUSPENDS int store_note_attempt(struct store *store,
                                                 const struct store_change *change,
                                                 struct aw_error *reterr);

/* The row that READ_JOB and SCAN select. */
void store_row(struct store *store, sqlite3_stmt *statement, struct stored_job *ret_job);

/* store_sqlite_cron.c: CRON_SET, CRON_STEP (also as part of an INSERT), CRON_DELETE. */
AW_MUST_CHECK AW_SUSPENDS int store_cron_set(struct store *store, struct store_change *change,
                                             struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_cron_step(struct store *store, struct store_change *change,
                                              struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_cron_delete(struct store *store, struct store_change *change,
                                                struct aw_error *reterr);

/* The job in memory that a row of READ_READY or WAKE holds; NULL and *ret_error on failure. */
struct job *store_row_job(struct store *store, sqlite3_stmt *statement, int *ret_error);

#endif
