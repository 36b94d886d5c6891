/* sqlite.h - SQLite, unmodified, with its file I/O awaited on the ring.
 *
 * A connection is an ordinary sqlite3 *: use every sqlite3_* function on it (sqlite3_prepare_v3,
 * sqlite3_step ...). Where SQLite would wait for the disk or for a lock, only the calling task
 * waits and the loop goes on. So inside aw_run each sqlite3_* call on a connection counts as
 * AW_SUSPENDS. Two rules follow:
 *   - one task at a time uses a connection: SQLite does not know that it was suspended halfway;
 *   - one thread of the process uses SQLite (SQLITE_CONFIG_SINGLETHREAD is set), and the first
 *     database is opened with aw_sqlite_open, before anything else initialises SQLite.
 *
 * Interruptions: reads, writes and syncs always finish, so a commit is never cut in half. A task
 * that is cancelled or past its deadline has its running statement stopped with SQLITE_INTERRUPT
 * instead (a long query yields to other tasks about every millisecond and looks then), and waits
 * for locks and the SQL function sleep(ms) end early. aw_sqlite_error turns that into -ECANCELED
 * or -ETIME.
 *
 * Commits are durable: journal_mode=WAL and synchronous=FULL, and weaker settings of synchronous
 * are refused. A transaction's WAL frames gather in memory (8 MiB at most, then they are written
 * out without a sync) and go to the disk as one durable write. A full disk is SQLITE_FULL while
 * the statement runs, and rolls back cleanly. Any other failed write or sync leaves unknown what
 * is stored: the connection has then *failed*, every call on it gives SQLITE_IOERR, and nobody
 * may be told yes or no about that transaction: close it, open it again,
 * aw_sqlite_checkpoint(..., true), look what is there.
 *
 * Automatic checkpoints are off: the owner calls aw_sqlite_checkpoint, best while idle, when
 * aw_sqlite_wal_size says so (4 to 16 MiB).
 *
 * A program that calls sqlite3_* itself is linked with sqlite3 as well. */
#ifndef AWAIT_SQLITE_H
#define AWAIT_SQLITE_H

#include <await/base.h>
#include <await/error.h>
#include <sqlite3.h>

struct aw_sqlite;

enum aw_sqlite_flags {
    AW_SQLITE_CREATE = 1,     /* create the file when it is absent */
    AW_SQLITE_READ_ONLY = 2,
    AW_SQLITE_EXCLUSIVE = 4,  /* keep every other connection and process out; the wal-index is then
                                 in private memory. -EBUSY when somebody has it open */
    AW_SQLITE_UNTRUSTED = 8,  /* the SQL comes from users: transactions, ATTACH, temporary objects
                                 and most PRAGMAs are refused, SQLite's limits lowered, sorting uses
                                 temporary files */
};

struct aw_sqlite_options {
    unsigned flags;
    uint32_t busy_timeout_ms; /* how long to wait for another connection's lock; 0: 5,000 */
    uint32_t length_max;      /* of a value, row or statement in bytes; 0: 64 MiB */
    /* Called once when the connection fails (see above), from inside the call that failed: set a
     * flag, no more. NULL: none. */
    void (*on_failure)(void *context);
    void *context;
};

/* Opens a database. `options` may be NULL (no flags). Fails with the code and words of SQLite in
 * *reterr: -ENOENT, -EACCES, -EBUSY (locked), -EBADMSG (not a database, or corrupt), -ENOSPC,
 * -ENOMEM, -EIO ... */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_open(struct aw_sqlite **ret_database,
                                                    const char *path,
                                                    const struct aw_sqlite_options *options,
                                                    struct aw_error *reterr);

/* Closes and frees it, also when this fails. The last connection of a database checkpoints and
 * removes the WAL. 0; -EIO: a write or sync of the connection had failed (what was committed is not
 * lost: the next open recovers); -EBUSY: a statement of the caller's has not been finalized, the
 * connection goes away with it. NULL is nothing. Not a cancellation point. */
AW_API AW_SUSPENDS int aw_sqlite_close(struct aw_sqlite *database);

/* The connection, for sqlite3_* calls. Never close it directly. */
AW_API sqlite3 *aw_sqlite_handle(const struct aw_sqlite *database);

/* Whether a write or sync has failed, so that what is on the disk is unknown. Sticky. */
AW_API bool aw_sqlite_failed(const struct aw_sqlite *database);

