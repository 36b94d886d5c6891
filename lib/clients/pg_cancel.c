/* pg_cancel.c - stopping the request at the head of a connection, on the server.
 *
 * A cancel request names a session, not a statement: it goes out only while its request is the
 * head, nothing new is sent on that connection until it is over, and a neighbour it hits all the
 * same is known (pg_receive.c) and run again. The server drops a cancel that comes before the
 * statement, so it is repeated until the head has ended; pg_run.c gives up after PG_STOP_WAIT_MS.
 *
 * libpq 17 and later cancel without blocking, with the connection's own encryption. Before that
 * PQcancel blocks, so it goes to a thread. pg_cancel_backend() on a second connection was not
 * taken: that needs a free slot exactly when the server may be full, may reach another host of a
 * list, and fails behind poolers, which make up process ids. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define REPEAT_MS 250u
#define SEND_MS 5000u /* a request that the server has not taken by then is sent anew */

struct pg_cancel {
    struct pg_connection *connection; /* NULL once that is gone */
    struct pg_request *request;       /* NULL once it is the head no more */
    struct aw_event over;             /* set when either became NULL */
};

#ifdef LIBPQ_HAS_ASYNC_CANCEL

int pg_cancel_send(PGconn *session)
{
    PGcancelConn *handle = PQcancelCreate(session);
    if (handle == NULL) {
        return -ENOMEM;
    }
    /* not with a thread: each one given up would hold one of the pool */
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(SEND_MS));
    int status = PQcancelStart(handle) == 1 ? 0 : -ECONNREFUSED;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (status >= 0 && next != PGRES_POLLING_OK) {
        status = aw_poll(PQcancelSocket(handle),
                         next == PGRES_POLLING_READING ? (unsigned)POLLIN : (unsigned)POLLOUT);
        if (status >= 0) {
            next = PQcancelPoll(handle);
            status = next == PGRES_POLLING_FAILED ? -ECONNREFUSED : 0;
        }
    }
    aw_scope_leave(&scope);
    PQcancelFinish(handle);
    return status;
}

#else

static int cancel_on_thread(void *argument)
{
    char reason[256];
    return PQcancel(argument, reason, sizeof reason) == 1 ? 0 : -ECONNREFUSED;
}

static void release_cancel(void *argument)
{
    PQfreeCancel(argument);
}

int pg_cancel_send(PGconn *session)
{
    PGcancel *handle = PQgetCancel(session);
    if (handle == NULL) {
        return -ENOMEM;
    }
    int status = aw_to_thread_abandonable(cancel_on_thread, handle, release_cancel);
    if (status != -ECANCELED && status != -ETIME) {
        PQfreeCancel(handle);
    }
    return status;
}

#endif

/* Gives the head a moment to end. 0, or -ECANCELED when the pool closes. */
static int wait_for_end(struct pg_cancel *cancel)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(REPEAT_MS));
    int status = aw_event_wait(&cancel->over);
    bool repeat = status == -ETIME && aw_scope_expired(&scope);
    aw_scope_leave(&scope);
    return repeat ? 0 : status;
}

static int cancel_task(void *argument)
{
    struct pg_cancel *cancel = argument;
    int status = 0;
    while (status >= 0 && cancel->connection != NULL && cancel->request != NULL) {
        /* One that failed is repeated like one that came too early. */
        AW_IGNORE(pg_cancel_send(cancel->connection->handle));
        status = wait_for_end(cancel);
    }
    struct pg_connection *connection = cancel->connection;
    free(cancel);
    if (connection != NULL) {
        connection->cancel = NULL;
        connection->cancel_ended_ns = aw_now_ns();
        pg_cancel_head_changed(connection);
        if (connection->lease != NULL) {
            aw_event_set(connection->lease->changed); /* its next statement may wait for that */
        }
        pg_pool_dispatch(connection->pool);
    }
    return status;
}

void pg_cancel_head(struct pg_connection *connection)
{
    if (connection->cancel != NULL || connection->broken) {
        return; /* the task looks again when it has finished with the one before */
    }
    struct pg_cancel *cancel = calloc(1, sizeof *cancel);
    int status = -ENOMEM;
    if (cancel != NULL) {
        cancel->connection = connection;
        cancel->request = TAILQ_FIRST(&connection->in_flight);
        aw_event_init(&cancel->over);
        connection->cancel = cancel;
        status = aw_group_spawn(&connection->pool->group, cancel_task, cancel);
    }
    if (status < 0) {
        connection->cancel = NULL;
        free(cancel);
        pg_connection_drop(connection, "a statement could not be cancelled: %s",
                           aw_error_text(status));
    }
}

void pg_cancel_head_changed(struct pg_connection *connection)
{
    struct pg_request *head = TAILQ_FIRST(&connection->in_flight);
    if (connection->cancel != NULL && connection->cancel->request != head) {
        connection->cancel->request = NULL;
        aw_event_set(&connection->cancel->over);
    } else if (head != NULL && (head->interrupted || head->over_limit)) {
        pg_cancel_head(connection);
    }
}

void pg_cancel_connection_gone(struct pg_connection *connection)
{
    if (connection->cancel != NULL) {
        connection->cancel->connection = NULL;
        connection->cancel->request = NULL;
        aw_event_set(&connection->cancel->over);
        connection->cancel = NULL;
    }
}
