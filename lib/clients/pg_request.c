/* pg_request.c - a request, and what is sent for it.
 *
 * A request is one segment: its statements and a Sync, which the server runs as one transaction
 * and commits at the Sync. With an explicit transaction BEGIN and COMMIT go around them, and a
 * second segment with a ROLLBACK follows: should the first fail, the connection is not left in
 * the failed transaction for the request behind. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_SIZE_DEFAULT ((size_t)64 << 20)

static size_t run_size(const struct aw_pg_run *run)
{
    size_t size = 0;
    for (uint32_t i = 0; i < run->statement_count; i++) {
        const struct aw_pg_statement *statement = &run->statements[i];
        size += statement->sql_size + 64;
        for (uint32_t j = 0; j < statement->parameter_count; j++) {
            size += statement->parameters[j].size + 8;
        }
    }
    return size;
}

int pg_request_new(struct pg_request **ret_request, const struct aw_pg_run *run, bool uncached)
{
    struct pg_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return -ENOMEM;
    }
    request->run = run;
    request->statement_count = run->statement_count;
    request->prelude = run->prelude;
    request->failed = AW_PG_NO_STATEMENT;
    request->explicit_transaction = run->explicit_transaction;
    request->uncached = uncached;
    request->size_bytes = run_size(run);
    request->step_capacity = 3 * run->statement_count + 2;
    request->steps = calloc(request->step_capacity, sizeof *request->steps);
    request->size_max = run->result_size_max > 0 ? run->result_size_max : RESULT_SIZE_DEFAULT;
    request->results = pg_results_new(run->statement_count, request->size_max);
    aw_event_init(&request->finished);
    if (request->steps == NULL || request->results == NULL) {
        pg_request_free(request);
        return -ENOMEM;
    }
    *ret_request = request;
    return 0;
}

void pg_request_free(struct pg_request *request)
{
    if (request == NULL) {
        return;
    }
    aw_pg_results_free(request->results);
    free(request->steps);
    free(request);
}

void pg_request_finish(struct pg_request *request, int number)
{
    request->state = PG_REQUEST_FINISHED;
    request->connection = NULL;
    request->number = number;
    if (request->abandoned || request->tidies) {
        pg_request_free(request);
    } else {
        aw_event_set(&request->finished);
    }
}

static void add_step(struct pg_request *request, enum pg_step_kind kind, uint32_t statement,
                     uint64_t name)
{
    request->steps[request->step_count++] = (struct pg_step){kind, statement, name};
}

static bool send_text(struct pg_connection *connection, const char *sql)
{
    return PQsendQueryParams(connection->handle, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

const char **pg_statement_copy(const struct aw_pg_statement *statement, const char **ret_sql)
{
    size_t size = (size_t)statement->parameter_count * sizeof(char *) + statement->sql_size + 1;
    for (uint32_t i = 0; i < statement->parameter_count; i++) {
        size += statement->parameters[i].null ? 0 : statement->parameters[i].size + 1;
    }
    const char **values = malloc(size);
    if (values == NULL) {
        return NULL;
    }
    char *at = (char *)(values + statement->parameter_count);
    memcpy(at, statement->sql, statement->sql_size);
    at[statement->sql_size] = '\0';
    *ret_sql = at;
    at += statement->sql_size + 1;
    for (uint32_t i = 0; i < statement->parameter_count; i++) {
        const struct aw_pg_value *value = &statement->parameters[i];
        values[i] = value->null ? NULL : at;
        if (!value->null) {
            if (value->size > 0) {
                memcpy(at, value->data, value->size);
            }
            at[value->size] = '\0';
            at += value->size + 1;
        }
    }
    return values;
}

static bool send_deallocate(struct pg_request *request, struct pg_connection *connection,
                            uint32_t index, uint64_t evicted)
{
    char name[PG_NAME_SIZE];
    char sql[PG_NAME_SIZE + 16];
    pg_statement_name(evicted, name);
    snprintf(sql, sizeof sql, "DEALLOCATE %s", name);
    add_step(request, PG_STEP_DEALLOCATE, index, evicted);
    return send_text(connection, sql);
}

static struct pg_cache_hit look_up(const struct pg_request *request,
                                   struct pg_connection *connection,
                                   const struct aw_pg_statement *statement)
{
    if (request->uncached) {
        return (struct pg_cache_hit){
            .answer = PG_CACHE_UNPREPARED,
            .leaves_nothing = aw_pg_leaves_nothing(statement->sql, statement->sql_size)};
    }
    return pg_statement_cache_use(&connection->cache, statement->sql, statement->sql_size);
}

static bool send_statement(struct pg_request *request, struct pg_connection *connection,
                           uint32_t index)
{
    const struct aw_pg_statement *statement = &request->run->statements[index];
    const char *sql = NULL;
    const char **values = pg_statement_copy(statement, &sql);
    if (values == NULL) {
        return false;
    }
    struct pg_cache_hit hit = {.answer = PG_CACHE_UNPREPARED};
    if (!request->tidies && aw_pg_is_plain(statement->sql, statement->sql_size)) {
        hit = look_up(request, connection, statement);
    }
    request->may_leave_traces = request->may_leave_traces || !hit.leaves_nothing;
    char text[PG_NAME_SIZE];
    pg_statement_name(hit.name, text);
    int count = (int)statement->parameter_count;
    bool sent = hit.evicted == 0 || send_deallocate(request, connection, index, hit.evicted);
    if (sent && hit.answer == PG_CACHE_PREPARE) {
        add_step(request, PG_STEP_PREPARE, index, hit.name);
        sent = PQsendPrepare(connection->handle, text, sql, 0, NULL) == 1;
    }
    if (sent) {
        add_step(request, PG_STEP_EXECUTE, index, hit.name);
        int result =
            hit.answer == PG_CACHE_UNPREPARED
                ? PQsendQueryParams(connection->handle, sql, count, NULL, values, NULL, NULL, 0)
                : PQsendQueryPrepared(connection->handle, text, count, values, NULL, NULL, 0);
        sent = result == 1;
    }
    free(values);
    return sent;
}

static bool send_sync(struct pg_connection *connection)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(connection->handle) == 1; /* the writer flushes once for all */
#else
    return PQpipelineSync(connection->handle) == 1;
#endif
}

bool pg_request_send(struct pg_request *request, struct pg_connection *connection)
{
    bool sent = true;
    if (request->explicit_transaction) {
        add_step(request, PG_STEP_BEGIN, 0, 0);
        sent = send_text(connection, "BEGIN");
    }
    for (uint32_t i = 0; sent && i < request->statement_count; i++) {
        sent = send_statement(request, connection, i);
    }
    if (!sent) {
        return false;
    }
    request->commit_sent = true;
    if (request->explicit_transaction) {
        add_step(request, PG_STEP_COMMIT, 0, 0);
        return send_text(connection, "COMMIT") && send_sync(connection) &&
               send_text(connection, "ROLLBACK") && send_sync(connection);
    }
    return send_sync(connection);
}
