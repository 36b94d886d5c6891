/* store_sqlite_bind.c - BIND: arguments that are values out of earlier jobs' results. A value is
 * taken in the transaction that ends its parent, or releases the child from it, and stored by
 * itself: the parent's result need not be kept. When the child waits for nobody any more, its
 * arguments are written anew. */
#include "queue/store_sqlite.h"

#include "protocol/value_pick.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void bind_value(sqlite3_stmt *statement, int index, const struct argument *value)
{
    if (!value || value->null)
        (void)sqlite3_bind_null(statement, index);
    else if (value->size == 0)
        (void)sqlite3_bind_zeroblob(statement, index, 0);
    else
        (void)sqlite3_bind_blob64(statement, index, value->data, value->size, SQLITE_STATIC);
}

static int set_value(struct store *store, uint64_t child, uint32_t argument,
                     const struct argument *value, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_BIND_SET);
    store_bind_number(statement, 1, child);
    store_bind_number(statement, 2, argument);
    bind_value(statement, 3, value);
    return store_run(store, STATEMENT_BIND_SET, "storing a value of BIND", reterr);
}

/* --- insertion ------------------------------------------------------------------------------ */

static int write_bind(struct store *store, const struct job *job, const struct submit_bind *bind,
                      struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_BIND_INSERT);
    store_bind_number(statement, 1, job->id);
    store_bind_number(statement, 2, bind->argument);
    store_bind_number(statement, 3, bind->job_id);
    store_bind_number(statement, 4, bind->row);
    store_bind_number(statement, 5, bind->column);
    return store_run(store, STATEMENT_BIND_INSERT, "storing a BIND", reterr);
}

/* Out of the stored result of a job that is done. */
static int from_stored(struct store *store, const struct job *job, const struct submit_bind *bind,
                       const struct lane *lane, bool write, bool *ret_refused,
                       struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_RESULT);
    store_bind_number(statement, 1, bind->job_id);
    int result = store_one(store, STATEMENT_RESULT, "reading a result", reterr);
    if (result <= 0)
        return result;
    struct argument value = {.data = NULL};
    const char *reason = NULL;
    int found = value_pick(sqlite3_column_blob(statement, 0),
                           (size_t)sqlite3_column_bytes(statement, 0), lane_is_sql(lane),
                           bind->row, bind->column, &value, &reason);
    result = 0;
    if (found < 0) {
        *ret_refused = true;
        (void)aw_error_set_code(&job->extras->refusal, -EINVAL, "ERR",
                                "BIND %u: row %u, column %u of job %" PRIu64 "'s result: %s",
                                bind->argument + 1, bind->row, bind->column, bind->job_id, reason);
    } else if (write) {
        result = set_value(store, job->id, bind->argument, &value, reterr);
    }
    (void)sqlite3_reset(statement);
    return result;
}

int store_bind_new(struct store *store, const struct job *job, const struct submit_bind *bind,
                   enum job_state parent_state, const struct lane *parent_lane, bool write,
                   bool *ret_refused, struct aw_error *reterr)
{
    int result = write ? write_bind(store, job, bind, reterr) : 0;
    if (result < 0 || !job_state_is_final(parent_state))
        return result;
    if (parent_state == JOB_DONE)
        return from_stored(store, job, bind, parent_lane, write, ret_refused, reterr);
    *ret_refused = true;
    (void)aw_error_set_code(&job->extras->refusal, -EINVAL, "ERR",
                            "BIND %u: job %" PRIu64 " is %s and has no result",
                            bind->argument + 1, bind->job_id, job_state_name(parent_state));
    return 0;
}

/* --- the parent's end ----------------------------------------------------------------------- */

static int take_one(struct store *store, uint64_t child, const struct submit_bind *bind,
                    const struct ending *parent, char message[ENDED_MESSAGE_SIZE],
                    struct aw_error *reterr)
{
    struct argument value = {.data = NULL};
    const char *reason = "it failed";
    int found = parent->state == JOB_DONE
                    ? value_pick(parent->result, parent->result_size, parent->has_header,
                                 bind->row, bind->column, &value, &reason)
                    : -ENOENT;
    if (found == 0)
        return set_value(store, child, bind->argument, &value, reterr);
    (void)snprintf(message, ENDED_MESSAGE_SIZE,
                   "argument %u: row %u, column %u of job %" PRIu64 "'s result: %s",
                   bind->argument + 1, bind->row, bind->column, parent->id, reason);
    return 0;
}

