/* pg.h - PostgreSQL: a pool of pipelined connections that many tasks share.
 *
 *     struct aw_pg_options options = {.uri = "postgresql://app@db.example/app"};
 *     aw_pg_pool_create(&pool, &options, &error);
 *     aw_pg_query(pool, "SELECT $1::int + 1", 1, &(struct aw_pg_value){"41", 2, false},
 *                 &results, &error);
 *
 * Statements of different tasks travel on the same connection, each in a transaction of its own.
 * What would leak from one task to the next (open transactions, SET, LISTEN, PREPARE ...) is
 * refused before it is sent (aw_pg_refusal). What functions do to their session (set_config(...,
 * false), session advisory locks, temporary tables, LISTEN, cursors WITH HOLD, roles) is undone
 * before the next statement on the connection when the text shows that one may have been called
 * (aw_pg_leaves_nothing), and within 100 ms when it does not: triggers, defaults, views, operators.
 * Settings of the uri and of the role stay.
 *
 * A run is known to have succeeded only when the server has confirmed the end of its transaction.
 *
 * What a run returns, and what is then known about its effect:
 *   0              done
 *   -EREMOTEIO     the server refused or aborted it (error.code is the SQLSTATE): rolled back
 *   -ESHUTDOWN     the server ended the session while it ran (error.code says why): rolled back
 *   -ENOTCONN      no connection could be had: not executed
 *   -ENOBUFS       more than waiting_max runs wait already: not executed
 *   -EINVAL        the arguments cannot be sent: not executed
 *   -ETIME, -ECANCELED  the caller was interrupted: not executed, or cancelled on the server and
 *                  rolled back there. A run that had succeeded before that gives 0 instead.
 *   -EFBIG         the result is larger than result_size_max: cancelled on the server, or, when it
 *                  had ended first, done (the message says which)
 *   -ERESTART      hit by the cancellation of another run on the same connection: rolled back;
 *                  run it again (only when not `replayable`, else that is done inside)
 *   -ECONNRESET    the connection was lost meanwhile: unknown
 *   -ECONNABORTED  the caller was interrupted and the server did not stop it in time: unknown
 *   -ENOMEM        out of memory: not executed, or cancelled as with -EFBIG
 * With -EFBIG and -ENOMEM error.code is empty when the run was done, else it was not or was rolled
 * back.
 * "Rolled back" has one exception: CALL and DO can commit parts of their work by themselves.
 *
 * What needs a connection of its own: transactions with code between the statements
 * (pg_transaction.h), rows one by one (pg_rows.h), COPY (pg_copy.h), LISTEN (pg_listener.h).
 *
 * Link with libpq to use this header. */
#ifndef AWAIT_PG_H
#define AWAIT_PG_H

#include <await/base.h>
#include <await/error.h>

struct aw_pg_pool;
struct aw_pg_results;

struct aw_pg_options {
    const char *uri;              /* a libpq connection string; `service` is refused */
    const char *password;         /* NULL: from the uri, the passfile, or none. Never in messages */
    const char *application_name; /* NULL: "libawait" */
    bool distinct_names; /* each connection adds a '/' and 16 random digits to it */
    uint32_t connections;         /* the most that are open at once; 0: 8 */
    uint32_t pipeline;            /* the most runs in flight on one connection; 0: 16 */
    uint32_t waiting_max;         /* the most runs that wait for a connection; 0: 65,536 */
    uint32_t connect_timeout_ms;  /* 0: 5,000 */
    uint32_t idle_timeout_ms;     /* surplus connections close after it; 0: 300,000 */
    uint32_t cached_statements;   /* prepared statements kept a connection; 0: 100 */
    uint32_t session_connections; /* the most that COPY (pg_copy.h) and rows one by one (pg_rows.h)
                                     have open at once, besides `connections`; 0: 4 */
    bool no_statement_cache;      /* for poolers that move sessions between transactions */
    size_t in_flight_size_max;    /* bytes of statements in flight on one connection, above which
                                     others wait; 0: 1 MiB. A larger statement travels alone */

