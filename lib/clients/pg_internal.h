/* pg_internal.h - the parts of the PostgreSQL client to each other.
 *
 *   pg_run.c         a task's run: submit, wait, stop when interrupted, decide what is known
 *   pg_pool.c        who gets which connection; up and down
 *   pg_connection.c  one connection's life: its task, its writer, its end
 *   pg_connect.c     opening one, with names resolved off the loop
 *   pg_request.c     what is sent for a request
 *   pg_receive.c     what comes back, matched to the request at the head
 *   pg_cancel.c      stopping the request at the head, on the server
 *   pg_lease.c       a connection for one task alone
 *   pg_tidy.c        what one run leaves in its session does not reach the next
 *   pg_session.c     a connection outside the pool: under COPY, rows and listeners
 *
 * Who owns what: a request belongs to the task that runs it until that task abandons it; from
 * then on to its connection, which frees it when its turn has come. A connection belongs to its
 * own task, which runs in the pool's group; everybody else only asks it to end
 * (pg_connection_drop). */
#ifndef CLIENTS_PG_INTERNAL_H
#define CLIENTS_PG_INTERNAL_H

#include "clients/pg_result.h"
#include "clients/pg_statement_cache.h"

#include <await.h>
#include <await/pg.h>
#include <libpq-fe.h>
#include <sys/queue.h>

/* How long a head may have run before nothing is sent behind it any more. */
#define PG_SLOW_NS (20 * AW_NS_PER_MS)
/* How long a trigger's traces may stay in a session. */
#define PG_TIDY_NS (100 * AW_NS_PER_MS)
/* How long an interrupted run waits for the server to stop it. */
#define PG_STOP_WAIT_MS 5000u
#define PG_BACKOFF_MIN_MS 100u
#define PG_BACKOFF_MAX_MS 5000u

enum pg_step_kind {
    PG_STEP_DEALLOCATE,
    PG_STEP_PREPARE,
    PG_STEP_EXECUTE,
    PG_STEP_BEGIN,
    PG_STEP_COMMIT,
};

struct pg_step { /* one thing sent, in the order its results come back */
    enum pg_step_kind kind;
    uint32_t statement;
    uint64_t name; /* the prepared statement of it, 0 if none */
};

enum pg_request_state {
    PG_REQUEST_WAITING,  /* in the pool's queue, nothing sent: can be taken back */
    PG_REQUEST_SENT,     /* in a connection's queue */
    PG_REQUEST_FINISHED, /* in no queue; `number` holds how it ended */
};

/* How a request ended, besides what aw_pg_run returns: the first two are repeated inside. */
#define PG_NOT_EXECUTED (-EAGAIN) /* sent, but the server ended the session before its turn */
#define PG_STALE_PLAN (-ESTALE)   /* a prepared statement did not fit any more: rolled back */

struct pg_request {
    TAILQ_ENTRY(pg_request) link;
    enum pg_request_state state;
    const struct aw_pg_run *run; /* the caller's; not looked at once sent */
    uint32_t statement_count;
    uint32_t prelude;
    uint32_t failed; /* the statement that raised `error`, or AW_PG_NO_STATEMENT */
    size_t size_bytes;
    size_t size_max; /* of the result */
    bool explicit_transaction;
    bool uncached;
    struct pg_connection *connection; /* while sent */
    uint64_t sent_ns;

    struct pg_step *steps;
    uint32_t step_count;
    uint32_t step_capacity;
    uint32_t step;          /* the one whose result comes next */
    bool in_guard;          /* the ROLLBACK behind an explicit transaction is answering */
    bool interrupted;       /* the caller was: stop it when it is its turn */
    bool over_limit;        /* the result grew too large or memory ran out: `number` says which */
    bool abandoned;         /* the caller has left: its connection frees it */
    bool session_ended;     /* the server's FATAL answered one of its statements: rolled back */
    bool ended_early;       /* so soon that the session was idle when it was told to end */
    bool stale_plan;
    bool may_leave_traces; /* in the session: the cleaning goes behind it */
    bool tidies;           /* it is the cleaning: nobody's, its connection frees it */
    bool commit_sent; /* the Sync or COMMIT may be on its way; before, nothing can have lasted */

