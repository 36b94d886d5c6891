/* pg_pool.c - who gets which connection.
 *
 * In this order: an idle connection; one more connection while there may be more; one that is free
 * in a moment; else the least loaded one, behind others, but never behind a head that has run for
 * PG_SLOW_NS, since waiting here can be taken back and waiting there cannot. How many may be in
 * flight on a connection starts at one and doubles with each quick answer (pg_receive.c): a burst
 * of slow statements is spread over the connections one by one, a burst of quick ones fills the
 * pipelines.
 *
 * Up and down: up once a connection works, down when an attempt fails while none is open. While
 * it is down runs fail at once; the last connection's task keeps trying. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_open_to_all(const struct pg_connection *connection)
{
    return connection->state == PG_CONNECTION_OPEN && !connection->broken &&
           !connection->retiring && connection->lease == NULL && !connection->draining;
}

static bool takes_more(const struct pg_connection *connection, const struct pg_request *request)
{
    return is_open_to_all(connection) && connection->cancel == NULL &&
           (connection->in_flight_count == 0 ||
            (connection->in_flight_count < connection->depth &&
             connection->in_flight_size + request->size_bytes <=
                 connection->pool->options.in_flight_size_max));
}

/* What it did is over; only the cancelling of that or the cleaning behind it is not. */
static bool is_free_in_a_moment(const struct pg_connection *connection)
{
    const struct pg_request *head = TAILQ_FIRST(&connection->in_flight);
    return is_open_to_all(connection) &&
           (head == NULL ? connection->cancel != NULL
                         : head->tidies && connection->in_flight_count == 1);
}

/* An idle one if there is any, else the least loaded. Never behind a head that is slow. */
static struct pg_connection *find_connection(struct aw_pg_pool *pool,
                                             const struct pg_request *request,
                                             uint32_t *ret_free_in_a_moment)
{
    struct pg_connection *best = NULL;
    struct pg_connection *connection = NULL;
    uint64_t now_ns = aw_now_ns();
    *ret_free_in_a_moment = 0;
    TAILQ_FOREACH(connection, &pool->connections, link) {
        *ret_free_in_a_moment += is_free_in_a_moment(connection);
        if ((best != NULL && connection->in_flight_count >= best->in_flight_count) ||
            !takes_more(connection, request)) {
            continue;
        }
        if (connection->in_flight_count == 0) {
            return connection;
        }
        if (now_ns - connection->head_since_ns < PG_SLOW_NS) {
            best = connection;
        }
    }
    return best;
}

static void finish_waiting(struct aw_pg_pool *pool, const struct aw_error *why)
{
    for (struct pg_request *request; (request = TAILQ_FIRST(&pool->waiting)) != NULL;) {
        pg_pool_withdraw(pool, request);
        request->error = *why;
        pg_request_finish(request, -ENOTCONN);
    }
}

void pg_pool_dispatch(struct aw_pg_pool *pool)
{
    pg_lease_dispatch(pool);
    for (struct pg_request *request; (request = TAILQ_FIRST(&pool->waiting)) != NULL;) {
        uint32_t free_in_a_moment;
        struct pg_connection *connection = find_connection(pool, request, &free_in_a_moment);
        if (connection == NULL || connection->in_flight_count > 0) {
            uint32_t wanted = pool->waiting_count + pool->lease_waiting_count;
            if (pool->opening_count >= wanted) {
                return; /* each of them will have a connection of its own in a moment */
            }
            if (pool->connection_count < pool->options.connections && !pool->closing &&
                aw_now_ns() >= pool->open_after_ns && pg_connection_start(pool) == 0) {
                continue;
            }
            if (pool->opening_count + free_in_a_moment >= wanted) {
                return;
            }
        }
        if (connection == NULL) {
            return;
        }
        pg_pool_withdraw(pool, request);
        pg_connection_send(connection, request);
    }
}

int pg_pool_submit(struct aw_pg_pool *pool, struct pg_request *request, struct aw_error *reterr)
{
    if (!pool->up) {
        return aw_error_set_code(reterr, -ENOTCONN, pool->down.code, "%s", pool->down.message);
    }
    if (pool->waiting_count >= pool->options.waiting_max) {
        return aw_error_set(reterr, -ENOBUFS, "%u statements wait for a connection already",
                            pool->waiting_count);
    }
    request->state = PG_REQUEST_WAITING;
    TAILQ_INSERT_TAIL(&pool->waiting, request, link);
    pool->waiting_count++;
    pg_pool_dispatch(pool);
    return 0;
}

void pg_pool_withdraw(struct aw_pg_pool *pool, struct pg_request *request)
{
    TAILQ_REMOVE(&pool->waiting, request, link);
    pool->waiting_count--;
}

void pg_pool_set_up(struct aw_pg_pool *pool)
{
    bool news = !pool->up;
    pool->up = true;
    pool->open_after_ns = 0;
    if (news && pool->options.changed != NULL) {
        pool->options.changed(pool->options.context, true, "");
    }
}

