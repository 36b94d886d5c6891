/* pg_connection.c - one connection's life.
 *
 * opening -> open -> closed, by one task that also reads; a child of it writes what the socket
 * did not take at once, so that a full socket never keeps the answers from being read. The task
 * ends when the connection does, except the pool's last one: that tries again, with backoff,
 * until the pool closes. So an idle pool knows whether its server is there. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pg_connection_drop(struct pg_connection *connection, const char *format, ...)
{
    if (connection->broken) {
        return; /* the first reason counts */
    }
    char reason[AW_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    aw_error_set_code(&connection->lost, -ECONNRESET, "08006", "%s", reason);
    connection->broken = true;
    if (connection->is_serving) {
        aw_scope_cancel(&connection->serving);
    }
}

static void send_request(struct pg_connection *connection, struct pg_request *request,
                         uint64_t now_ns)
{
    if (TAILQ_EMPTY(&connection->in_flight)) {
        connection->head_since_ns = now_ns;
    }
    request->state = PG_REQUEST_SENT;
    request->connection = connection;
    request->sent_ns = now_ns;
    TAILQ_INSERT_TAIL(&connection->in_flight, request, link);
    connection->in_flight_count++;
    connection->in_flight_size += request->size_bytes;
    if (!pg_request_send(request, connection)) {
        /* A closed socket is left to the reader: the server may have said why before it closed. */
        if (!request->commit_sent || PQstatus(connection->handle) == CONNECTION_OK) {
            pg_connection_drop(connection, "a statement could not be sent: %s",
                               PQerrorMessage(connection->handle));
        }
    }
    request->run = NULL;
    aw_event_set(&connection->flush_wanted);
}

void pg_connection_send(struct pg_connection *connection, struct pg_request *request)
{
    uint64_t now_ns = aw_now_ns();
    if (request->tidies) {
        send_request(connection, request, now_ns);
        return;
    }
    if (pg_tidy_is_due(connection, now_ns)) {
        pg_tidy_send(connection);
    }
    send_request(connection, request, now_ns);
    if (connection->lease != NULL) {
        return; /* its own until it is given back, as new */
    }
    connection->untidy_since_ns = connection->untidy_since_ns != 0 ? connection->untidy_since_ns
                                                                   : now_ns;
    if (request->may_leave_traces && !connection->broken) {
        pg_tidy_send(connection);
    }
}

static int writer_task(void *argument)
{
    struct pg_connection *connection = argument;
    for (;;) {
        int status = aw_event_wait(&connection->flush_wanted);
        if (status < 0) {
            return status;
        }
        aw_event_clear(&connection->flush_wanted);
        for (int left; (left = PQflush(connection->handle)) != 0;) {
            if (left < 0) {
                pg_connection_drop(connection, "%s", PQerrorMessage(connection->handle));
                return -ECONNRESET;
            }
            status = aw_poll(PQsocket(connection->handle), POLLOUT);
            if (status < 0) {
                return status;
            }
        }
    }
}

/* With TLS a part of a record can be left inside the library, where no poll sees it: its buffer
 * grows at each call, so that two more take the largest record. */
static bool consume(struct pg_connection *connection)
{
    int times = PQsslInUse(connection->handle) ? 3 : 1;
    for (int i = 0; i < times; i++) {
        if (PQconsumeInput(connection->handle) == 0) {
            return false;
        }
    }
    return PQstatus(connection->handle) == CONNECTION_OK;
}

static bool is_idle(const struct pg_connection *connection)
{
    return TAILQ_EMPTY(&connection->in_flight) && connection->lease == NULL;
}

/* What is due in a session that has been idle for a while: it is cleaned; a surplus one retires. */
static void use_idleness(struct pg_connection *connection)
{
    const struct aw_pg_pool *pool = connection->pool;
    uint64_t now_ns = aw_now_ns();
    if (!is_idle(connection)) {
        return;
    }
    if (pool->open_count > 1 && now_ns - connection->idle_since_ns >=
                                    pool->options.idle_timeout_ms * AW_NS_PER_MS) {
        connection->retiring = true;
    } else if (pg_tidy_is_due(connection, now_ns)) {
        pg_tidy_send(connection);
    }
}

