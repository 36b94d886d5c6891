/* store_sqlite_read.c - windows of ready jobs, single jobs, scans. */
#include "queue/store_sqlite.h"

#include <errno.h>

/* The columns of JOB_COLUMNS, in order. */
enum column {
    COLUMN_ID,
    COLUMN_LANE,
    COLUMN_STATE,
    COLUMN_PRIORITY,
    COLUMN_AT,
    COLUMN_ATTEMPTS,
    COLUMN_RETRIES,
    COLUMN_INTERRUPTIONS,
    COLUMN_STARTED,
    COLUMN_FINISHED,
    COLUMN_TIMEOUT,
    COLUMN_BACKOFF_MIN,
    COLUMN_BACKOFF_MAX,
    COLUMN_KEEP,
    COLUMN_FORMAT,
    COLUMN_FLAGS,
    COLUMN_COALESCE,
    COLUMN_ERROR_CODE,
    COLUMN_ERROR_MESSAGE,
    COLUMN_RESULT,
    COLUMN_PAYLOAD,
};

static uint64_t number(sqlite3_stmt *statement, enum column column)
{
    return (uint64_t)sqlite3_column_int64(statement, (int)column);
}

void store_row(struct store *store, sqlite3_stmt *statement, struct stored_job *ret_job)
{
    enum job_state state = (enum job_state)sqlite3_column_int(statement, COLUMN_STATE);
    uint64_t at_ms = number(statement, COLUMN_AT);
    *ret_job = (struct stored_job){
        .id = number(statement, COLUMN_ID),
        .lane = store->lane_by_id(store->context, (uint32_t)number(statement, COLUMN_LANE)),
        .state = state,
        .priority = (uint32_t)number(statement, COLUMN_PRIORITY),
        .attempts = (uint32_t)number(statement, COLUMN_ATTEMPTS),
        .retries = (uint32_t)number(statement, COLUMN_RETRIES),
        .interruptions = (uint32_t)number(statement, COLUMN_INTERRUPTIONS),
        .due_ms = state == JOB_SCHEDULED ? at_ms : 0,
        .purge_ms = job_state_is_final(state) ? at_ms : 0,
        .marked = state == JOB_READY && at_ms != 0,
        .started_ms = number(statement, COLUMN_STARTED),
        .finished_ms = number(statement, COLUMN_FINISHED),
        .timeout_ms = number(statement, COLUMN_TIMEOUT),
        .backoff_min_ms = number(statement, COLUMN_BACKOFF_MIN),
        .backoff_max_ms = number(statement, COLUMN_BACKOFF_MAX),
        .keep_ms = number(statement, COLUMN_KEEP),
        .format = (enum result_format)sqlite3_column_int(statement, COLUMN_FORMAT),
        .flags = (uint8_t)number(statement, COLUMN_FLAGS),
        .coalesce = (uint16_t)number(statement, COLUMN_COALESCE),
        .error_code = (const char *)sqlite3_column_text(statement, COLUMN_ERROR_CODE),
        .error_message = (const char *)sqlite3_column_text(statement, COLUMN_ERROR_MESSAGE),
        .payload = sqlite3_column_blob(statement, COLUMN_PAYLOAD),
        .payload_size = (size_t)sqlite3_column_bytes(statement, COLUMN_PAYLOAD),
        .result = sqlite3_column_blob(statement, COLUMN_RESULT),
        .result_size = (size_t)sqlite3_column_bytes(statement, COLUMN_RESULT),
    };
}

/* Few jobs have one: it is looked up then. */
static int store_expiry(struct store *store, uint64_t id, uint64_t *ret_expire_ms)
{
    store_bind_number(store_statement(store, STATEMENT_EXTRA_READ), 1, id);
    int result = store_one(store, STATEMENT_EXTRA_READ, "reading a job's expiry", NULL);
    if (result <= 0)
        return result;
    *ret_expire_ms =
        (uint64_t)sqlite3_column_int64(store_statement(store, STATEMENT_EXTRA_READ), 2);
    return store_one_end(store, STATEMENT_EXTRA_READ, "reading a job's expiry", NULL);
}