void pg_pool_set_down(struct aw_pg_pool *pool, const struct aw_error *why)
{
    bool news = pool->up || strcmp(pool->down.message, why->message) != 0;
    pool->up = false;
    pool->down = *why;
    finish_waiting(pool, why);
    pg_lease_fail_waiting(pool, why);
    if (news && pool->options.changed != NULL) {
        pool->options.changed(pool->options.context, false, why->message);
    }
}

bool aw_pg_pool_is_up(const struct aw_pg_pool *pool)
{
    return pool->up;
}

static bool is_quiet(const struct pg_connection *connection, uint64_t since_ns)
{
    const struct pg_request *oldest = TAILQ_FIRST(&connection->in_flight);
    if (connection->state != PG_CONNECTION_OPEN || connection->broken) {
        return false;
    }
    /* a lease begins with nothing in flight, and what it sends is its own */
    return oldest == NULL || connection->lease != NULL || oldest->sent_ns >= since_ns;
}

uint32_t aw_pg_pool_quiet_sessions(const struct aw_pg_pool *pool, uint64_t since_ns,
                                   struct aw_pg_session *ret_sessions, uint32_t max)
{
    uint32_t count = 0;
    const struct pg_connection *connection = NULL;
    TAILQ_FOREACH(connection, &pool->connections, link) {
        if (count == max || !is_quiet(connection, since_ns)) {
            continue;
        }
        struct aw_pg_session *session = &ret_sessions[count++];
        const char *name = PQparameterStatus(connection->handle, "application_name");
        session->pid = PQbackendPID(connection->handle);
        snprintf(session->name, sizeof session->name, "%s", name != NULL ? name : "");
    }
    return count;
}

/* --- creation -------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t value, uint32_t standard)
{
    return value > 0 ? value : standard;
}

/* Options with their defaults, and copies of the strings. */
static int fill_options(struct aw_pg_pool *pool, const struct aw_pg_options *options)
{
    struct aw_pg_options *own = &pool->options;
    *own = *options;
    own->connections = or_default(options->connections, 8);
    own->pipeline = or_default(options->pipeline, 16);
    own->waiting_max = or_default(options->waiting_max, 65536);
    own->connect_timeout_ms = or_default(options->connect_timeout_ms, 5000);
    own->idle_timeout_ms = or_default(options->idle_timeout_ms, 300000);
    own->cached_statements = or_default(options->cached_statements, 100);
    own->in_flight_size_max =
        options->in_flight_size_max > 0 ? options->in_flight_size_max : 1u << 20;
    own->session_connections = or_default(options->session_connections, 4);
    own->uri = strdup(options->uri != NULL ? options->uri : "");
    own->application_name =
        strdup(options->application_name != NULL ? options->application_name : "libawait");
    own->password = options->password != NULL ? strdup(options->password) : NULL;
    bool complete = own->uri != NULL && own->application_name != NULL &&
                    (own->password != NULL || options->password == NULL);
    return complete ? 0 : -ENOMEM;
}

static void free_pool(struct aw_pg_pool *pool)
{
    if (pool->options.password != NULL) {
        explicit_bzero((char *)(uintptr_t)pool->options.password, strlen(pool->options.password));
    }
    free((void *)(uintptr_t)pool->options.password);
    free((void *)(uintptr_t)pool->options.uri);
    free((void *)(uintptr_t)pool->options.application_name);
    PQconninfoFree(pool->settings);
    free(pool);
}

int aw_pg_pool_create(struct aw_pg_pool **ret_pool, const struct aw_pg_options *options,
                      struct aw_error *reterr)
{
    struct aw_pg_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    aw_group_init(&pool->group, AW_GROUP_COLLECT);
    TAILQ_INIT(&pool->connections);
    TAILQ_INIT(&pool->waiting);
    TAILQ_INIT(&pool->leases_waiting);
    pool->up = true; /* until the contrary is known */
    int status = fill_options(pool, options);
    aw_semaphore_init(&pool->sessions, pool->options.session_connections);
    if (status == 0) {
        status = pg_settings_parse(pool, reterr);
    } else {
        aw_error_set(reterr, status, "out of memory");
    }
    if (status == 0) {
        status = pg_connection_start(pool);
        if (status < 0) {
            aw_error_set(reterr, status, "no task for the connection: %s", aw_error_text(status));
        }
    }
    if (status < 0) {
        free_pool(pool);
        return status;
    }
    *ret_pool = pool;
    return 0;
}

void aw_pg_pool_free(struct aw_pg_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pool->closing = true;
    aw_group_cancel(&pool->group);
    struct aw_scope scope;
    /* Without a deadline: its tasks are cancelled and end without waiting for the server. */
    aw_shield_enter(&scope, AW_NEVER);
    int ended = aw_group_wait(&pool->group);
    (void)ended; /* how the cancelled tasks ended says nothing */
    aw_scope_leave(&scope);
    struct aw_error closed = {0};
    aw_error_set(&closed, -ENOTCONN, "the connection pool was closed");
    finish_waiting(pool, &closed);
    pg_lease_fail_waiting(pool, &closed);
    free_pool(pool);
}