static uint64_t idle_until_ns(const struct pg_connection *connection)
{
    const struct aw_pg_pool *pool = connection->pool;
    if (!is_idle(connection)) {
        return AW_NEVER;
    }
    uint64_t retires_ns = pool->open_count > 1
                              ? connection->idle_since_ns +
                                    pool->options.idle_timeout_ms * AW_NS_PER_MS
                              : AW_NEVER;
    uint64_t tidy_ns = pg_tidy_at_ns(connection);
    return tidy_ns < retires_ns ? tidy_ns : retires_ns;
}

/* 0 when there is something to read, or idleness was of use. */
static int wait_readable(struct pg_connection *connection)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, idle_until_ns(connection));
    int status = aw_poll(PQsocket(connection->handle), POLLIN);
    bool idle = status == -ETIME && aw_scope_expired(&scope);
    aw_scope_leave(&scope);
    if (idle) {
        use_idleness(connection);
        status = 0;
    }
    return status < 0 ? status : 0;
}

static bool is_done(const struct pg_connection *connection)
{
    return connection->broken || (connection->retiring && connection->lease == NULL &&
                                  TAILQ_EMPTY(&connection->in_flight));
}

/* Reads until the connection ends. */
static void serve(struct pg_connection *connection)
{
    while (!connection->broken) {
        pg_receive(connection);
        if (is_done(connection)) {
            break;
        }
        pg_pool_dispatch(connection->pool);
        int status = PQstatus(connection->handle) == CONNECTION_OK ? wait_readable(connection) : 0;
        if (status < 0) {
            pg_connection_drop(connection, "the connection pool was closed");
        } else if (!consume(connection)) {
            pg_receive(connection); /* what came before the end still counts */
            pg_connection_drop(connection, "%s", PQerrorMessage(connection->handle));
        }
    }
}

/* What is known about a request whose connection has ended: without its Sync or COMMIT it came to
 * nothing; one whose statement the server answered with FATAL was rolled back, and those behind
 * that never ran; of the others nothing is known. */
static int lost_outcome(const struct pg_connection *connection, struct pg_request *request,
                        bool head)
{
    if (head && request->session_ended) {
        request->ended_early = aw_now_ns() - connection->head_since_ns < PG_SLOW_NS;
        return -EREMOTEIO;
    }
    if (request->in_guard) {
        return pg_request_outcome(connection, request); /* only the cleaning up failed */
    }
    if (!request->commit_sent || (!head && connection->session_ended)) {
        return PG_NOT_EXECUTED;
    }
    request->error = connection->lost;
    return -ECONNRESET;
}

static void fail_in_flight(struct pg_connection *connection)
{
    bool head = true;
    for (struct pg_request *request; (request = TAILQ_FIRST(&connection->in_flight)) != NULL;) {
        TAILQ_REMOVE(&connection->in_flight, request, link);
        pg_request_finish(request, lost_outcome(connection, request, head));
        head = false;
    }
    connection->in_flight_count = 0;
    connection->in_flight_size = 0;
}

static void set_state(struct pg_connection *connection, enum pg_connection_state state)
{
    struct aw_pg_pool *pool = connection->pool;
    pool->opening_count -= connection->state == PG_CONNECTION_OPENING;
    pool->open_count -= connection->state == PG_CONNECTION_OPEN;
    connection->state = state;
    pool->opening_count += state == PG_CONNECTION_OPENING;
    pool->open_count += state == PG_CONNECTION_OPEN;
}

/* Notices are nobody's business, but for one: what the server says when it ends an idle session.
 * The socket closes only a moment later, and what was sent meanwhile would be lost. */
static void take_notice(void *argument, const PGresult *notice)
{
    struct pg_connection *connection = argument;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *code = PQresultErrorField(notice, PG_DIAG_SQLSTATE);
    bool fatal = severity != NULL && strcmp(severity, "FATAL") == 0;
    bool crash = code != NULL && strcmp(code, "57P02") == 0; /* of another session; a WARNING */
    if (TAILQ_EMPTY(&connection->in_flight) && (fatal || crash)) {
        pg_connection_drop(connection, "the server ended the session: %s",
                           PQresultErrorMessage(notice));
    }
}

