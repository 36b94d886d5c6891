/* sqlite_pool.c - connections that are lent one task at a time; see sqlite_pool.h and
 * await/sqlite.h.
 *
 * Checkpoints: coroutines that interleave inside SQLite are concurrent connections to it, and
 * SQLite before 3.51.3 can lose pages when one connection checkpoints while another starts a
 * transaction (the "WAL-reset" bug). So the gate is closed, and every lent connection must be one
 * that cannot begin a transaction: asleep in the SQL function sleep() outside of any, or a session
 * between two statements, which passes the gate before the next. */
#include "clients/sqlite_pool.h"

#include <await/clock.h>
#include <await/scope.h>
#include <await/task.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_DEFAULT 8u
#define CONNECTIONS_MAX 1024u
#define CHECKPOINT_BYTES ((uint64_t)4 << 20)
#define DRAIN_BYTES ((uint64_t)16 << 20)
#define DRAIN_MS 1000u
#define MOVED_CHECK_NS AW_NS_PER_S

int aw_sqlite_pool_new(struct aw_sqlite_pool **ret_pool, const char *path,
                       const struct aw_sqlite_pool_options *options, struct aw_error *reterr)
{
    static const struct aw_sqlite_pool_options defaults;
    if (!options)
        options = &defaults;
    uint32_t max = options->connections_max ? options->connections_max : CONNECTIONS_DEFAULT;
    if (!path || !path[0] || max > CONNECTIONS_MAX || (options->flags & AW_SQLITE_EXCLUSIVE))
        return aw_error_set(reterr, -EINVAL,
                            "a pool needs a path, 1 to 1024 connections, and no exclusive use");

    struct aw_sqlite_pool *pool = calloc(1, sizeof(*pool));
    struct pool_connection *connections = calloc(max, sizeof(*connections));
    char *copy = strdup(path);
    if (!pool || !connections || !copy) {
        free(pool);
        free(connections);
        free(copy);
        return aw_error_set(reterr, -ENOMEM, "cannot make a pool for %s: out of memory", path);
    }
    pool->path = copy;
    pool->connections = connections;
    pool->connections_max = max;
    pool->recovery = RECOVERY_START;
    pool->drain_above = DRAIN_BYTES;
    pool->options = (struct aw_sqlite_options){ .flags = options->flags,
                                                .busy_timeout_ms = options->busy_timeout_ms,
                                                .length_max = options->length_max };
    aw_lock_init(&pool->writer);
    aw_lock_init(&pool->opening);
    aw_semaphore_init(&pool->slots, max);
    aw_event_init(&pool->gate);
    aw_event_set(&pool->gate);
    *ret_pool = pool;
    return 0;
}

/* Closes what is not lent. */
static void close_idle(struct aw_sqlite_pool *pool)
{
    for (uint32_t i = 0; i < pool->connections_max; i++) {
        struct pool_connection *connection = &pool->connections[i];
        if (connection->leased || !connection->database)
            continue;
        struct aw_sqlite *database = connection->database;
        connection->database = NULL; /* before the close suspends: nobody may lend it meanwhile */
        aw_sqlite_close(database);
    }
}

void aw_sqlite_pool_free(struct aw_sqlite_pool *pool)
{
    if (!pool)
        return;
    close_idle(pool);
    free(pool->connections);
    free(pool->path);
    free(pool);
}

static int open_connection(struct aw_sqlite_pool *pool, struct pool_connection *connection,
                           struct aw_error *reterr)
{
    struct aw_sqlite *database;
    int result = aw_sqlite_open(&database, pool->path, &pool->options, reterr);
    if (result < 0)
        return result;
    result = aw_sqlite_execute(database, "PRAGMA foreign_keys=ON", reterr);
    if (result == 0 && pool->recovery != RECOVERY_NONE &&
        !(pool->options.flags & AW_SQLITE_READ_ONLY)) {
        /* What the kernel believes to be clean may not be on the disk: moving it writes it anew. */
        result = aw_sqlite_checkpoint(database, true, reterr);
        if (result == -EBUSY && pool->recovery == RECOVERY_START)
            result = 0; /* another process reads it: it is none of our failures */
    }
    if (result < 0) {
        aw_sqlite_close(database);
        return result;
    }
    pool->recovery = RECOVERY_NONE;
    pool->wal_size = aw_sqlite_wal_size(database);
    connection->database = database;
    return 0;
}

/* A path that leads to another file now (somebody restored a backup): writing on to the old one
 * would lose everything. Looked at once a second. */
