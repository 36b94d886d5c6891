/* store_sqlite.h - what the files of the SQLite store share. */
#ifndef QUEUE_STORE_SQLITE_H
#define QUEUE_STORE_SQLITE_H

#include "queue/job_extras.h"
#include "queue/store.h"

#include <await/sqlite.h>

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLL_BACK,
    STATEMENT_INSERT_NEW,
    STATEMENT_FINISH,
    STATEMENT_FINISH_KEPT, /* those that are gathered */
    STATEMENT_DELETE_ENDED_JOBS,
    STATEMENT_RETRY,
    STATEMENT_MARK,
    STATEMENT_CANCEL,
    STATEMENT_WAKE,
    STATEMENT_PURGE,
    STATEMENT_DROP,
    STATEMENT_PAUSE,
    STATEMENT_RESUME,
    STATEMENT_LANE_INSERT,
    STATEMENT_LANE_COUNTS,
    STATEMENT_CEILING,
    STATEMENT_READ_READY,
    STATEMENT_LIST_READY,
    STATEMENT_LIST_HELD,
    STATEMENT_READ_PAUSED,
    STATEMENT_NEXT_DUE,
    STATEMENT_NEXT_PURGE,
    STATEMENT_READ_JOB,
    STATEMENT_SCAN,
    /* of jobs with extras, and of those that are waited for */
    STATEMENT_KEY_OWNER,
    STATEMENT_SERIAL_FIRST,
    STATEMENT_EXTRA_INSERT,
    STATEMENT_EXTRA_READ,
    STATEMENT_EXTRA_END,
    STATEMENT_EXTRA_UNBLOCK,
    STATEMENT_EXPIRED,
    STATEMENT_EXPIRE_NEVER,
    STATEMENT_NEXT_EXPIRY,
    STATEMENT_HEAD,
    STATEMENT_END,
    STATEMENT_DELETE_ENDED,
    STATEMENT_UNBLOCK,
    STATEMENT_PARENT_INSERT,
    STATEMENT_PARENTS,
    STATEMENT_PARENTS_FORGET,
    STATEMENT_EXTRA_FORGET,
    STATEMENT_BINDS_FORGET,
    STATEMENT_ATTEMPTS_FORGET,
    STATEMENT_CHILD,
    STATEMENT_CHILD_RELEASED,
    STATEMENT_ANY_DEPENDENCY,
    STATEMENT_ENDING_INSERT,
    STATEMENT_ENDING_FIRST,
    STATEMENT_ENDING_DELETE,
    STATEMENT_BIND_INSERT,
    STATEMENT_BINDS_OPEN,
    STATEMENT_BIND_SET,
    STATEMENT_BIND_VALUES,
    STATEMENT_BIND_WANTED,
    STATEMENT_RESULT,
    STATEMENT_PAYLOAD,
    STATEMENT_WALK_SCHEDULED,
    STATEMENT_WALK_BLOCKED,
    STATEMENT_WALK_READY,
    STATEMENT_WALK_FINISHED,
    STATEMENT_WALK_FAILED,
    STATEMENT_LOOK,
    STATEMENT_REVIVE,
    STATEMENT_REVIVE_EXTRA,
    STATEMENT_KEY_HELD,
    STATEMENT_SERIAL_AHEAD,
    STATEMENT_BIND_LACKING,
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

/* Jobs that one statement inserts or deletes; at most 64. */
#define GATHER_JOBS 64u

/* What a new job has, in the order in which the table `new_job` gives it. */
#define STORE_NEW_COLUMNS \
    "id, lane, state, priority, at_ms, retries, timeout_ms, backoff_min_ms, backoff_max_ms, " \
    "keep_ms, format, flags, gather, payload"

/* What outcome() gives; STATEMENT_FINISH_KEPT has the numbers. */
enum store_outcome {
    STORE_OUTCOME_STATE,
    STORE_OUTCOME_PURGE,
    STORE_OUTCOME_ATTEMPTS,
    STORE_OUTCOME_INTERRUPTIONS,
    STORE_OUTCOME_STARTED,
    STORE_OUTCOME_FINISHED,
    STORE_OUTCOME_RESULT,
};

/* What the ends of one transaction may do at once for jobs AFTER them, so that neither the loop nor
 * memory depends on how many those are: the rest is left to CHANGE_RELEASE and CHANGE_WAKE. */
#define RELEASE_CHILDREN 512u
#define WAKE_RELEASED 1024u
#define WAKE_RELEASED_BYTES (8u * 1024 * 1024)

/* Ends of jobs, accepted by the transaction and not yet written. */
struct gathered_ends {
    struct store_change *changes[GATHER_JOBS]; /* by the ids of their jobs */
    uint32_t count;
    uint64_t with_others; /* a bit for each whose job has rows in other tables */
};