/* Turns result_code, that of the sqlite3_* call that has just been made, into a negative errno, and
 * fills *reterr: code "SQLITE_CONSTRAINT_UNIQUE", message from SQLite. SQLITE_OK, SQLITE_ROW and
 * SQLITE_DONE give 0. -ECANCELED or -ETIME when the task's interruption was the cause; -EUCLEAN
 * when the connection has failed. Else by the primary code: BUSY, LOCKED and PROTOCOL -EBUSY, NOMEM
 * -ENOMEM, IOERR -EIO, CORRUPT and NOTADB -EBADMSG, FULL -ENOSPC, CANTOPEN the system's own errno
 * or -ENOENT, READONLY -EROFS, PERM and AUTH -EPERM, TOOBIG -E2BIG, INTERRUPT and ABORT -ECANCELED,
 * all others (ERROR, CONSTRAINT, MISMATCH ...) -EINVAL. */
AW_API int aw_sqlite_error(struct aw_sqlite *database, int result_code, struct aw_error *reterr);

/* The name of an extended_result_code: "SQLITE_BUSY_SNAPSHOT" for 517 and so on, the primary code's
 * for a newer SQLite's detail; "SQLITE_UNKNOWN" for a code nobody knows. A static string. */
AW_API const char *aw_sqlite_code_name(int extended_result_code);

/* Runs statements that need no parameters and whose rows nobody wants: 0, or errors as
 * aw_sqlite_error. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_execute(struct aw_sqlite *database, const char *sql,
                                                       struct aw_error *reterr);

/* Prepares one statement, from the connection's cache when it is there (the 64 last used are
 * kept). A second statement in the text gives -ENOTSUP, no statement at all -EINVAL. Give it back
 * with aw_sqlite_done; do not finalize it. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_prepare(struct aw_sqlite *database, const char *sql,
                                                       size_t sql_size,
                                                       sqlite3_stmt **ret_statement,
                                                       struct aw_error *reterr);

/* Resets the statement, clears its parameters and puts it into the cache. NULL is nothing. Not a
 * cancellation point. */
AW_API AW_SUSPENDS void aw_sqlite_done(struct aw_sqlite *database, sqlite3_stmt *statement);

/* The next word of SQL text: skips blanks, semicolons and comments from *cursor on, moves *cursor
 * behind the word and returns where it begins, its length in *ret_length. Length 0: no word is
 * left, or something else than a word comes next (then *cursor is short of `end`). */
AW_API const char *aw_sqlite_next_word(const char **cursor, const char *end, size_t *ret_length);

/* Moves what is in the WAL into the database, both synced. PASSIVE moves what it can without
 * waiting; with `truncate` everything, and the WAL becomes empty (-EBUSY when others are in the
 * way). Use it when no other connection is inside a transaction. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_checkpoint(struct aw_sqlite *database, bool truncate,
                                                          struct aw_error *reterr);

/* How many bytes are in the WAL that no checkpoint has moved yet, as this connection saw it at its
 * last commit or checkpoint. */
AW_API uint64_t aw_sqlite_wal_size(const struct aw_sqlite *database);

/* The time that this connection's syncs of the WAL, with the writes they carry, have taken since it
 * was opened: what the disk costs. */
AW_API uint64_t aw_sqlite_sync_ns(const struct aw_sqlite *database);

/* --- a pool: several connections to one database -------------------------------------------------
 *
 * Readers run at the same time, writers one after the other in the order they came (a write that
 * must wait holds no connection). The pool checkpoints by itself: when 4 MiB are in the WAL and no
 * connection is inside a transaction; above 16 MiB it holds new queries back for up to a second to
 * get there; above 1 GiB, which takes a reader that never ends, writes give -ENOSPC. A query that
 * commits just then pays for it.
 *
 * When a write or sync fails, the query gets -EUCLEAN: whether it is stored is unknown. The pool
 * then closes its connections and opens them anew, and answers -EAGAIN until what the WAL holds has
 * been moved into the database and synced. Foreign keys are enforced. */

struct aw_sqlite_pool;

struct aw_sqlite_pool_options {
    unsigned flags;           /* as of aw_sqlite_open, without AW_SQLITE_EXCLUSIVE */
    uint32_t connections_max; /* 1...1,024; 0: 8. Opened when needed */
    uint32_t busy_timeout_ms; /* as of aw_sqlite_open */
    uint32_t length_max;
};