int store_binds_take(struct store *store, uint64_t child, const struct ending *parent,
                     char message[ENDED_MESSAGE_SIZE], struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_BINDS_OPEN);
    int result = 0;
    while (result == 0 && !message[0]) {
        store_bind_number(statement, 1, child);
        store_bind_number(statement, 2, parent->id);
        result = store_one(store, STATEMENT_BINDS_OPEN, "looking for values", reterr);
        if (result <= 0)
            break;
        struct submit_bind bind = {
            .argument = (uint32_t)sqlite3_column_int64(statement, 0),
            .row = (uint32_t)sqlite3_column_int64(statement, 1),
            .column = (uint32_t)sqlite3_column_int64(statement, 2),
        };
        result = store_one_end(store, STATEMENT_BINDS_OPEN, "looking for values", reterr);
        if (result == 0)
            result = take_one(store, child, &bind, parent, message, reterr);
    }
    return result;
}

/* --- the arguments -------------------------------------------------------------------------- */

struct new_values {
    struct argument *values; /* by argument; copies, one allocation each */
    bool *replaced;
    uint32_t count;
};

static int copy_value(struct new_values *values, sqlite3_stmt *statement)
{
    int64_t index = sqlite3_column_int64(statement, 1);
    if (sqlite3_column_type(statement, 1) == SQLITE_NULL || index >= values->count)
        return 0;
    struct argument *value = &values->values[index];
    values->replaced[index] = true;
    value->null = sqlite3_column_type(statement, 2) == SQLITE_NULL;
    size_t size = (size_t)sqlite3_column_bytes(statement, 2);
    if (value->null || size == 0)
        return 0;
    char *copy = malloc(size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, sqlite3_column_blob(statement, 2), size);
    value->data = copy;
    value->size = (uint32_t)size;
    return 0;
}

static void free_values(struct new_values *values)
{
    for (uint32_t i = 0; values->values && i < values->count; i++)
        free((void *)(uintptr_t)values->values[i].data);
    free(values->values);
    free(values->replaced);
}

/* The payload's copy with the values in their places. */
static int make_job(struct store *store, uint64_t child, struct job **ret_job,
                    struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_BIND_VALUES);
    struct new_values values = {.count = 0};
    bool corrupt = false;
    struct job *old = NULL;
    store_bind_number(statement, 1, child);
    int code = sqlite3_step(statement);
    int result = store_result(store, code, "reading values of BIND", reterr);
    if (code == SQLITE_ROW) {
        old = job_from_payload(sqlite3_column_blob(statement, 0),
                               (size_t)sqlite3_column_bytes(statement, 0), &corrupt);
        values.count = old ? old->argument_count : 0;
        values.values = calloc(values.count + 1, sizeof *values.values);
        values.replaced = calloc(values.count + 1, sizeof *values.replaced);
        result = old && values.values && values.replaced ? 0 : corrupt ? -EBADMSG : -ENOMEM;
    }
    for (; code == SQLITE_ROW && result == 0; code = sqlite3_step(statement))
        result = copy_value(&values, statement);
    if (result == 0)
        result = store_result(store, code, "reading values of BIND", reterr);
    else
        (void)aw_error_set(reterr, result, "queue: the values of BIND: %s", aw_error_text(result));
    (void)sqlite3_reset(statement);
    for (uint32_t i = 0; result == 0 && i < values.count; i++)
        if (values.replaced[i])
            old->arguments[i] = values.values[i];
    *ret_job = result == 0 && old ? job_new(old->arguments, old->argument_count) : NULL;
    job_free(old);
    free_values(&values);
    return result;
}

int store_binds_apply(struct store *store, uint64_t child, size_t *ret_size,
                      char message[ENDED_MESSAGE_SIZE], struct aw_error *reterr)
{
    struct job *job;
    int result = make_job(store, child, &job, reterr);
    if (result < 0)
        return result;
    if (!job) {
        (void)snprintf(message, ENDED_MESSAGE_SIZE, "the arguments have become larger than a "
                                                    "stored job can be (480 MB)");
        return 0;
    }
    sqlite3_stmt *statement = store_statement(store, STATEMENT_PAYLOAD);
    store_bind_number(statement, 1, child);
    (void)sqlite3_bind_blob64(statement, 2, job->payload, job->payload_size, SQLITE_STATIC);
    result = store_run(store, STATEMENT_PAYLOAD, "storing arguments", reterr);
    *ret_size = job->payload_size;
    job_free(job);
    return result;
}
