/* sqlite_pool.h - the inside of a pool: sqlite_pool.c lends connections, sqlite_query.c runs
 * queries on them, sqlite_session.c lends one for several statements.
 *
 * Order of what a query takes: the writer lock (if it writes), then a connection. Never the other
 * way round: a writer that waits for the lock with a connection in hand would keep from it the
 * one it waits for. */
#ifndef CLIENTS_SQLITE_POOL_H
#define CLIENTS_SQLITE_POOL_H

#include "clients/sqlite_database.h"

#include <await/sync.h>

enum pool_recovery {
    RECOVERY_NONE,
    RECOVERY_START,  /* nothing is open: move what a crash left in the WAL, if others let us */
    RECOVERY_FAILED, /* a write failed: the WAL must be moved before anybody is served */
};

struct pool_connection {
    struct aw_sqlite *database; /* NULL: not open */
    bool leased;
    bool resting;          /* a session's, in no transaction and between statements */
    struct aw_event *lost; /* a session's: to be set when its pool begins to recover */
};

struct aw_sqlite_pool {
    char *path;
    struct aw_sqlite_options options;
    struct pool_connection *connections;
    uint32_t connections_max;
    uint32_t leased;
    enum pool_recovery recovery;

    struct aw_lock writer;
    struct aw_lock opening;       /* recovery is one task's work */
    struct aw_semaphore slots;    /* one for each connection that may be lent */
    struct aw_event gate;         /* set: connections are lent. Cleared while a checkpoint runs, or
                                     while one waits for the connections to come back */
    uint64_t drain_until_ns;      /* when waiting for that ends; 0 when nobody waits */
    uint64_t wal_size;            /* as of the last commit or checkpoint of any connection */
    uint64_t drain_above;         /* the WAL's size from which connections are held back */
    uint64_t checked_ns;          /* when the path was last compared with what is open */
};

/* Waits for a connection and opens it if need be. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_pool_lease(struct aw_sqlite_pool *pool,
                                                struct pool_connection **ret_connection,
                                                struct aw_error *reterr);

/* Waits while a checkpoint keeps everybody from beginning a transaction. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_pool_pass_gate(struct aw_sqlite_pool *pool);

/* Also when the task is cancelled, which would stop any other statement. */
AW_SUSPENDS void sqlite_pool_roll_back(struct aw_sqlite *database);

/* Gives it back; rolls back what is left open, drops a failed one, checkpoints when it is time. */
AW_SUSPENDS void sqlite_pool_release(struct aw_sqlite_pool *pool,
                                     struct pool_connection *connection);

/* --- sqlite_query.c -------------------------------------------------------------------- */

struct sqlite_query {
    struct aw_sqlite_pool *pool;
    const struct aw_sqlite_statement *statements;
    unsigned count;
    const struct aw_sqlite_receiver *receiver;
    struct aw_error *error;
    bool writer; /* holds the writer lock */
};

#define SQLITE_BEGIN_AGAIN_AS_WRITER 1

/* Prepares and runs statement `index`. With `wrap` a single writing statement that gives rows
 * gets a transaction, since stopping it while it still has rows to give would commit it.
 * SQLITE_BEGIN_AGAIN_AS_WRITER: it writes and the query is no writer; nothing has happened. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_query_run_statement(struct sqlite_query *query,
                                                         struct aw_sqlite *database,
                                                         unsigned index, bool wrap);

/* Waits for pool->writer. -ENOSPC: the WAL is too large to write more. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_pool_become_writer(struct aw_sqlite_pool *pool,
                                                        struct aw_error *reterr);

#endif