/* Makes a pool for the database at `path`, which is copied; opens nothing. `options` may be NULL.
 * -EINVAL (no path, AW_SQLITE_EXCLUSIVE, connections_max), -ENOMEM. Never suspends. */
AW_API AW_MUST_CHECK int aw_sqlite_pool_new(struct aw_sqlite_pool **ret_pool, const char *path,
                                            const struct aw_sqlite_pool_options *options,
                                            struct aw_error *reterr);

/* Closes all connections (the last one checkpoints) and frees it. No query may be running. NULL is
 * nothing. Not a cancellation point. */
AW_API AW_SUSPENDS void aw_sqlite_pool_free(struct aw_sqlite_pool *pool);

struct aw_sqlite_value {
    int type;         /* SQLITE_NULL, SQLITE_TEXT, SQLITE_BLOB, SQLITE_INTEGER or SQLITE_FLOAT */
    const void *data; /* of TEXT (UTF-8, need not end with NUL) and BLOB */
    size_t size;
    int64_t integer;
    double real;
};

struct aw_sqlite_statement {
    const char *sql;
    size_t sql_size;
    const struct aw_sqlite_value *values; /* as many as the statement has parameters */
    unsigned value_count;
};

/* Where a query's results go, while it runs. A negative result stops the query, undoes what it
 * did, and is what aw_sqlite_query returns (with *reterr as the receiver left it). The receiver
 * must not suspend or keep pointers into the statement. Any function may be NULL. */
struct aw_sqlite_receiver {
    void (*restart)(void *context); /* forget everything: the query begins (possibly once more) */
    int (*begin)(void *context, unsigned index, sqlite3_stmt *statement);
    int (*row)(void *context, sqlite3_stmt *statement);
    int (*end)(void *context, unsigned index, sqlite3_stmt *statement, int64_t changes);
    void *context;
};

/* Runs 1...1,000 statements as one transaction: all of them or none. On return 0 what they wrote
 * is durable. Errors: those of aw_sqlite_error; -EINVAL also for a wrong number of values;
 * -EUCLEAN and -EAGAIN as above; what aw_sqlite_open gives when a connection cannot be opened. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_query(struct aw_sqlite_pool *pool,
                                                     const struct aw_sqlite_statement *statements,
                                                     unsigned count,
                                                     const struct aw_sqlite_receiver *receiver,
                                                     struct aw_error *reterr);

/* --- a session: one connection of a pool for one task alone --------------------------------------
 *
 * Its statements come one by one, with BEGIN, COMMIT and savepoints of their own; temporary objects
 * and settings stay refused (AW_SQLITE_UNTRUSTED). While it has written in a transaction all other
 * writers wait, so bound it. Sessions must leave at least one connection of the pool to others. All
 * calls of one session come from one task. */
struct aw_sqlite_session;
struct aw_event;

/* Waits for a connection. `lost` is set when the pool needs it back to recover from a failed write;
 * it must outlive the session. 0: *ret_session is the caller's, to aw_sqlite_session_exit. Errors
 * as aw_sqlite_open when a connection has to be opened; -EUCLEAN and -EAGAIN (the pool
 * recovers) as of aw_sqlite_query. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_session_enter(struct aw_sqlite_pool *pool,
                                                             struct aw_event *lost,
                                                             struct aw_sqlite_session **ret_session,
                                                             struct aw_error *reterr);

/* Runs one statement. Errors as aw_sqlite_query. After one that made SQLite roll the whole
 * transaction back, everything but ROLLBACK is refused with SQLITE_ABORT_ROLLBACK; that ROLLBACK
 * gives AW_SQLITE_ROLLED_BACK_BEFORE, and the receiver hears nothing. */
#define AW_SQLITE_ROLLED_BACK_BEFORE 1
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_session_query(
    struct aw_sqlite_session *session, const struct aw_sqlite_statement *statement,
    const struct aw_sqlite_receiver *receiver, struct aw_error *reterr);

/* Whether the connection can be used; false when a write of the pool has failed: exit then. */
AW_API bool aw_sqlite_session_is_alive(const struct aw_sqlite_session *session);

/* Rolls back what is open, gives the connection back and frees the session. Whether a transaction
 * was open. Not a cancellation point. */
AW_API AW_SUSPENDS bool aw_sqlite_session_exit(struct aw_sqlite_session *session);

/* Opens a connection if none is open and reads from the database: 0 when it can be used. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sqlite_pool_probe(struct aw_sqlite_pool *pool,
                                                          struct aw_error *reterr);

#endif
