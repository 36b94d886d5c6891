/* pg_receive.c - what the server answers, matched to the request at the head of the connection.
 *
 * A request has succeeded only at its Sync: a deferred constraint fails after every statement has
 * said OK. Results nobody expects (COPY, a missing SQLSTATE, more NULLs than steps) end the
 * connection, since libpq can offer them for ever. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RECEIVE_SLICE_NS (5 * AW_NS_PER_MS)

/* A cancel aimed at a neighbour can arrive this long after it was sent and hit this request. */
#define COLLATERAL_NS AW_NS_PER_S

static bool hit_by_mistake(const struct pg_connection *connection, const struct pg_request *request)
{
    return !request->interrupted && !request->over_limit &&
           (connection->cancel != NULL ||
            (connection->cancel_ended_ns != 0 &&
             connection->cancel_ended_ns + COLLATERAL_NS >= request->sent_ns));
}

int pg_request_outcome(const struct pg_connection *connection, const struct pg_request *request)
{
    if (request->stale_plan) {
        return PG_STALE_PLAN;
    }
    if (request->over_limit) {
        return request->number;
    }
    if (request->error.number == 0) {
        return 0;
    }
    if (strcmp(request->error.code, "57014") == 0 && hit_by_mistake(connection, request)) {
        return -ERESTART;
    }
    return -EREMOTEIO;
}

/* The server says at each Sync whether a transaction is still open; libpq tells only once nothing
 * else is in flight. The gate keeps such statements out: this is the second line. */
static void check_transaction_ended(struct pg_connection *connection, struct pg_request *request)
{
    if (connection->lease != NULL) { /* its owner's business */
        connection->transaction = PQtransactionStatus(connection->handle);
        return;
    }
    if (connection->in_flight_count > 1 ||
        PQtransactionStatus(connection->handle) == PQTRANS_IDLE) {
        return;
    }
    if (request->error.number == 0) {
        aw_error_set_code(&request->error, -EREMOTEIO, "25001",
                          "the statement left a transaction open, which was rolled back");
    }
    pg_connection_drop(connection, "a statement left a transaction open");
}

static void finish_head(struct pg_connection *connection)
{
    struct pg_request *head = TAILQ_FIRST(&connection->in_flight);
    check_transaction_ended(connection, head);
    int number = pg_request_outcome(connection, head);
    if (strcmp(head->error.code, "25006") == 0) {
        connection->retiring = true; /* now a standby? then look for the primary */
    }
    uint64_t now_ns = aw_now_ns();
    if (now_ns - connection->head_since_ns > PG_SLOW_NS) {
        connection->depth = 1;
    } else if (connection->depth < connection->pool->options.pipeline) {
        connection->depth *= 2;
    }
    TAILQ_REMOVE(&connection->in_flight, head, link);
    connection->in_flight_count--;
    connection->in_flight_size -= head->size_bytes;
    connection->head_since_ns = now_ns;
    connection->idle_since_ns = now_ns;
    pg_cancel_head_changed(connection);
    if (head->tidies) {
        pg_tidy_received(connection, head, number);
    }
    pg_request_finish(head, number);
}

static void end_segment(struct pg_connection *connection, struct pg_request *head)
{
    if (head->explicit_transaction && !head->in_guard) {
        head->in_guard = true;
    } else {
        finish_head(connection);
    }
}

static void keep_rows(struct pg_connection *connection, struct pg_request *head,
                      const PGresult *result)
{
    if (head->over_limit || head->abandoned) {
        return;
    }
    int status = pg_result_add(head->results, head->steps[head->step].statement, result);
    if (status < 0) {
        head->over_limit = true;
        head->number = status;
        aw_pg_results_free(head->results);
        head->results = NULL;
        pg_cancel_head(connection);
    }
}

static void take_success(struct pg_connection *connection, struct pg_request *head,
                         PGresult *result)
{
    if (head->step >= head->step_count) {
        return; /* the guard's ROLLBACK */
    }
    const struct pg_step *step = &head->steps[head->step];
    if (step->kind == PG_STEP_COMMIT && strcmp(PQcmdStatus(result), "COMMIT") != 0 &&
        head->error.number == 0) {
        aw_error_set_code(&head->error, -EREMOTEIO, "40000",
                          "the server rolled the transaction back at COMMIT");
    }
    if (step->kind != PG_STEP_EXECUTE) {
        return;
    }
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        keep_rows(connection, head, result);
    }
    if (head->results != NULL && PQresultStatus(result) != PGRES_SINGLE_TUPLE) {
        pg_result_set_tag(head->results, step->statement, result);
    }
}

