/* pg_lease.c - a connection for one task alone.
 *
 * waiting -> granted -> given back, or lost with its connection.
 *
 * A lease takes an idle connection, or a new one while there may be more; else the least loaded
 * one gets nothing new (`draining`) until nothing is in flight on it, so that a pool that is never
 * idle still grants leases. Leases are granted in the order they came.
 *
 * Nothing on a leased connection is prepared by us: the owner may say DEALLOCATE ALL, and a
 * statement that is sent again would find its transaction gone. The connection goes back only when
 * the server has confirmed that the session is as new; any doubt closes it. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLEAN_MS 5000u

/* --- granting -------------------------------------------------------------------------- */

static bool may_serve(const struct pg_connection *connection)
{
    return connection->state == PG_CONNECTION_OPEN && !connection->broken &&
           !connection->retiring && connection->lease == NULL;
}

static struct pg_connection *find_free(struct aw_pg_pool *pool)
{
    struct pg_connection *found = NULL;
    struct pg_connection *connection = NULL;
    TAILQ_FOREACH(connection, &pool->connections, link) {
        if (!may_serve(connection) || connection->in_flight_count > 0 ||
            connection->cancel != NULL) {
            continue;
        }
        if (connection->draining) {
            return connection;
        }
        found = found != NULL ? found : connection;
    }
    return found;
}

static void stop_waiting(struct aw_pg_lease *lease)
{
    TAILQ_REMOVE(&lease->pool->leases_waiting, lease, link);
    lease->pool->lease_waiting_count--;
    lease->waiting = false;
}

static void grant(struct aw_pg_lease *lease, struct pg_connection *connection)
{
    stop_waiting(lease);
    lease->connection = connection;
    connection->lease = lease;
    connection->draining = false;
    connection->transaction = PQTRANS_IDLE;
    aw_event_set(lease->changed);
}

static struct pg_connection *find_to_drain(struct aw_pg_pool *pool)
{
    struct pg_connection *best = NULL;
    struct pg_connection *connection = NULL;
    TAILQ_FOREACH(connection, &pool->connections, link) {
        if (may_serve(connection) && !connection->draining &&
            (best == NULL || connection->in_flight_count < best->in_flight_count)) {
            best = connection;
        }
    }
    return best;
}

/* Connections on their way to the leases that wait: new ones, and draining ones for the rest. */
static void make_room(struct aw_pg_pool *pool)
{
    uint32_t needed = pool->lease_waiting_count;
    while (pool->opening_count < needed && !pool->closing &&
           pool->connection_count < pool->options.connections &&
           aw_now_ns() >= pool->open_after_ns && pg_connection_start(pool) == 0) {
    }
    needed -= needed < pool->opening_count ? needed : pool->opening_count;
    pool->draining = needed > 0;
    struct pg_connection *connection = NULL;
    TAILQ_FOREACH(connection, &pool->connections, link) {
        connection->draining = connection->draining && needed > 0;
        needed -= connection->draining;
    }
    while (needed > 0 && (connection = find_to_drain(pool)) != NULL) {
        connection->draining = true;
        needed--;
    }
}

void pg_lease_dispatch(struct aw_pg_pool *pool)
{
    if (pool->lease_waiting_count == 0 && !pool->draining) {
        return; /* as it is nearly always: this runs at every answer */
    }
    struct pg_connection *connection = NULL;
    struct aw_pg_lease *lease = NULL;
    while ((lease = TAILQ_FIRST(&pool->leases_waiting)) != NULL &&
           (connection = find_free(pool)) != NULL) {
        grant(lease, connection);
    }
    make_room(pool);
}

void pg_lease_fail_waiting(struct aw_pg_pool *pool, const struct aw_error *why)
{
    for (struct aw_pg_lease *lease; (lease = TAILQ_FIRST(&pool->leases_waiting)) != NULL;) {
        stop_waiting(lease);
        lease->lost = *why;
        aw_event_set(lease->changed);
    }
}

void pg_lease_connection_gone(struct pg_connection *connection)
{
    struct aw_pg_lease *lease = connection->lease;
    connection->draining = false;
    if (lease == NULL) {
        return;
    }
    lease->in_transaction = connection->transaction != PQTRANS_IDLE;
    lease->lost = connection->lost;
    lease->connection = NULL;
    connection->lease = NULL;
    aw_event_set(lease->changed);
}

/* --- the owner's side ------------------------------------------------------------------ */

/* 0 once it has a connection or has lost its chance; or the interruption. */
static int wait_granted(struct aw_pg_lease *lease)
{
    int status = 0;
    while (lease->waiting && status == 0) {
        aw_event_clear(lease->changed);
        status = aw_event_wait(lease->changed);
    }
    return lease->waiting ? status : 0;
}