struct store {
    struct aw_sqlite *database;
    sqlite3_stmt *statements[STATEMENTS]; /* store_statement makes them */
    int prepare_code;                     /* of the last one */
    struct lane *(*lane_by_id)(void *context, uint32_t id);
    void *context;
    struct lane *touched;       /* lanes whose counts the transaction changes */
    const struct job *inserts[GATHER_JOBS]; /* accepted by the transaction, not yet written */
    uint32_t insert_count;
    struct gathered_ends deleted; /* of jobs that are not kept */
    struct gathered_ends kept;
    char name[STORE_NAME_SIZE];
    uint64_t id_ceiling;        /* committed */
    uint64_t id_ceiling_next;   /* of the transaction that runs */
    struct store_statistics statistics;
    bool checkpoints_held;

    bool (*may_expire)(void *context, uint64_t id);
    bool has_dependencies;      /* false: certainly no job is AFTER another */
    uint32_t release_left;      /* children that this transaction may still look at */
    uint32_t wake_left;         /* released jobs that it may still bring into memory, */
    uint64_t wake_bytes_left;   /* and their bytes */
};

extern const char *const store_statement_texts[STATEMENTS];

/* The statement, prepared at its first use. NULL when that fails, which stepping it then reports.
 */
sqlite3_stmt *store_statement(struct store *store, enum statement which);

/* Turns SQLite's result into the store's: 0, -ENOSPC for a full disk, else negative. */
int store_result(struct store *store, int code, const char *what, struct aw_error *reterr);

/* Steps a statement that gives no rows, and resets it. */
AW_MUST_CHECK AW_SUSPENDS int store_run(struct store *store, enum statement which,
                                        const char *what, struct aw_error *reterr);

/* Notes that a job of that many bytes of payload goes from one state to another, as part of the
 * transaction; JOB_STATES: it did not exist, or does not any more. */
void store_count(struct store *store, struct lane *lane, enum job_state from, enum job_state to,
                 size_t payload_size);

/* store_sqlite_pause.c: CHANGE_PAUSE. */
AW_MUST_CHECK AW_SUSPENDS int store_pause(struct store *store, struct store_change *change,
                                          struct aw_error *reterr);

/* A waiting job is cancelled, with all that follows from it. */
AW_MUST_CHECK AW_SUSPENDS int store_cancel(struct store *store, struct store_change *change,
                                           struct aw_error *reterr);