    struct aw_pg_results *results;
    int number;
    struct aw_error error; /* the first the server gave; number 0: none */
    struct aw_event finished;
};

TAILQ_HEAD(pg_request_queue, pg_request);

enum pg_connection_state {
    PG_CONNECTION_OPENING,
    PG_CONNECTION_OPEN,
    PG_CONNECTION_CLOSED, /* lost, or waiting for the next try */
};

struct pg_connection {
    TAILQ_ENTRY(pg_connection) link;
    struct aw_pg_pool *pool;
    PGconn *handle;
    enum pg_connection_state state;
    struct pg_request_queue in_flight; /* the first one is the head: the one the server works on */
    uint32_t in_flight_count;
    size_t in_flight_size;
    uint32_t depth; /* the most in flight now: doubles with quick heads, 1 after a slow one */
    uint64_t head_since_ns;
    uint64_t opened_ns;
    uint64_t idle_since_ns;
    uint64_t untidy_since_ns; /* something ran in the session since its last cleaning; 0: not */
    uint64_t cancel_ended_ns; /* 0: never cancelled anything */
    struct pg_cancel *cancel; /* under way: nothing new is sent meanwhile */
    struct aw_pg_lease *lease; /* who has it alone, or NULL */
    bool draining;            /* gets nothing new: a lease takes it once nothing is in flight */
    PGTransactionStatusType transaction; /* as of the last answer, while leased */
    struct aw_event flush_wanted;
    struct aw_scope serving;  /* valid while is_serving */
    bool is_serving;
    bool broken;              /* to be closed at once; `lost` says why */
    bool retiring;            /* to be closed when nothing is in flight */
    bool session_ended;       /* the server said FATAL: what was behind the head did not run */
    struct aw_error lost;
    struct pg_statement_cache cache;
};

TAILQ_HEAD(pg_connection_list, pg_connection);

/* Waits in the pool's list until it is granted; then `connection` is its own until it is given back
 * or lost (then NULL, and `lost` says why). Belongs to the task that entered it. */
struct aw_pg_lease {
    TAILQ_ENTRY(aw_pg_lease) link;
    struct aw_pg_pool *pool;
    struct pg_connection *connection;
    bool waiting;
    bool in_transaction;      /* when the connection was last heard of */
    struct aw_error lost;
    struct aw_event *changed; /* the owner's: set when `connection` comes, goes or is free again */
};

TAILQ_HEAD(pg_lease_queue, aw_pg_lease);

struct aw_pg_pool {
    struct aw_pg_options options; /* with the defaults filled in; strings are copies */
    PQconninfoOption *settings;   /* the uri, parsed */
    struct aw_group group;
    struct pg_connection_list connections;
    uint32_t connection_count; /* of all states */
    uint32_t opening_count;
    uint32_t open_count;
    struct pg_request_queue waiting;
    uint32_t waiting_count;
    struct pg_lease_queue leases_waiting;
    uint32_t lease_waiting_count;
    bool draining;         /* some connection is */
    uint64_t open_after_ns; /* no additional connection before, since the last try failed */
    uint32_t failures;
    bool up;
    bool closing;
    struct aw_error down; /* why it is not up */
    struct aw_semaphore sessions; /* places for connections of COPY and rows */
};

/* pg_pool.c */
int pg_pool_submit(struct aw_pg_pool *pool, struct pg_request *request, struct aw_error *reterr);
void pg_pool_withdraw(struct aw_pg_pool *pool, struct pg_request *request);
void pg_pool_dispatch(struct aw_pg_pool *pool);
void pg_pool_set_up(struct aw_pg_pool *pool);
void pg_pool_set_down(struct aw_pg_pool *pool, const struct aw_error *why);