int aw_pg_lease_enter(struct aw_pg_pool *pool, struct aw_event *changed,
                      struct aw_pg_lease **ret_lease, struct aw_error *reterr)
{
    if (!pool->up) {
        return aw_error_set_code(reterr, -ENOTCONN, pool->down.code, "%s", pool->down.message);
    }
    struct aw_pg_lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    lease->pool = pool;
    lease->changed = changed;
    lease->waiting = true;
    TAILQ_INSERT_TAIL(&pool->leases_waiting, lease, link);
    pool->lease_waiting_count++;
    pg_pool_dispatch(pool);
    int status = wait_granted(lease);
    if (lease->connection != NULL) {
        *ret_lease = lease;
        return 0;
    }
    if (status < 0) {
        stop_waiting(lease);
        pg_pool_dispatch(pool); /* what drains for it may serve others again */
        aw_error_set(reterr, status, "no connection was free before");
    } else {
        status = aw_error_set_code(reterr, -ENOTCONN, lease->lost.code, "%s", lease->lost.message);
    }
    free(lease);
    return status;
}

/* A cancel that is under way could hit the next statement. */
static int wait_sendable(struct aw_pg_lease *lease, struct aw_error *reterr)
{
    int status = aw_interrupted();
    while (status == 0 && lease->connection != NULL &&
           (lease->connection->cancel != NULL || lease->connection->in_flight_count > 0)) {
        aw_event_clear(lease->changed);
        status = aw_event_wait(lease->changed);
    }
    if (lease->connection == NULL || lease->connection->broken) {
        const struct aw_error *lost =
            lease->connection != NULL ? &lease->connection->lost : &lease->lost;
        return aw_error_set_code(reterr, -ENOTCONN, lost->code, "%s", lost->message);
    }
    return status < 0 ? aw_error_set_code(reterr, status, "57014", "interrupted: not executed") : 0;
}

static int run_alone(struct aw_pg_lease *lease, const struct aw_pg_run *run,
                     struct aw_pg_results **ret_results, struct aw_error *reterr)
{
    struct pg_request *request = NULL;
    int status = pg_request_new(&request, run, true);
    if (status < 0) {
        return aw_error_set(reterr, status, "out of memory");
    }
    pg_connection_send(lease->connection, request);
    int interrupted = pg_wait_for(lease->pool, request);
    if (request->state == PG_REQUEST_SENT) {
        request->abandoned = true; /* its connection frees it */
        return pg_still_running(reterr);
    }
    status = pg_request_result(request, interrupted, reterr);
    if (status == 0 && ret_results != NULL) {
        *ret_results = request->results;
        request->results = NULL;
    }
    pg_request_free(request);
    return status;
}

int aw_pg_lease_run(struct aw_pg_lease *lease, const struct aw_pg_statement *statement,
                    size_t result_size_max, struct aw_pg_results **ret_results,
                    struct aw_error *reterr)
{
    size_t size = 0;
    int status = pg_check_statement(statement, true, "", &size, reterr);
    if (status == 0) {
        status = wait_sendable(lease, reterr);
    }
    if (status < 0) {
        return status;
    }
    const struct aw_pg_run run = {
        .statements = statement,
        .statement_count = 1,
        .result_size_max = result_size_max,
    };
    return run_alone(lease, &run, ret_results, reterr);
}

bool aw_pg_lease_is_alive(const struct aw_pg_lease *lease, struct aw_error *reterr)
{
    if (lease->connection != NULL && !lease->connection->broken) {
        return true;
    }
    if (reterr != NULL) {
        *reterr = lease->connection != NULL ? lease->connection->lost : lease->lost;
    }
    return false;
}

/* --- giving it back -------------------------------------------------------------------- */

static int run_text(struct aw_pg_lease *lease, const char *sql, struct aw_error *reterr)
{
    const struct aw_pg_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    return aw_pg_lease_run(lease, &statement, 0, NULL, reterr);
}

static void clean(struct aw_pg_lease *lease)
{
    struct aw_error error = {0};
    struct aw_scope scope;
    aw_shield_enter(&scope, aw_after_ms(CLEAN_MS));
    int status = wait_sendable(lease, &error);
    if (status == 0 && lease->connection->transaction != PQTRANS_IDLE) {
        lease->in_transaction = true;
        status = run_text(lease, "ROLLBACK", &error);
    }
    if (status == 0) {
        status = run_text(lease, "DISCARD ALL", &error);
    }
    aw_scope_leave(&scope);
    struct pg_connection *connection = lease->connection;
    if (connection == NULL) {
        return;
    }
    if (status < 0 || connection->transaction != PQTRANS_IDLE) {
        pg_connection_drop(connection, "a leased session could not be made as new: %s",
                           error.message);
    } else if (connection->retiring) {
        pg_connection_drop(connection, "replaced after a lease");
    }
    /* DISCARD ALL has dropped what was prepared before the lease. */
    pg_statement_cache_clear(&connection->cache);
    pg_statement_cache_init(&connection->cache, lease->pool->options.no_statement_cache
                                                    ? 0
                                                    : lease->pool->options.cached_statements);
    connection->idle_since_ns = aw_now_ns();
    connection->lease = NULL;
}

bool aw_pg_lease_exit(struct aw_pg_lease *lease)
{
    if (lease->connection != NULL) {
        clean(lease);
    }
    bool was_open = lease->in_transaction;
    pg_pool_dispatch(lease->pool);
    free(lease);
    return was_open;
}