/* A prepared statement that is gone or does not fit is our business, not the caller's. */
static void notice_stale_plan(struct pg_connection *connection, struct pg_request *head,
                              const PGresult *result, const char *code)
{
    if (head->step >= head->step_count) {
        return;
    }
    const struct pg_step *step = &head->steps[head->step];
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    bool missing = strcmp(code, "26000") == 0;
    if (step->kind == PG_STEP_DEALLOCATE ||
        (step->kind == PG_STEP_PREPARE && strcmp(code, "42P05") == 0)) {
        head->stale_plan = true; /* the session is not the one we prepared on: a pooler */
        pg_statement_cache_clear(&connection->cache);
    } else if (step->kind == PG_STEP_EXECUTE && step->name != 0 &&
               (missing || (strcmp(code, "0A000") == 0 && function != NULL &&
                            strcmp(function, "RevalidateCachedQuery") == 0))) {
        head->stale_plan = true;
        connection->retiring = connection->retiring || !missing; /* the old plan stays prepared */
        if (pg_statement_cache_forget(&connection->cache, step->name) && missing) {
            pg_statement_cache_clear(&connection->cache); /* a pooler: leave it no more of them */
        }
    }
}

/* A step that did not run leaves the cache wrong about the server. */
static void undo_step(struct pg_connection *connection, const struct pg_request *head)
{
    if (head->step >= head->step_count) {
        return;
    }
    const struct pg_step *step = &head->steps[head->step];
    if (step->kind == PG_STEP_PREPARE) {
        (void)pg_statement_cache_forget(&connection->cache, step->name);
    } else if (step->kind == PG_STEP_DEALLOCATE) {
        connection->retiring = true; /* the statement stays prepared, under a name nobody knows */
    }
}

int pg_error_take(struct aw_error *error, int number, const char *where, const PGresult *result)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    return aw_error_set_code(error, number, code, "%s%s%s%s%s%s", where,
                             primary != NULL ? primary : "no message", detail != NULL ? "; " : "",
                             detail != NULL ? detail : "", hint != NULL ? "; hint: " : "",
                             hint != NULL ? hint : "");
}

static void keep_error(struct pg_request *head, const PGresult *result)
{
    char where[32] = "";
    if (head->step < head->step_count && head->steps[head->step].kind != PG_STEP_BEGIN &&
        head->steps[head->step].kind != PG_STEP_COMMIT) {
        head->failed = head->steps[head->step].statement;
        if (head->statement_count > head->prelude + 1 && head->failed >= head->prelude) {
            snprintf(where, sizeof where, "statement %u: ", head->failed + 1 - head->prelude);
        }
    }
    pg_error_take(&head->error, -EREMOTEIO, where, result);
}

static void take_error(struct pg_connection *connection, struct pg_request *head,
                       const PGresult *result)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (code == NULL) { /* libpq's own: the connection, not the statement */
        pg_connection_drop(connection, "%s", PQresultErrorMessage(result));
        return;
    }
    if (head->in_guard) {
        pg_connection_drop(connection, "the connection could not be cleaned after a transaction");
        return;
    }
    if (head->error.number == 0) {
        keep_error(head, result);
        notice_stale_plan(connection, head, result, code);
    }
    undo_step(connection, head);
    bool panic = severity != NULL && strcmp(severity, "PANIC") == 0;
    if (panic || (severity != NULL && strcmp(severity, "FATAL") == 0)) {
        /* A PANIC can be a commit that failed half way: then nothing is known. */
        connection->session_ended = !panic;
        head->session_ended = !panic && head->step < head->step_count;
        pg_connection_drop(connection, "the server ended the session: %s", head->error.message);
    }
}

static void take_result(struct pg_connection *connection, struct pg_request *head, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        take_success(connection, head, result);
        break;
    case PGRES_EMPTY_QUERY:
        break; /* an empty statement does nothing and gives no tag */
    case PGRES_FATAL_ERROR:
        take_error(connection, head, result);
        break;
    case PGRES_PIPELINE_ABORTED:
        undo_step(connection, head);
        break;
    case PGRES_PIPELINE_SYNC:
        end_segment(connection, head);
        break;
    default: /* COPY and what we never ask for: libpq would give it for ever */
        pg_connection_drop(connection, "the server answered with %s, which cannot travel here",
                           PQresStatus(PQresultStatus(result)));
        break;
    }
}

void pg_receive(struct pg_connection *connection)
{
    while (!connection->broken && !TAILQ_EMPTY(&connection->in_flight)) {
        (void)PQsetSingleRowMode(connection->handle); /* does nothing where it does not apply */
        if (PQisBusy(connection->handle)) {
            return;
        }
        struct pg_request *head = TAILQ_FIRST(&connection->in_flight);
        PGresult *result = PQgetResult(connection->handle);
        if (result != NULL) {
            take_result(connection, head, result);
            PQclear(result);
        } else if (++head->step > head->step_count + 4) {
            pg_connection_drop(connection, "libpq lost count of the results");
        }
        if (aw_running_ns() > RECEIVE_SLICE_NS) {
            (void)aw_yield(); /* an interruption shows at the next wait */
        }
    }
    for (PGnotify *notify; (notify = PQnotifies(connection->handle)) != NULL;) {
        PQfreemem(notify);
    }
}
