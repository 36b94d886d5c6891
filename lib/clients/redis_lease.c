/* redis_lease.c - a connection for one task alone, for MULTI, WATCH and what else belongs to a
 * connection.
 *
 * It is opened for the lease and closed with it: then nothing of it can be left for anybody, and
 * Redis discards an open MULTI by itself. So its lane lends no connection; a slot is only room for
 * one. */
#include "clients/redis_pool.h"
#include "clients/redis_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- the connection's side ------------------------------------------------------------- */

void redis_lease_ready(struct redis_connection *connection)
{
    if (connection->lease) aw_event_set(connection->lease->changed);
}

/* It has closed, or could not be opened: the slot is free for the next. */
void redis_lease_gone(struct redis_connection *connection, const char *reason)
{
    struct aw_redis_lease *lease = connection->lease;
    if (!lease) return;
    connection->lease = NULL;
    lease->connection = NULL;
    aw_error_set_code(&lease->lost, -ENOTCONN, "UNAVAILABLE", "%s", reason);
    aw_event_set(lease->changed);
}

/* --- the owner's side ------------------------------------------------------------------ */

static struct redis_connection *find_slot(struct aw_redis_pool *pool)
{
    struct redis_lane_state *lane = &pool->lanes[REDIS_LANE_LEASED];
    for (uint32_t i = 0; i < lane->size; i++)
        if (lane->connections[i].state == REDIS_CONNECTION_CLOSED) return &lane->connections[i];
    return NULL;
}

static int open_connection(struct aw_redis_pool *pool, struct aw_redis_lease *lease,
                           struct aw_error *reterr)
{
    struct redis_connection *connection = find_slot(pool);
    if (!connection)
        return aw_error_set(reterr, -EBUSY, "all connections for leases are in use");
    connection->state = REDIS_CONNECTION_OPENING;
    connection->retiring = false;
    connection->broken = 0;
    connection->lease = lease;
    lease->connection = connection;
    int result = aw_group_spawn(&pool->group, redis_connection_run, connection);
    if (result == 0) return 0;
    connection->state = REDIS_CONNECTION_CLOSED;
    connection->lease = NULL;
    return aw_error_set(reterr, result, "no task for the connection: %s", aw_error_text(result));
}

static bool is_opening(const struct aw_redis_lease *lease)
{
    return lease->connection && lease->connection->state == REDIS_CONNECTION_OPENING;
}

/* Waits until the connection is ready or gone. */
static int wait_open(struct aw_redis_lease *lease)
{
    int result = 0;
    while (is_opening(lease) && result == 0) {
        aw_event_clear(lease->changed);
        result = aw_event_wait(lease->changed);
    }
    return is_opening(lease) ? result : 0;
}

/* Closes the connection and waits until its slot is free. */
static void close_connection(struct aw_redis_lease *lease)
{
    if (!lease->connection) return;
    redis_connection_break(lease->connection, -ESHUTDOWN, "the lease has ended");
    struct aw_scope shield; /* closing waits for nobody */
    aw_shield_enter(&shield, AW_NEVER);
    while (lease->connection) {
        aw_event_clear(lease->changed);
        if (aw_event_wait(lease->changed) < 0) break;
    }
    aw_scope_leave(&shield);
}

int aw_redis_lease_enter(struct aw_redis_pool *pool, struct aw_event *changed,
                         struct aw_redis_lease **ret_lease, struct aw_error *reterr)
{
    int result = aw_interrupted();
    if (result < 0) return aw_error_set(reterr, result, "interrupted before connecting");
    if (pool->cluster)
        return aw_error_set(reterr, -EOPNOTSUPP,
                            "a cluster has no leases, since a connection is to one of its nodes "
                            "only; use a script (EVAL), or a pool of that node alone");
    if (!pool->up || pool->closing)
        return aw_error_set(reterr, pool->closing ? -ESHUTDOWN : -ENOTCONN, "%s",
                            pool->closing ? "the Redis pool is being closed" : pool->down_reason);
    struct aw_redis_lease *lease = calloc(1, sizeof *lease);
    if (!lease) return aw_error_set(reterr, -ENOMEM, "no memory for a lease");
    lease->pool = pool;
    lease->changed = changed;
    result = open_connection(pool, lease, reterr);
    if (result == 0) {
        result = wait_open(lease);
        if (result < 0) {
            close_connection(lease);
            aw_error_set(reterr, result, "interrupted while connecting");
        } else if (!lease->connection) {
            result = aw_error_set(reterr, -ENOTCONN, "%s", lease->lost.message);
        }
    }
    if (result < 0) {
        free(lease);
        return result;
    }
    *ret_lease = lease;
    return 0;
}

static bool is(const char *argument, size_t size, const char *word)
{
    return size == strlen(word) && strncasecmp(argument, word, size) == 0;
}

/* After a command was answered: is a transaction open? */
static void note_transaction(struct aw_redis_lease *lease, const char *name, size_t size,
                             int result, const struct aw_error *error)
{
    bool aborted = result == -EREMOTEIO && strcmp(error->code, "EXECABORT") == 0;
    if (is(name, size, "MULTI") && result == 0)
        lease->in_transaction = true;
    else if ((is(name, size, "EXEC") || is(name, size, "DISCARD")) && (result == 0 || aborted))
        lease->in_transaction = false;
}

int aw_redis_lease_command(struct aw_redis_lease *lease, size_t count,
                           const char *const arguments[], const size_t sizes[],
                           size_t reply_size_max, struct aw_redis_reply **ret_reply,
                           struct aw_error *reterr)
{
    struct redis_command *command = NULL;
    int result = aw_redis_lease_check(count, arguments, sizes, reterr);
    if (result == 0 && !aw_redis_lease_is_alive(lease, reterr)) result = reterr->number;
    if (result == 0)
        result = redis_command_make(lease->pool, count, arguments, sizes, reply_size_max, &command,
                                    reterr);
    if (result < 0) return result;
    struct redis_connection *connection = lease->connection;
    redis_connection_queue(connection, command);
    result = aw_event_wait(&command->answered);
    if (command->state != REDIS_ANSWERED) {
        /* nobody would know what the next reply belongs to, or whether it still comes */
        redis_connection_break(connection, -ESHUTDOWN, "its command was given up");
        return redis_command_leave(command, result, reterr);
    }
    result = command->result;
    if (result == 0) *ret_reply = command->reply;
    free(command);
    note_transaction(lease, arguments[0], sizes[0], result, reterr);
    return result;
}

bool aw_redis_lease_is_alive(const struct aw_redis_lease *lease, struct aw_error *reterr)
{
    const struct redis_connection *connection = lease->connection;
    if (connection && !connection->broken && connection->state == REDIS_CONNECTION_READY)
        return true;
    if (connection)
        aw_error_set(reterr, -ENOTCONN, "%s", connection->broken_reason);
    else
        *reterr = lease->lost;
    return false;
}

bool aw_redis_lease_exit(struct aw_redis_lease *lease)
{
    close_connection(lease);
    bool was_open = lease->in_transaction;
    free(lease);
    return was_open;
}