/* From an established connection to a closed one. */
static void use_connection(struct pg_connection *connection)
{
    struct aw_pg_pool *pool = connection->pool;
    struct aw_task *writer = NULL;
    pg_statement_cache_init(&connection->cache, pool->options.no_statement_cache
                                                    ? 0
                                                    : pool->options.cached_statements);
    aw_event_init(&connection->flush_wanted);
    PQsetNoticeReceiver(connection->handle, take_notice, connection);
    connection->depth = 1;
    connection->broken = connection->retiring = connection->session_ended = false;
    connection->draining = false;
    connection->cancel_ended_ns = 0;
    connection->untidy_since_ns = 0;
    connection->opened_ns = connection->idle_since_ns = aw_now_ns();

    aw_scope_enter(&connection->serving, AW_NEVER);
    connection->is_serving = true;
    int status = aw_spawn(&writer, writer_task, connection);
    set_state(connection, PG_CONNECTION_OPEN);
    if (status < 0) {
        pg_connection_drop(connection, "no task for the connection: %s", aw_error_text(status));
    } else {
        pg_pool_set_up(pool);
        serve(connection);
    }
    connection->is_serving = false;
    aw_scope_leave(&connection->serving);

    set_state(connection, PG_CONNECTION_CLOSED);
    pg_cancel_connection_gone(connection);
    if (writer != NULL) {
        aw_cancel(writer);
        int ended = aw_await(writer); /* it polls the socket: PQfinish only after that */
        (void)ended;
    }
    fail_in_flight(connection);
    pg_lease_connection_gone(connection);
    PQfinish(connection->handle);
    connection->handle = NULL;
    pg_statement_cache_clear(&connection->cache);
}

uint64_t pg_backoff_ms(uint32_t failures)
{
    uint64_t most_ms = failures < 6 ? (uint64_t)PG_BACKOFF_MIN_MS << failures : PG_BACKOFF_MAX_MS;
    most_ms = most_ms < PG_BACKOFF_MAX_MS ? most_ms : PG_BACKOFF_MAX_MS;
    return most_ms / 2 + aw_random_below(most_ms / 2 + 1);
}

/* One attempt to connect and all that follows. Returns how long to wait before the next. */
static uint64_t connect_and_use(struct pg_connection *connection)
{
    struct aw_pg_pool *pool = connection->pool;
    struct aw_error error = {0};
    set_state(connection, PG_CONNECTION_OPENING);
    int status = pg_connect(pool, &connection->handle, &error);
    if (status == 0 && PQenterPipelineMode(connection->handle) != 1) {
        status = aw_error_set_code(&error, -ENOTCONN, "08001", "%s",
                                   PQerrorMessage(connection->handle));
        PQfinish(connection->handle);
        connection->handle = NULL;
    }
    if (status < 0) {
        set_state(connection, PG_CONNECTION_CLOSED);
        uint64_t delay_ms = pg_backoff_ms(pool->failures++);
        pool->open_after_ns = aw_after_ms(delay_ms);
        if (pool->open_count == 0 && pool->opening_count == 0 && !pool->closing &&
            aw_interrupted() == 0) {
            pg_pool_set_down(pool, &error);
        }
        return delay_ms;
    }
    use_connection(connection);
    if (aw_now_ns() - connection->opened_ns < AW_NS_PER_S) {
        return pg_backoff_ms(pool->failures++); /* it ends sessions at once: do not hurry it */
    }
    pool->failures = 0;
    return 0;
}

/* The last connection goes on trying, and so does one that somebody waits for: nothing else would
 * open it once the pause after a failed attempt is over. */
static bool is_superfluous(const struct aw_pg_pool *pool)
{
    return pool->connection_count > 1 && pool->waiting_count == 0 &&
           pool->lease_waiting_count == 0;
}

static int connection_task(void *argument)
{
    struct pg_connection *connection = argument;
    struct aw_pg_pool *pool = connection->pool;
    aw_task_set_name(NULL, "pg connection");
    int status = 0;
    while (status >= 0) {
        uint64_t delay_ms = connect_and_use(connection);
        pg_pool_dispatch(pool);
        if (is_superfluous(pool)) {
            break;
        }
        status = aw_sleep(delay_ms);
        if (is_superfluous(pool)) {
            break;
        }
    }
    TAILQ_REMOVE(&pool->connections, connection, link);
    pool->connection_count--;
    free(connection);
    return 0;
}

int pg_connection_start(struct aw_pg_pool *pool)
{
    struct pg_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return -ENOMEM;
    }
    connection->pool = pool;
    connection->state = PG_CONNECTION_CLOSED;
    TAILQ_INIT(&connection->in_flight);
    int status = aw_group_spawn(&pool->group, connection_task, connection);
    if (status < 0) {
        free(connection);
        return status;
    }
    TAILQ_INSERT_TAIL(&pool->connections, connection, link);
    pool->connection_count++;
    set_state(connection, PG_CONNECTION_OPENING); /* counted at once, or a burst opens too many */
    return 0;
}
