/* pg_session.c - see pg_session.h.
 *
 * libpq pretends that writing goes on after the connection broke, and reports it with the next
 * read: so each flush also reads. */
#include "clients/pg_session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define STOP_REPEAT_MS 250u

/* --- errors ---------------------------------------------------------------------------- */

int pg_session_error(const PGresult *result, struct aw_error *reterr)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (code == NULL) { /* libpq's own */
        return aw_error_set_code(reterr, -ECONNRESET, "08006", "%s", PQresultErrorMessage(result));
    }
    if (severity != NULL && strcmp(severity, "PANIC") == 0) {
        /* A commit may have failed half way. */
        return pg_error_take(reterr, -ECONNRESET, "", result);
    }
    bool fatal = severity != NULL && strcmp(severity, "FATAL") == 0;
    return pg_error_take(reterr, fatal ? -ESHUTDOWN : -EREMOTEIO, "", result);
}

int pg_session_lost(const struct pg_session *session, struct aw_error *reterr)
{
    return aw_error_set_code(reterr, -ECONNRESET, "08006", "%s", PQerrorMessage(session->handle));
}

int pg_session_interrupted(int number, struct aw_error *reterr)
{
    return aw_error_set_code(reterr, number, "57014", "%s",
                             number == -ETIME ? "the deadline passed" : "cancelled");
}

/* --- opening and closing --------------------------------------------------------------- */

int pg_session_connect(struct pg_session *session, struct aw_error *reterr)
{
    struct aw_error error = {0};
    int status = pg_connect(session->pool, &session->handle, &error);
    if (status < 0) {
        aw_error_set_code(reterr, status, error.code, "%s",
                          error.number != 0 ? error.message : "interrupted while connecting");
    }
    return status;
}

int pg_session_open(struct pg_session *session, struct aw_pg_pool *pool, struct aw_error *reterr)
{
    *session = (struct pg_session){.pool = pool};
    if (!pool->up) {
        return aw_error_set_code(reterr, -ENOTCONN, pool->down.code, "%s", pool->down.message);
    }
    int status = aw_semaphore_acquire(&pool->sessions);
    if (status < 0) {
        return pg_session_interrupted(status, reterr);
    }
    status = pg_session_connect(session, reterr);
    if (status < 0) {
        aw_semaphore_release(&pool->sessions);
        return status;
    }
    session->has_place = true;
    return 0;
}

void pg_session_close(struct pg_session *session)
{
    if (session->handle == NULL) {
        return;
    }
    if (session->is_running && PQstatus(session->handle) == CONNECTION_OK) {
        struct aw_error ignored;
        AW_IGNORE(pg_session_stop(session, -ECANCELED, &ignored)); /* the end comes either way */
    }
    PQfinish(session->handle);
    session->handle = NULL;
    if (session->has_place) {
        aw_semaphore_release(&session->pool->sessions);
    }
    session->has_place = session->is_running = false;
}

/* --- sending and receiving ------------------------------------------------------------- */

static bool consume(struct pg_session *session)
{
    return PQconsumeInput(session->handle) == 1 && PQstatus(session->handle) == CONNECTION_OK;
}

int pg_session_flush(struct pg_session *session, struct aw_error *reterr)
{
    for (;;) {
        int left = PQflush(session->handle);
        if (left < 0 || !consume(session)) {
            return pg_session_lost(session, reterr);
        }
        if (left == 0) {
            return 0;
        }
        int status = aw_poll(PQsocket(session->handle), POLLIN | POLLOUT);
        if (status < 0) {
            return pg_session_interrupted(status, reterr);
        }
    }
}

int pg_session_receive(struct pg_session *session, struct aw_error *reterr)
{
    unsigned events = PQflush(session->handle) == 1 ? POLLIN | POLLOUT : POLLIN;
    int status = aw_poll(PQsocket(session->handle), events);
    if (status < 0) {
        return pg_session_interrupted(status, reterr);
    }
    return consume(session) ? 0 : pg_session_lost(session, reterr);
}

int pg_session_result(struct pg_session *session, PGresult **ret_result, struct aw_error *reterr)
{
    while (PQisBusy(session->handle)) {
        int status = pg_session_receive(session, reterr);
        if (status == -ECONNRESET) {
            break; /* the server may have said why before it closed */
        }
        if (status < 0) {
            return status;
        }
    }
    *ret_result = PQgetResult(session->handle);
    if (*ret_result == NULL) {
        session->is_running = false;
    }
    return 0;
}

static bool is_error(const PGresult *result)
{
    ExecStatusType kind = PQresultStatus(result);
    return kind == PGRES_FATAL_ERROR || kind == PGRES_BAD_RESPONSE;
}