static bool has_moved(struct aw_sqlite_pool *pool, struct aw_sqlite *database)
{
    uint64_t now_ns = aw_now_ns();
    if (now_ns - pool->checked_ns < MOVED_CHECK_NS)
        return false;
    pool->checked_ns = now_ns;
    int moved = 0;
    sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

static struct pool_connection *pick(struct aw_sqlite_pool *pool, bool open)
{
    for (uint32_t i = 0; i < pool->connections_max; i++) {
        struct pool_connection *connection = &pool->connections[i];
        if (!connection->leased && (connection->database != NULL) == open)
            return connection;
    }
    return NULL;
}

/* Opens the gate itself when draining took too long. */
int sqlite_pool_pass_gate(struct aw_sqlite_pool *pool)
{
    while (!pool->gate.set) {
        uint64_t until_ns = pool->drain_until_ns ? pool->drain_until_ns : AW_NEVER;
        struct aw_scope scope;
        aw_scope_enter(&scope, until_ns);
        int result = aw_event_wait(&pool->gate);
        bool over = aw_scope_expired(&scope);
        aw_scope_leave(&scope);
        if (result < 0 && !over)
            return result;
        if (over && pool->drain_until_ns != 0 && aw_now_ns() >= pool->drain_until_ns) {
            pool->drain_until_ns = 0;
            pool->drain_above = pool->wal_size + DRAIN_BYTES;
            aw_event_set(&pool->gate);
        }
    }
    return 0;
}

/* With `opening` held and nothing lent: begins from scratch. */
static int lease_recovering(struct aw_sqlite_pool *pool, struct pool_connection **ret_connection,
                            struct aw_error *reterr)
{
    if (pool->recovery == RECOVERY_FAILED && pool->leased > 0)
        return aw_error_set(reterr, -EAGAIN,
                            "%s is being recovered after a failed write: try again", pool->path);
    close_idle(pool);
    struct pool_connection *connection = pick(pool, false);
    connection->leased = true;
    pool->leased++;
    int result = open_connection(pool, connection, reterr);
    if (result < 0) {
        connection->leased = false;
        pool->leased--;
        return result;
    }
    *ret_connection = connection;
    return 0;
}

static int lease_slot(struct aw_sqlite_pool *pool, struct pool_connection **ret_connection,
                      struct aw_error *reterr)
{
    while (pool->recovery != RECOVERY_NONE) {
        int result = aw_lock_acquire(&pool->opening);
        if (result < 0)
            return aw_error_set(reterr, result, "interrupted");
        bool mine = pool->recovery != RECOVERY_NONE;
        if (mine)
            result = lease_recovering(pool, ret_connection, reterr);
        aw_lock_release(&pool->opening);
        if (mine)
            return result;
    }

    struct pool_connection *connection = pick(pool, true);
    if (connection && has_moved(pool, connection->database)) {
        close_idle(pool);
        connection = NULL;
    }
    if (!connection || connection->leased)
        connection = pick(pool, true);
    if (!connection)
        connection = pick(pool, false);
    connection->leased = true; /* before the open suspends */
    pool->leased++;
    int result = connection->database ? 0 : open_connection(pool, connection, reterr);
    if (result < 0) {
        connection->leased = false;
        pool->leased--;
        return result;
    }
    *ret_connection = connection;
    return 0;
}

int sqlite_pool_lease(struct aw_sqlite_pool *pool, struct pool_connection **ret_connection,
                      struct aw_error *reterr)
{
    int result = aw_semaphore_acquire(&pool->slots);
    if (result < 0)
        return aw_error_set(reterr, result, "interrupted while waiting for a connection to %s",
                            pool->path);
    result = sqlite_pool_pass_gate(pool);
    if (result < 0)
        aw_error_set(reterr, result, "interrupted while waiting for a checkpoint of %s",
                     pool->path);
    else
        result = lease_slot(pool, ret_connection, reterr);
    if (result < 0)
        aw_semaphore_release(&pool->slots);
    return result;
}

/* Whether no connection but `own` is in a transaction or can begin one; see the head. */
static bool others_are_quiet(const struct aw_sqlite_pool *pool, const struct pool_connection *own)
{
    for (uint32_t i = 0; i < pool->connections_max; i++) {
        const struct pool_connection *other = &pool->connections[i];
        if (other == own || !other->leased || other->resting)
            continue;
        if (!other->database || !other->database->sleeping ||
            sqlite3_txn_state(other->database->handle, NULL) != SQLITE_TXN_NONE)
            return false;
    }
    return true;
}

static void checkpoint_if_due(struct aw_sqlite_pool *pool, struct pool_connection *connection)
{
    bool draining = pool->drain_until_ns != 0;
    if (pool->wal_size < CHECKPOINT_BYTES || (!pool->gate.set && !draining))
        return;
    if (!others_are_quiet(pool, connection)) {
        if (!draining && pool->wal_size > pool->drain_above) {
            pool->drain_until_ns = aw_after_ms(DRAIN_MS);
            aw_event_clear(&pool->gate);
        }
        return;
    }
    pool->drain_until_ns = 0;
    aw_event_clear(&pool->gate);
    /* A failure loses nothing: the WAL keeps it all, and the connection says that it failed. */
    if (aw_sqlite_checkpoint(connection->database, false, NULL) == 0) {
        pool->wal_size = aw_sqlite_wal_size(connection->database);
        pool->drain_above = pool->wal_size + DRAIN_BYTES;
    }
    aw_event_set(&pool->gate);
}

void sqlite_pool_roll_back(struct aw_sqlite *database)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    if (aw_sqlite_execute(database, "ROLLBACK", NULL) < 0)
        database->failed = true; /* nobody else may get it with a transaction open */
    aw_scope_leave(&shield);
}

/* Sessions that rest would keep the recovery waiting until their deadlines. */
static void begin_recovery(struct aw_sqlite_pool *pool)
{
    pool->recovery = RECOVERY_FAILED;
    for (uint32_t i = 0; i < pool->connections_max; i++)
        if (pool->connections[i].lost)
            aw_event_set(pool->connections[i].lost);
}

void sqlite_pool_release(struct aw_sqlite_pool *pool, struct pool_connection *connection)
{
    struct aw_sqlite *database = connection->database;
    if (!aw_sqlite_failed(database) && !sqlite3_get_autocommit(database->handle))
        sqlite_pool_roll_back(database);
    if (!aw_sqlite_failed(database))
        checkpoint_if_due(pool, connection);

    if (aw_sqlite_failed(database)) {
        begin_recovery(pool);
        connection->database = NULL;
        aw_sqlite_close(database);
    }
    connection->leased = false;
    pool->leased--;
    aw_semaphore_release(&pool->slots);
}
