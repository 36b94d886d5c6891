/* pg_run.c - one run from the caller's side: submit, wait, and when interrupted find out what
 * happened.
 *
 * An interrupted run ends in one of three ways, and never guesses:
 *   - nothing was sent yet: it is taken back, not executed;
 *   - it is cancelled on the server when it is its turn, and waited for: its end is known;
 *   - the server does not stop it within PG_STOP_WAIT_MS: the connection is dropped if it is the
 * head; behind a slow neighbour it is left there, to be cancelled when its turn comes, and the
 * neighbour is spared. Either way the effect is unknown (-ECONNABORTED). */
#include "clients/pg_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REPEATS_MAX 3
#define STATEMENTS_MAX 10000u
#define PARAMETERS_MAX 65535u
#define REQUEST_SIZE_MAX ((size_t)1 << 30) /* the server's limit of one message */

int pg_check_statement(const struct aw_pg_statement *statement, bool leased, const char *where,
                       size_t *size, struct aw_error *reterr)
{
    const char *refusal = leased ? aw_pg_lease_refusal(statement->sql, statement->sql_size)
                                 : aw_pg_refusal(statement->sql, statement->sql_size);
    if (refusal != NULL) {
        char word[AW_PG_WORD_SIZE];
        aw_pg_first_word(statement->sql, statement->sql_size, word);
        return aw_error_set(reterr, -EINVAL, "%s%s%s%s", where, word,
                            word[0] != '\0' ? " is refused: " : "", refusal);
    }
    if (memchr(statement->sql, '\0', statement->sql_size) != NULL) {
        return aw_error_set(reterr, -EINVAL, "%sthe SQL holds a NUL byte", where);
    }
    if (statement->parameter_count > PARAMETERS_MAX) {
        return aw_error_set(reterr, -EINVAL, "%s%u parameters, PostgreSQL takes at most %u", where,
                            statement->parameter_count, PARAMETERS_MAX);
    }
    *size += statement->sql_size;
    for (uint32_t i = 0; i < statement->parameter_count; i++) {
        const struct aw_pg_value *value = &statement->parameters[i];
        if (!value->null && value->size > 0 && memchr(value->data, '\0', value->size) != NULL) {
            return aw_error_set(
                reterr, -EINVAL,
                "%sparameter %u holds a NUL byte, which PostgreSQL text cannot; send "
                "bytea as hex ('\\x00...')",
                where, i + 1);
        }
        *size += value->size;
    }
    return 0;
}

static int check_statement(const struct aw_pg_statement *statement, uint32_t index, uint32_t count,
                           size_t *size, struct aw_error *reterr)
{
    int status = pg_check_statement(statement, false, "", size, reterr);
    if (status < 0 && count > 1) {
        char where[32];
        snprintf(where, sizeof where, "statement %u: ", index + 1);
        status = pg_check_statement(statement, false, where, size, reterr); /* says which */
    }
    return status;
}

static int check_run(const struct aw_pg_run *run, struct aw_error *reterr)
{
    if (run->statement_count == 0 || run->statement_count > STATEMENTS_MAX) {
        return aw_error_set(reterr, -EINVAL, "%u statements; from 1 to %u run in one transaction",
                            run->statement_count, STATEMENTS_MAX);
    }
    size_t size = 0;
    for (uint32_t i = 0; i < run->statement_count; i++) {
        int status = check_statement(&run->statements[i], i, run->statement_count, &size, reterr);
        if (status < 0) {
            return status;
        }
    }
    if (size > REQUEST_SIZE_MAX) {
        return aw_error_set(reterr, -EINVAL, "the statements and parameters are larger than 1 GiB");
    }
    return 0;
}

static bool is_head(const struct pg_request *request)
{
    return request->state == PG_REQUEST_SENT &&
           TAILQ_FIRST(&request->connection->in_flight) == request;
}

static void wait_shielded(struct pg_request *request, uint64_t deadline_ns)
{
    struct aw_scope scope;
    aw_shield_enter(&scope, deadline_ns);
    int status = aw_event_wait(&request->finished);
    (void)status; /* the state says it */
    aw_scope_leave(&scope);
}

/* The caller was interrupted while the request is with the server. */
static void stop(struct pg_request *request)
{
    const uint64_t wait_ns = PG_STOP_WAIT_MS * AW_NS_PER_MS;
    request->interrupted = true;
    if (is_head(request)) {
        pg_cancel_head(request->connection);
    }
    wait_shielded(request, aw_now_ns() + wait_ns);
    if (is_head(request)) {
        wait_shielded(request, request->connection->head_since_ns + wait_ns);
    }
    if (is_head(request)) {
        pg_connection_drop(request->connection, "a cancelled statement did not stop within %u ms",
                           PG_STOP_WAIT_MS);
        wait_shielded(request, aw_now_ns() + wait_ns);
    }
}

/* Waits for the end. 0, or the interruption; the request is finished, withdrawn (state WAITING)
 * or still with the server (state SENT). */
int pg_wait_for(struct aw_pg_pool *pool, struct pg_request *request)
{
    int status = aw_event_wait(&request->finished);
    if (request->state == PG_REQUEST_FINISHED) {
        return 0;
    }
    if (request->state == PG_REQUEST_WAITING) {
        pg_pool_withdraw(pool, request);
    } else {
        stop(request);
    }
    return status;
}