struct job *store_row_job(struct store *store, sqlite3_stmt *statement, int *ret_error)
{
    struct stored_job row;
    store_row(store, statement, &row);
    bool corrupt;
    struct job *job = job_from_payload(row.payload, row.payload_size, &corrupt);
    if (!job || !row.lane) {
        *ret_error = corrupt || !row.lane ? -EBADMSG : -ENOMEM;
        job_free(job);
        return NULL;
    }
    job->id = row.id;
    job->lane = row.lane;
    job->state = JOB_READY;
    job->priority = row.priority;
    job->attempts = row.attempts;
    job->retries = row.retries;
    job->interruptions = row.interruptions;
    job->started_ms = row.started_ms;
    job->marked = row.marked;
    job->timeout_ms = row.timeout_ms;
    job->backoff_min_ms = row.backoff_min_ms;
    job->backoff_max_ms = row.backoff_max_ms;
    job->keep_ms = row.keep_ms;
    job->format = (uint8_t)row.format;
    job->flags = row.flags;
    job->coalesce = row.coalesce;
    if (row.flags & JOB_HAS_EXPIRY)
        *ret_error = store_expiry(store, job->id, &job->expire_ms);
    if (*ret_error == 0)
        return job;
    job_free(job);
    return NULL;
}

int store_read_ready(struct store *store, struct lane *lane, struct lane_key after, uint32_t limit,
                     uint64_t bytes_max, struct job **ret_jobs, bool *ret_end,
                     struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_READ_READY);
    (void)sqlite3_bind_int64(statement, 1, lane->id);
    (void)sqlite3_bind_int64(statement, 2, after.priority);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)after.id);
    (void)sqlite3_bind_int64(statement, 4, limit);
    struct job *first = NULL;
    struct job **tail = &first;
    uint64_t bytes = 0;
    uint32_t count = 0;
    int result = 0;
    int code = SQLITE_ROW;
    while (bytes < bytes_max && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct job *job = store_row_job(store, statement, &result);
        if (!job)
            break;
        *tail = job;
        tail = &job->next;
        bytes += job_size_bytes(job);
        count++;
    }
    if (result < 0)
        (void)aw_error_set(reterr, result, "queue: reading ready jobs: %s", aw_error_text(result));
    else
        result = store_result(store, code, "reading ready jobs", reterr);
    (void)sqlite3_reset(statement);
    if (result < 0) {
        while (first) {
            struct job *next = first->next;
            job_free(first);
            first = next;
        }
        return result;
    }
    *ret_jobs = first;
    *ret_end = code == SQLITE_DONE && count < limit;
    return 0;
}

static int first_number(struct store *store, enum statement which, uint64_t *ret_number,
                        struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, which);
    int code = sqlite3_step(statement);
    *ret_number = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : UINT64_MAX;
    int result = store_result(store, code, "reading the next time", reterr);
    (void)sqlite3_reset(statement);
    return result;
}

int store_next_times(struct store *store, struct store_times *ret_times, struct aw_error *reterr)
{
    int result = first_number(store, STATEMENT_NEXT_DUE, &ret_times->due_ms, reterr);
    if (result == 0)
        result = first_number(store, STATEMENT_NEXT_PURGE, &ret_times->purge_ms, reterr);
    if (result == 0)
        result = first_number(store, STATEMENT_NEXT_EXPIRY, &ret_times->expire_ms, reterr);
    if (result == 0)
        result = store_release_pending(store, &ret_times->unfinished, reterr);
    return result;
}

/* Visits the rows the statement gives, from `parameter` on. */
static int visit(struct store *store, enum statement which, uint64_t parameter,
                 store_visitor visitor, void *context, uint32_t *ret_count,
                 struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, which);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)parameter);
    int code = SQLITE_DONE;
    bool more = true;
    *ret_count = 0;
    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct stored_job row;
        store_row(store, statement, &row);
        ++*ret_count;
        if (which == STATEMENT_READ_JOB && (row.flags & JOB_EXTRA_FLAGS)) {
            int result = store_visit_extra(store, &row, visitor, context, reterr);
            (void)sqlite3_reset(statement);
            return result;
        }
        more = visitor(context, &row);
    }
    int result = store_result(store, code, "reading jobs", reterr);
    (void)sqlite3_reset(statement);
    return result;
}

int store_read_job(struct store *store, uint64_t id, store_visitor visitor, void *context,
                   struct aw_error *reterr)
{
    uint32_t count;
    int result = visit(store, STATEMENT_READ_JOB, id, visitor, context, &count, reterr);
    return result < 0 ? result : count > 0 ? 0 : -ENOENT;
}

int store_scan(struct store *store, uint64_t after, bool with_payload, store_visitor visitor,
               void *context, struct aw_error *reterr)
{
    uint32_t count;
    (void)sqlite3_bind_int(store_statement(store, STATEMENT_SCAN), 2, with_payload);
    return visit(store, STATEMENT_SCAN, after, visitor, context, &count, reterr);
}