    /* Called when the pool finds the server gone, or gone for another reason than before, and when
     * it is back. May not suspend. */
    void (*changed)(void *context, bool up, const char *reason);
    void *context;
};

/* Makes a pool and starts connecting without waiting for it: an absent server is normal, the pool
 * tries again by itself (100 ms to 5 s apart, with jitter). -EINVAL: the uri is wrong. Strings are
 * copied. */
AW_API AW_MUST_CHECK int aw_pg_pool_create(struct aw_pg_pool **ret_pool,
                                           const struct aw_pg_options *options,
                                           struct aw_error *reterr);

/* Closes the connections and frees the pool; no run may be in progress. NULL is allowed. Not a
 * cancellation point. */
AW_API AW_SUSPENDS void aw_pg_pool_free(struct aw_pg_pool *pool);

/* Whether a connection works, as far as is known. */
AW_API bool aw_pg_pool_is_up(const struct aw_pg_pool *pool);

#define AW_PG_SESSION_NAME_SIZE 64
struct aw_pg_session {
    int pid;                            /* as the server, or a pooler in between, has told it */
    char name[AW_PG_SESSION_NAME_SIZE]; /* its application_name */
};

/* The open connections that carry no run sent before `since_ns` (aw_now_ns), at most `max` of them.
 * With `distinct_names`, whoever asks the server for sessions by application_name finds, besides
 * these, the ones that may still work on something older. */
AW_API uint32_t aw_pg_pool_quiet_sessions(const struct aw_pg_pool *pool, uint64_t since_ns,
                                          struct aw_pg_session *ret_sessions, uint32_t max);

/* Text in UTF-8 as psql would show it, in both directions. Parameters need no terminating NUL and
 * may hold none; values of results are followed by one. */
struct aw_pg_value {
    const char *data;
    size_t size;
    bool null;
};

struct aw_pg_statement {
    const char *sql; /* one statement, parameters as $1, $2 ... */
    size_t sql_size;
    const struct aw_pg_value *parameters;
    uint32_t parameter_count; /* at most 65,535 */
};

struct aw_pg_run {
    const struct aw_pg_statement *statements; /* all run in one transaction */
    uint32_t statement_count;                 /* 1 ... 10,000 */
    bool explicit_transaction; /* in BEGIN and COMMIT: CALL and DO cannot commit parts */
    bool replayable;           /* may be sent again when it is known to have been rolled back */
    size_t result_size_max;    /* bytes; 0: 64 MiB; at most 1 GiB */
    uint32_t prelude; /* so many of the first statements are not the user's: error messages count
                         from the one behind them */
    uint32_t *ret_failed; /* NULL, or with -EREMOTEIO: the statement that raised the error, counted
                             from 0; AW_PG_NO_STATEMENT when none did, as at the commit */
};

#define AW_PG_NO_STATEMENT UINT32_MAX

/* Runs the statements and, unless ret_results is NULL, gives their results, which the caller frees.
 * Everything `run` points at must stay until the call returns. When the caller is interrupted the
 * call still waits, at most about ten seconds, until the server has stopped. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_run(struct aw_pg_pool *pool, const struct aw_pg_run *run,
                                               struct aw_pg_results **ret_results,
                                               struct aw_error *reterr);

/* One statement; `sql` ends with a NUL. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_query(struct aw_pg_pool *pool, const char *sql,
                                                 uint32_t parameter_count,
                                                 const struct aw_pg_value *parameters,
                                                 struct aw_pg_results **ret_results,
                                                 struct aw_error *reterr);

/* --- leases: a connection for one task alone -------------------------------------------
 *
 * From aw_pg_lease_enter to aw_pg_lease_exit the connection carries this task's statements and
 * nothing else, one after the other, with BEGIN and COMMIT, SET, temporary tables and whatever a
 * session can have. Meanwhile the pool has one connection less for everybody else: leave it some.
 */
struct aw_pg_lease;
struct aw_event;