/* store_sqlite_group.c: CHANGE_INSERT_ALL. */
AW_MUST_CHECK AW_SUSPENDS int store_insert_all(struct store *store, struct store_change *change,
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

/* 0 is stored as NULL. */
void store_bind_time(sqlite3_stmt *statement, int index, uint64_t time_ms);
void store_bind_number(sqlite3_stmt *statement, int index, uint64_t number);
void store_bind_text(sqlite3_stmt *statement, int index, const char *text);

/* --- store_sqlite_gather.c ------------------------------------------------------------------ */
/* Accepts the job, or the end of one that did not fail and matters to no other. Both must live
 * until the transaction ends. Whether the end was applied is known once it is written. */
AW_MUST_CHECK AW_SUSPENDS int store_gather_insert(struct store *store, const struct job *job,
                                                  struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_gather_end(struct store *store, struct store_change *change,
                                               struct aw_error *reterr);
/* Writes what was only gathered so far; every other change must find it written. */
AW_MUST_CHECK AW_SUSPENDS int store_write_gathered(struct store *store, struct aw_error *reterr);

/* Writes one job and nothing else; those that were gathered before are written already. */
AW_MUST_CHECK AW_SUSPENDS int store_write_job(struct store *store, const struct job *job,
                                              struct aw_error *reterr);

/* Runs a statement that deletes at most one job RETURNING id, flags, and deletes what belongs to
 * the job in other tables. */
AW_MUST_CHECK AW_SUSPENDS int store_delete(struct store *store, enum statement which,
                                           bool *ret_deleted, struct aw_error *reterr);
/* Deletes what belongs to a job of any flags in other tables. */
AW_MUST_CHECK AW_SUSPENDS int store_forget_others(struct store *store, uint64_t id,
                                                  struct aw_error *reterr);

/* store_sqlite_rows.c: makes known to SQLite what the statements of both name. */
AW_MUST_CHECK AW_SUSPENDS int store_make_tables(struct store *store, struct aw_error *reterr);

/* The attempts as they are on disk: those of the job before this execution was counted. */
static inline uint32_t store_attempts(const struct store_change *change)
{
    return change->job->attempts - (change->attempt_spent ? 1 : 0);
}

/* What a RETURNING or SELECT of one row gives: SQLITE_ROW is 1, none is 0. The caller reads the
 * columns and calls store_one_end. */
AW_MUST_CHECK AW_SUSPENDS int store_one(struct store *store, enum statement which,
                                        const char *what, struct aw_error *reterr);
/* Steps to the end (what a RETURNING changed is only then), and resets. */
AW_MUST_CHECK AW_SUSPENDS int store_one_end(struct store *store, enum statement which,
                                            const char *what, struct aw_error *reterr);

/* --- store_sqlite_insert.c: jobs with extras --------------------------------------------- */
AW_MUST_CHECK AW_SUSPENDS int store_insert_with_extras(struct store *store,
                                                       struct store_change *change,
                                                       struct aw_error *reterr);
/* Visits the row with what JOB shows beside it. */
AW_MUST_CHECK AW_SUSPENDS int store_visit_extra(struct store *store, struct stored_job *row,
                                                store_visitor visitor, void *context,
                                                struct aw_error *reterr);

/* --- store_sqlite_end.c: what the end of a job means for itself and others ----------------- */
/* What is known of a stored job without its payload. */
struct job_head {
    enum job_state state;
    struct lane *lane;
    uint8_t flags;
    uint64_t keep_ms;
    size_t payload_size;
};
/* 1, or 0: there is none. */
AW_MUST_CHECK AW_SUSPENDS int store_head(struct store *store, uint64_t id,
                                         struct job_head *ret_head, struct aw_error *reterr);

/* A job that has ended, and its result for those who want values out of it. */
struct ending {
    uint64_t id;
    enum job_state state;
    uint8_t flags;
    bool has_header;    /* rows of SQL: the first one holds the columns' names */
    const char *result; /* NULL: none */
    size_t result_size;
};

/* Whether store_job_ended has anything to do. */
static inline bool store_end_matters(const struct store *store, uint8_t flags)
{
    return (flags & JOB_EXTRA_FLAGS) || store->has_dependencies;
}

/* Must follow every end of a job, in the same transaction, after its row has got its final state
 * and before that row is deleted: frees its KEY, lets the next of its SERIAL go, and those AFTER
 * it. */
AW_MUST_CHECK AW_SUSPENDS int store_job_ended(struct store *store, struct store_change *change,
                                              const struct ending *ending,
                                              struct aw_error *reterr);

/* Ends a job that is not being executed and puts it on the change's list, if it has not ended yet.
 * Its consequences come with store_finish_ended: in a loop, so that no chain of jobs, however long,
 * becomes a chain of calls. */
AW_MUST_CHECK AW_SUSPENDS int store_end_job(struct store *store, struct store_change *change,
                                            uint64_t id, enum job_state state, const char *code,
                                            const char *message, struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_finish_ended(struct store *store, struct store_change *change,
                                                 struct aw_error *reterr);

/* A job that this change let go ends after all, in the same change: it must not come into memory.
 */
void store_unwake(struct store_change *change, uint64_t id);

/* The job waits for one job less. */
AW_MUST_CHECK AW_SUSPENDS int store_unblock(struct store *store, struct store_change *change,
                                            uint64_t id, struct aw_error *reterr);

AW_MUST_CHECK AW_SUSPENDS int store_expire(struct store *store, struct store_change *change,
                                           struct aw_error *reterr);

/* --- store_sqlite_graph.c: AFTER ----------------------------------------------------------- */
/* What was seen of a job's parents. */
struct parents_seen {
    uint32_t waiting;   /* that have not ended */
    uint64_t failed_id; /* of the first that failed, 0: none */
    enum job_state failed_state;
    bool refused; /* job->extras says why */
};
AW_MUST_CHECK AW_SUSPENDS int store_parents_look(struct store *store, const struct job *job,
                                                 struct parents_seen *ret_seen,
                                                 struct aw_error *reterr);
/* Writes the dependencies on parents that have not ended, and the binds. */
AW_MUST_CHECK AW_SUSPENDS int store_parents_write(struct store *store, const struct job *job,
                                                  struct aw_error *reterr);
/* Lets those go that are AFTER the ended job; notes what this transaction does not get to. */
AW_MUST_CHECK AW_SUSPENDS int store_release_children(struct store *store,
                                                     struct store_change *change,
                                                     const struct ending *ending,
                                                     struct aw_error *reterr);
/* Goes on with what was noted. */
AW_MUST_CHECK AW_SUSPENDS int store_release(struct store *store, struct store_change *change,
                                            struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_release_pending(struct store *store, bool *ret_pending,
                                                    struct aw_error *reterr);
/* Finds out whether there are dependencies at all. */
AW_MUST_CHECK AW_SUSPENDS int store_look_for_dependencies(struct store *store,
                                                          struct aw_error *reterr);

/* --- store_sqlite_bind.c: BIND --------------------------------------------------------------- */
/* Writes a binding; with the value, if the parent is done. *ret_refused: there is no such value,
 * job->extras says why. `write` false: only looks. */
AW_MUST_CHECK AW_SUSPENDS int store_bind_new(struct store *store, const struct job *job,
                                             const struct submit_bind *bind,
                                             enum job_state parent_state,
                                             const struct lane *parent_lane, bool write,
                                             bool *ret_refused, struct aw_error *reterr);
/* Takes what a child wants out of its parent's result. message[0]: it cannot be. */
AW_MUST_CHECK AW_SUSPENDS int store_binds_take(struct store *store, uint64_t child,
                                               const struct ending *parent,
                                               char message[ENDED_MESSAGE_SIZE],
                                               struct aw_error *reterr);
/* Puts the values into the stored arguments, whose size then is *ret_size. message[0]: it cannot
 * be. */
AW_MUST_CHECK AW_SUSPENDS int store_binds_apply(struct store *store, uint64_t child,
                                                size_t *ret_size,
                                                char message[ENDED_MESSAGE_SIZE],
                                                struct aw_error *reterr);

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