static void note_success(struct pg_session *session, PGresult *result)
{
    ExecStatusType kind = PQresultStatus(result);
    if (kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK) {
        session->is_done = true;
        session->count = strtoull(PQcmdTuples(result), NULL, 10);
    }
}

/* Takes a running COPY to its end: its bytes are dropped. */
static int drop_copy(struct pg_session *session, const PGresult *result, struct aw_error *reterr)
{
    if (PQresultStatus(result) == PGRES_COPY_IN) {
        if (PQputCopyEnd(session->handle, "given up by the client") < 0) {
            return pg_session_lost(session, reterr);
        }
        return pg_session_flush(session, reterr);
    }
    for (;;) {
        char *data = NULL;
        int size = PQgetCopyData(session->handle, &data, 1);
        PQfreemem(data);
        if (size < 0) {
            return 0; /* the result that follows says how it ended */
        }
        int status = size == 0 ? pg_session_receive(session, reterr) : 0;
        if (status < 0) {
            return status;
        }
    }
}

int pg_session_finish(struct pg_session *session, struct aw_error *reterr)
{
    int failed = 0;
    for (;;) {
        PGresult *result = NULL;
        int status = pg_session_result(session, &result, reterr);
        if (status < 0) {
            return status;
        }
        if (result == NULL) {
            return failed;
        }
        ExecStatusType kind = PQresultStatus(result);
        note_success(session, result);
        if (kind == PGRES_COPY_IN || kind == PGRES_COPY_OUT) {
            status = drop_copy(session, result, reterr);
        } else if (is_error(result) && failed == 0) {
            failed = pg_session_error(result, reterr);
        } else if (!is_error(result) && kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK &&
                   kind != PGRES_SINGLE_TUPLE && kind != PGRES_EMPTY_QUERY) {
            status =
                aw_error_set(reterr, -EPROTO, "the server answered with %s", PQresStatus(kind));
        }
        PQclear(result);
        if (status < 0) {
            return status;
        }
    }
}

/* --- statements ------------------------------------------------------------------------ */

static bool send_statement(struct pg_session *session, const struct aw_pg_statement *statement,
                           bool by_row, const char **values, const char *sql)
{
    int sent = PQsendQueryParams(session->handle, sql, (int)statement->parameter_count, NULL,
                                 values, NULL, NULL, 0);
    /* Not PQsetChunkedRowsMode of libpq 17: it keeps rows back until there are enough of them, and
     * drops those before an error. */
    return sent == 1 && (!by_row || PQsetSingleRowMode(session->handle) == 1);
}

int pg_session_run(struct pg_session *session, const struct aw_pg_statement *statement, bool by_row,
                   PGresult **ret_result, struct aw_error *reterr)
{
    const char *sql = NULL;
    const char **values = pg_statement_copy(statement, &sql);
    if (values == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    session->is_done = false;
    session->count = 0;
    bool sent = send_statement(session, statement, by_row, values, sql);
    free(values);
    if (!sent) {
        return pg_session_lost(session, reterr);
    }
    int status = pg_session_flush(session, reterr);
    if (status < 0) {
        return status; /* not whole at the server: it does not run */
    }
    session->is_running = true;
    PGresult *result = NULL;
    status = pg_session_result(session, &result, reterr);
    if (status < 0) {
        return status;
    }
    if (result == NULL || is_error(result)) {
        status =
            result == NULL ? pg_session_lost(session, reterr) : pg_session_error(result, reterr);
        PQclear(result);
        return status;
    }
    note_success(session, result);
    *ret_result = result;
    return 0;
}

/* Whether it has ended. The server drops a cancel that comes before the statement: so it is sent
 * again while the statement goes on. */
static bool try_to_stop(struct pg_session *session, struct aw_error *reterr)
{
    AW_IGNORE(pg_cancel_send(session->handle)); /* one that failed is repeated too */
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(STOP_REPEAT_MS));
    AW_IGNORE(pg_session_finish(session, reterr)); /* is_running tells */
    aw_scope_leave(&scope);
    return !session->is_running || PQstatus(session->handle) != CONNECTION_OK;
}

int pg_session_stop(struct pg_session *session, int number, struct aw_error *reterr)
{
    struct aw_error ignored;
    struct aw_scope scope;
    aw_shield_enter(&scope, aw_after_ms(PG_STOP_WAIT_MS));
    while (session->is_running && !try_to_stop(session, &ignored) && aw_interrupted() == 0) {
    }
    bool known = !session->is_running && PQstatus(session->handle) == CONNECTION_OK;
    aw_scope_leave(&scope);
    if (known && session->is_done) {
        return 0;
    }
    return known ? pg_session_interrupted(number, reterr) : pg_still_running(reterr);
}