/* Waits, in order, until a connection is free for it. `changed` is set whenever the lease is
 * granted or lost; it must outlive the lease. -ENOTCONN: the server cannot be reached; -ETIME,
 * -ECANCELED; -ENOMEM. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_lease_enter(struct aw_pg_pool *pool,
                                                       struct aw_event *changed,
                                                       struct aw_pg_lease **ret_lease,
                                                       struct aw_error *reterr);

/* Runs one statement. As aw_pg_run, with its result_size_max, with these differences: nothing is
 * run again; a statement that failed inside a transaction leaves that failed, as the server does,
 * until ROLLBACK; -ENOTCONN says that the connection was lost before. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_lease_run(struct aw_pg_lease *lease,
                                                     const struct aw_pg_statement *statement,
                                                     size_t result_size_max,
                                                     struct aw_pg_results **ret_results,
                                                     struct aw_error *reterr);

/* Whether the connection is still there; if not, *reterr says why (NULL: not wanted). */
AW_API bool aw_pg_lease_is_alive(const struct aw_pg_lease *lease, struct aw_error *reterr);

/* Gives it back: an open transaction is rolled back and the session made as new (DISCARD ALL), or,
 * when that does not succeed within five seconds, the connection is closed. Frees the lease.
 * Whether a transaction was open. Not a cancellation point. */
AW_API AW_SUSPENDS bool aw_pg_lease_exit(struct aw_pg_lease *lease);

/* --- results: one for each statement -----------------------------------------------------
 *
 * Statements, rows and columns are counted from 0. Past the last one there is nothing, and no
 * error: "" for names and tags, 0 for numbers, a NULL for values. None of these calls suspends. */

/* Frees the results with everything in them. NULL does nothing. */
AW_API void aw_pg_results_free(struct aw_pg_results *results);

/* How many statements the run had. */
AW_API uint32_t aw_pg_result_count(const struct aw_pg_results *results);

/* The command tag of a `statement`, such as "INSERT 0 1"; valid until aw_pg_results_free. */
AW_API const char *aw_pg_tag(const struct aw_pg_results *results, uint32_t statement);

/* Whether the `statement` returns rows (there may be none of them). */
AW_API bool aw_pg_has_rows(const struct aw_pg_results *results, uint32_t statement);

/* How many columns the rows of a `statement` have, and the name of a `column`, valid until
 * aw_pg_results_free. */
AW_API uint32_t aw_pg_column_count(const struct aw_pg_results *results, uint32_t statement);
AW_API const char *aw_pg_column_name(const struct aw_pg_results *results, uint32_t statement,
                                     uint32_t column);

/* The oid of the type of a statement's `column`, as in pg_type. */
AW_API uint32_t aw_pg_column_type(const struct aw_pg_results *results, uint32_t statement,
                                  uint32_t column);

/* How many rows the `statement` gave. */
AW_API size_t aw_pg_row_count(const struct aw_pg_results *results, uint32_t statement);

/* The value in a `row` and `column` of a statement's result; its bytes are valid until
 * aw_pg_results_free and followed by a NUL. */
AW_API struct aw_pg_value aw_pg_value_at(const struct aw_pg_results *results, uint32_t statement,
                                         size_t row, uint32_t column);

/* --- statements ------------------------------------------------------------------------ */
#define AW_PG_WORD_SIZE 24

/* The first keyword in capitals ("SELECT", "" if there is none), comments and empty statements
 * skipped. */
AW_API void aw_pg_first_word(const char *sql, size_t size, char ret_word[AW_PG_WORD_SIZE]);

/* Why a statement may not run on a shared connection and what to do instead, or NULL when it may.
 */
AW_API const char *aw_pg_refusal(const char *sql, size_t size);

/* The same for a leased connection, where hardly anything is refused. */
AW_API const char *aw_pg_lease_refusal(const char *sql, size_t size);

/* Whether, by its text, it leaves nothing in its session: it reads or changes rows (aw_pg_is_plain)
 * and calls no function but those of the server that are known to change nothing. */
AW_API bool aw_pg_leaves_nothing(const char *sql, size_t size);

/* Whether it reads or changes rows and nothing else (SELECT, INSERT, WITH ...): such a statement
 * cannot commit by itself, so it needs no explicit transaction and is replayable. */
AW_API bool aw_pg_is_plain(const char *sql, size_t size);

#endif