static int interruption(int status, struct aw_error *reterr, const char *what)
{
    return aw_error_set_code(reterr, status, "57014", "%s %s",
                             status == -ETIME ? "the deadline passed:" : "cancelled:", what);
}

static int over_limit(const struct pg_request *request, size_t size_max, struct aw_error *reterr)
{
    bool ended = request->error.number == 0;
    const char *code = ended ? "" : "57014";
    const char *what = ended ? "itself was done" : "was cancelled";
    if (request->number == -ENOMEM) {
        return aw_error_set_code(reterr, -ENOMEM, code,
                                 "no memory for the result; the statement %s", what);
    }
    return aw_error_set_code(reterr, -EFBIG, code,
                             "the result is larger than %zu bytes; the statement %s", size_max,
                             what);
}

int pg_request_result(const struct pg_request *request, int interrupted, struct aw_error *reterr)
{
    switch (request->number) {
    case 0:
        return 0;
    case -EFBIG:
    case -ENOMEM:
        return over_limit(request, request->size_max, reterr);
    case -ECONNRESET:
        return aw_error_set_code(reterr, interrupted < 0 ? -ECONNABORTED : -ECONNRESET,
                                 request->error.code, "%s", request->error.message);
    case -ENOTCONN:
        return aw_error_set_code(reterr, -ENOTCONN, request->error.code, "%s",
                                 request->error.message);
    case -EREMOTEIO:
        if (interrupted < 0 && strcmp(request->error.code, "57014") == 0) {
            return interruption(interrupted, reterr, "the statement was stopped on the server");
        }
        return aw_error_set_code(reterr, request->session_ended ? -ESHUTDOWN : -EREMOTEIO,
                                 request->error.code, "%s", request->error.message);
    case PG_NOT_EXECUTED:
        return aw_error_set_code(reterr, -ENOTCONN, "08006",
                                 "the server ended the session before the statement's turn");
    default:
        return aw_error_set_code(reterr, -ERESTART, "57014",
                                 "stopped by the cancellation of another statement on the same "
                                 "connection; rolled back");
    }
}

int pg_still_running(struct aw_error *reterr)
{
    return aw_error_set_code(
        reterr, -ECONNABORTED, "57014",
        "stopped waiting for a statement that the server did not stop; whether it takes effect is "
        "unknown");
}

/* Whether the request came to nothing for a reason that is not its own, and is sent once more. */
static bool repeat(const struct pg_request *request, bool replayable)
{
    return request->number == PG_NOT_EXECUTED || request->number == PG_STALE_PLAN ||
           ((request->number == -ERESTART || request->ended_early) && replayable);
}

/* Submits the run once. 1: to be repeated, *uncached says how. */
static int run_once(struct aw_pg_pool *pool, const struct aw_pg_run *run, bool *uncached, bool last,
                    struct aw_pg_results **ret_results, struct aw_error *reterr)
{
    struct pg_request *request = NULL;
    int status = pg_request_new(&request, run, *uncached);
    if (status < 0) {
        return aw_error_set_code(reterr, status, "53200", "out of memory");
    }
    status = pg_pool_submit(pool, request, reterr);
    if (status < 0) {
        pg_request_free(request);
        return status;
    }
    int interrupted = pg_wait_for(pool, request);
    if (request->state == PG_REQUEST_SENT) {
        request->abandoned = true; /* its connection frees it */
        return pg_still_running(reterr);
    }
    if (request->state == PG_REQUEST_WAITING) {
        status = interruption(interrupted, reterr, "no connection was free before; not executed");
    } else if (repeat(request, run->replayable) && interrupted < 0) {
        status = interruption(interrupted, reterr, "not executed");
    } else if (repeat(request, run->replayable) && !last) {
        *uncached = *uncached || request->number == PG_STALE_PLAN;
        status = 1;
    } else {
        status = pg_request_result(request, interrupted, reterr);
        if (run->ret_failed != NULL) {
            *run->ret_failed = request->failed;
        }
    }
    if (status == 0 && ret_results != NULL) {
        *ret_results = request->results;
        request->results = NULL;
    }
    pg_request_free(request);
    return status;
}

int aw_pg_run(struct aw_pg_pool *pool, const struct aw_pg_run *run,
              struct aw_pg_results **ret_results, struct aw_error *reterr)
{
    int status = check_run(run, reterr);
    if (status < 0) {
        return status;
    }
    status = aw_interrupted();
    if (status < 0) {
        return interruption(status, reterr, "not executed");
    }
    if (run->ret_failed != NULL) {
        *run->ret_failed = AW_PG_NO_STATEMENT;
    }
    bool uncached = false;
    for (int repeats = 0;; repeats++) {
        status = run_once(pool, run, &uncached, repeats == REPEATS_MAX, ret_results, reterr);
        if (status <= 0) {
            return status;
        }
    }
}

int aw_pg_query(struct aw_pg_pool *pool, const char *sql, uint32_t parameter_count,
                const struct aw_pg_value *parameters, struct aw_pg_results **ret_results,
                struct aw_error *reterr)
{
    const struct aw_pg_statement statement = {
        .sql = sql,
        .sql_size = strlen(sql),
        .parameters = parameters,
        .parameter_count = parameter_count,
    };
    const struct aw_pg_run run = {
        .statements = &statement,
        .statement_count = 1,
        .replayable = aw_pg_is_plain(sql, statement.sql_size),
    };
    return aw_pg_run(pool, &run, ret_results, reterr);
}