/* pg_lease.c */
void pg_lease_dispatch(struct aw_pg_pool *pool);
void pg_lease_fail_waiting(struct aw_pg_pool *pool, const struct aw_error *why);
void pg_lease_connection_gone(struct pg_connection *connection);

/* pg_run.c */
/* Checks one statement for a shared connection, or for a leased one. */
AW_MUST_CHECK int pg_check_statement(const struct aw_pg_statement *statement, bool leased,
                                     const char *where, size_t *size, struct aw_error *reterr);
/* Waits for the end of a request that was submitted or sent. 0, or the interruption. */
AW_MUST_CHECK AW_SUSPENDS int pg_wait_for(struct aw_pg_pool *pool, struct pg_request *request);
/* How a finished request looks to a caller who was (interrupted < 0) or was not interrupted. */
AW_MUST_CHECK int pg_request_result(const struct pg_request *request, int interrupted,
                                    struct aw_error *reterr);
int pg_still_running(struct aw_error *reterr);

/* pg_connection.c */
AW_MUST_CHECK int pg_connection_start(struct aw_pg_pool *pool);
/* How long to wait after so many failures in a row: half of it is random. */
uint64_t pg_backoff_ms(uint32_t failures);
void pg_connection_drop(struct pg_connection *connection, const char *format, ...)
    AW_PRINTF(2, 3);
void pg_connection_send(struct pg_connection *connection, struct pg_request *request);

/* pg_connect.c */
AW_MUST_CHECK int pg_settings_parse(struct aw_pg_pool *pool, struct aw_error *reterr);
/* A non-blocking handle, not in pipeline mode. */
AW_MUST_CHECK AW_SUSPENDS int pg_connect(struct aw_pg_pool *pool, PGconn **ret_handle,
                                         struct aw_error *reterr);

/* pg_request.c */
AW_MUST_CHECK int pg_request_new(struct pg_request **ret_request, const struct aw_pg_run *run,
                                 bool uncached);
void pg_request_free(struct pg_request *request);
AW_MUST_CHECK bool pg_request_send(struct pg_request *request, struct pg_connection *connection);
/* libpq wants strings that end with a NUL: a block, to be freed, with the statement's parameters
 * and its text. NULL without memory. */
const char **pg_statement_copy(const struct aw_pg_statement *statement, const char **ret_sql);
/* Ends it: wakes the caller, or frees it when that has left. It must be in no queue. */
void pg_request_finish(struct pg_request *request, int number);

/* pg_receive.c */
/* The server's error as one line behind `where`. Returns `number`. */
int pg_error_take(struct aw_error *error, int number, const char *where, const PGresult *result);
AW_SUSPENDS void pg_receive(struct pg_connection *connection);
/* How a request ended whose Sync has answered. */
int pg_request_outcome(const struct pg_connection *connection, const struct pg_request *request);

/* pg_tidy.c */
/* Whether the session is to be cleaned before it carries anything else. */
bool pg_tidy_is_due(const struct pg_connection *connection, uint64_t now_ns);
/* When an idle one is; AW_NEVER: it is clean. */
uint64_t pg_tidy_at_ns(const struct pg_connection *connection);
void pg_tidy_send(struct pg_connection *connection);
void pg_tidy_received(struct pg_connection *connection, const struct pg_request *request,
                      int number);

/* pg_sql.c */
/* Past blanks and comments. */
size_t pg_skip_blanks(const char *sql, size_t size);

/* pg_cancel.c */
void pg_cancel_head(struct pg_connection *connection);
/* Asks the server to stop what the session runs. 0: asked; it may come too early to have an effect.
 */
AW_MUST_CHECK AW_SUSPENDS int pg_cancel_send(PGconn *session);
void pg_cancel_connection_gone(struct pg_connection *connection);
void pg_cancel_head_changed(struct pg_connection *connection);

#endif
