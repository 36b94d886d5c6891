/* store_sqlite_write.c - the changes of a batch, one by one, inside its transaction. */
#include "queue/store_sqlite.h"

#include "queue/job_id.h"

#include <errno.h>
#include <string.h>

/* The ceiling of ids is raised this far above the first id that meets it: one more write a second.
 * It follows the ids, not the clock: both may be far apart after the clock was set back. */
#define CEILING_AHEAD_MS 1000u

void store_bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, index, (int64_t)number);
}

void store_bind_time(sqlite3_stmt *statement, int index, uint64_t time_ms)
{
    if (time_ms)
        store_bind_number(statement, index, time_ms);
    else
        (void)sqlite3_bind_null(statement, index);
}

void store_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text && text[0])
        (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, index);
}

/* `first` is the index before the row's first parameter. */
static void bind_job(sqlite3_stmt *statement, int first, const struct job *job)
{
    store_bind_number(statement, first + 1, job->id);
    store_bind_number(statement, first + 2, job->lane->id);
    store_bind_number(statement, first + 3, job->state);
    store_bind_number(statement, first + 4, job->priority);
    store_bind_time(statement, first + 5, job->state == JOB_SCHEDULED ? job->due_ms : 0);
    store_bind_number(statement, first + 6, job->retries);
    store_bind_number(statement, first + 7, job->timeout_ms);
    store_bind_number(statement, first + 8, job->backoff_min_ms);
    store_bind_number(statement, first + 9, job->backoff_max_ms);
    store_bind_number(statement, first + 10, job->keep_ms);
    store_bind_number(statement, first + 11, job->format);
    store_bind_number(statement, first + 12, job->flags);
    store_bind_time(statement, first + 13, job->coalesce); /* 0 is stored as NULL */
    (void)sqlite3_bind_blob64(statement, first + 14, job->payload, job->payload_size,
                              SQLITE_STATIC);
}

int store_write_inserts(struct store *store, struct aw_error *reterr)
{
    uint32_t count = store->insert_count;
    uint32_t rows = count == INSERT_ROWS ? INSERT_ROWS : 1;
    enum statement which = rows > 1 ? STATEMENT_INSERT_ROWS : STATEMENT_INSERT;
    int result = 0;
    store->insert_count = 0;
    for (uint32_t i = 0; i < count && result == 0; i += rows) {
        for (uint32_t row = 0; row < rows; row++)
            bind_job(store_statement(store, which), (int)(row * INSERT_PARAMETERS),
                     store->inserts[i + row]);
        result = store_run(store, which, "storing jobs", reterr);
    }
    return result;
}

static void count_insert(struct store *store, const struct job *job)
{
    store_count(store, job->lane, JOB_STATES, (enum job_state)job->state, job->payload_size);
    if (job->id > store->id_ceiling_next)
        store->id_ceiling_next = job_id_ceiling(job_id_time_ms(job->id) + CEILING_AHEAD_MS);
}

int store_write_job(struct store *store, const struct job *job, struct aw_error *reterr)
{
    count_insert(store, job);
    bind_job(store_statement(store, STATEMENT_INSERT), 0, job);
    return store_run(store, STATEMENT_INSERT, "storing a job", reterr);
}

/* The job must live until the transaction ends. */
static int insert_job(struct store *store, const struct job *job, struct aw_error *reterr)
{
    count_insert(store, job);
    store->inserts[store->insert_count++] = job;
    return store->insert_count == INSERT_ROWS ? store_write_inserts(store, reterr) : 0;
}

/* The attempts as they are on disk: those of the job before this execution was counted. */
static uint32_t stored_attempts(const struct store_change *change)
{
    return change->job->attempts - (change->attempt_spent ? 1 : 0);
}

static int delete_finished(struct store *store, struct store_change *change,
                           struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_DELETE);
    store_bind_number(statement, 1, change->job->id);
    store_bind_number(statement, 2, stored_attempts(change));
    int result = store_run(store, STATEMENT_DELETE, "deleting a finished job", reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    if (change->applied)
        store_count(store, change->job->lane, JOB_READY, JOB_STATES, change->job->payload_size);
    return result;
}

/* What its end means for others; a job of KEEP 0 has been kept until here. */
static int finish_for_others(struct store *store, struct store_change *change,
                             struct aw_error *reterr)
{
    const struct job *job = change->job;
    const struct buffer *value = change->state == JOB_DONE ? change->result : NULL;
    struct ending ending = {
        .id = job->id,
        .state = change->state,
        .flags = job->flags,
        .has_header = lane_is_sql(job->lane),
        .result = value && value->size > 0 ? value->data : NULL,
        .result_size = value ? value->size : 0,
    };
    int result = store_job_ended(store, change, &ending, reterr);
    if (result < 0 || change->purge_ms != 0)
        return result;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_DELETE_ENDED);
    store_bind_number(statement, 1, job->id);
    store_count(store, job->lane, change->state, JOB_STATES, job->payload_size);
    return store_run(store, STATEMENT_DELETE_ENDED, "deleting a finished job", reterr);
}

static int finish_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    bool matters = store_end_matters(store, change->job->flags);
    if (change->purge_ms == 0 && !matters)
        return delete_finished(store, change, reterr);
    const struct job *job = change->job;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_FINISH);
    store_bind_number(statement, 1, job->id);
    store_bind_number(statement, 2, stored_attempts(change));
    store_bind_number(statement, 3, change->state);
    store_bind_number(statement, 4, change->purge_ms);
    store_bind_number(statement, 5, job->attempts);
    store_bind_number(statement, 6, job->interruptions);
    store_bind_time(statement, 7, job->started_ms);
    store_bind_number(statement, 8, change->now_ms);
    store_bind_text(statement, 9, change->error_code);
    store_bind_text(statement, 10, change->error_message);
    if (change->result && change->result->size > 0)
        (void)sqlite3_bind_blob64(statement, 11, change->result->data, change->result->size,
                                  SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, 11);
    int result = store_run(store, STATEMENT_FINISH, "storing a result", reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    if (!change->applied)
        return result;
    store_count(store, job->lane, JOB_READY, change->state, job->payload_size);
    result = store_note_attempt(store, change, reterr);
    return matters && result == 0 ? finish_for_others(store, change, reterr) : result;
}

static int retry_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    const struct job *job = change->job;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_RETRY);
    store_bind_number(statement, 1, job->id);
    store_bind_number(statement, 2, stored_attempts(change));
    store_bind_number(statement, 3, job->due_ms);
    store_bind_number(statement, 4, job->attempts);
    store_bind_number(statement, 5, job->interruptions);
    store_bind_time(statement, 6, job->started_ms);
    store_bind_text(statement, 7, change->error_code);
    store_bind_text(statement, 8, change->error_message);
    int result = store_run(store, STATEMENT_RETRY, "storing a retry", reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    if (!change->applied)
        return result;
    store_count(store, job->lane, JOB_READY, JOB_SCHEDULED, job->payload_size);
    result = store_note_attempt(store, change, reterr);
    if (result < 0 || !(job->flags & JOB_HAS_EXPIRY))
        return result;
    /* it has been started */
    store_bind_number(store_statement(store, STATEMENT_EXPIRE_NEVER), 1, job->id);
    return store_run(store, STATEMENT_EXPIRE_NEVER, "storing a retry", reterr);
}

static int mark_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_MARK);
    store_bind_number(statement, 1, change->job->id);
    store_bind_number(statement, 2, change->job->attempts);
    store_bind_time(statement, 3, change->now_ms);
    int result = store_run(store, STATEMENT_MARK, "marking a job as started", reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    return result;
}

/* The lane a RETURNING row names; NULL cannot be: lanes are never deleted. */
static struct lane *row_lane(struct store *store, sqlite3_stmt *statement, int column)
{
    return store->lane_by_id(store->context, (uint32_t)sqlite3_column_int64(statement, column));
}

static int cancel_from(struct store *store, struct store_change *change, enum job_state from,
                       struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_CANCEL);
    store_bind_number(statement, 1, change->id);
    store_bind_number(statement, 2, change->now_ms);
    store_bind_number(statement, 3, from);
    int code = sqlite3_step(statement);
    struct ending ending = {.id = change->id, .state = JOB_CANCELLED};
    if (code == SQLITE_ROW) {
        struct lane *lane = row_lane(store, statement, 0);
        change->applied = true;
        ending.flags = (uint8_t)sqlite3_column_int(statement, 2);
        change->lane = lane;
        if (lane)
            store_count(store, lane, from, JOB_CANCELLED,
                        (size_t)sqlite3_column_int64(statement, 1));
        code = sqlite3_step(statement);
    }
    int result = store_result(store, code, "cancelling a job", reterr);
    (void)sqlite3_reset(statement);
    if (result == 0 && change->applied && store_end_matters(store, ending.flags))
        result = store_job_ended(store, change, &ending, reterr);
    return result;
}

int store_cancel(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    static const enum job_state from[] = {JOB_READY, JOB_SCHEDULED, JOB_BLOCKED};
    int result = 0;
    for (size_t i = 0; i < sizeof from / sizeof from[0] && result == 0 && !change->applied; i++)
        result = cancel_from(store, change, from[i], reterr);
    return result;
}

static int drop_cancelled(struct store *store, struct store_change *change, uint64_t id,
                          struct lane *lane, struct aw_error *reterr)
{
    store_bind_number(store_statement(store, STATEMENT_DROP), 1, id);
    int result = store_run(store, STATEMENT_DROP, "deleting a waiting job", reterr);
    if (result == 0 && lane)
        store_count(store, lane, JOB_CANCELLED, JOB_STATES, 0);
    change->changed++;
    return result;
}

/* Cancelled first, so that what waits for it learns of that as ever. */
static int drop_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    int result = store_cancel(store, change, reterr);
    if (result < 0 || !change->applied)
        return result;
    result = drop_cancelled(store, change, change->id, change->lane, reterr);
    struct ended_job *ended = change->ended;
    for (; ended && change->lane && result == 0; ended = ended->next)
        if (ended->state == JOB_CANCELLED && ended->id <= change->id_max &&
            ended->lane->queue == change->lane->queue)
            result = drop_cancelled(store, change, ended->id, ended->lane, reterr);
    return result;
}

static int wake_jobs(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_WAKE);
    store_bind_number(statement, 1, change->now_ms);
    store_bind_number(statement, 2, change->limit);
    store_bind_number(statement, 3, change->bytes_max);
    struct job **tail = &change->woken;
    int result = 0;
    int code;
    while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct job *job = store_row_job(store, statement, &result);
        if (!job)
            break;
        *tail = job;
        tail = &job->next;
        store_count(store, job->lane, JOB_SCHEDULED, JOB_READY, job->payload_size);
        change->changed++;
    }
    if (result == 0)
        result = store_result(store, code, "waking scheduled jobs", reterr);
    else
        (void)aw_error_set(reterr, result, "queue: waking scheduled jobs: %s",
                           aw_error_text(result));
    (void)sqlite3_reset(statement);
    change->applied = result == 0;
    return result;
}

static int purge_jobs(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_PURGE);
    store_bind_number(statement, 1, change->now_ms);
    store_bind_number(statement, 2, change->limit);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct lane *lane = row_lane(store, statement, 0);
        if (lane)
            store_count(store, lane, (enum job_state)sqlite3_column_int(statement, 1), JOB_STATES,
                        0);
        change->changed++;
    }
    int result = store_result(store, code, "deleting old jobs", reterr);
    (void)sqlite3_reset(statement);
    change->applied = result == 0;
    return result;
}

int store_apply(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    change->applied = false;
    change->changed = 0;
    change->woken = NULL;
    change->ended = NULL;
    change->ended_last = NULL;
    change->scheduled_ms = 0;
    change->unfinished = false;
    store->statistics.changes++;
    bool gathered = change->kind == CHANGE_INSERT && !change->job->extras;
    int result = gathered ? 0 : store_write_inserts(store, reterr);
    if (result < 0)
        return result;
    switch (change->kind) {
    case CHANGE_INSERT:
        if (change->job->extras) {
            result = store_insert_with_extras(store, change, reterr);
        } else {
            result = insert_job(store, change->job, reterr);
            change->applied = result == 0;
        }
        return result == 0 && change->schedule ? store_cron_step(store, change, reterr) : result;
    case CHANGE_INSERT_ALL:
        return store_insert_all(store, change, reterr);
    case CHANGE_FINISH:
        return finish_job(store, change, reterr);
    case CHANGE_RETRY:
        return retry_job(store, change, reterr);
    case CHANGE_MARK:
        return mark_job(store, change, reterr);
    case CHANGE_CANCEL:
        return store_cancel(store, change, reterr);
    case CHANGE_DROP:
        return drop_job(store, change, reterr);
    case CHANGE_PAUSE:
        return store_pause(store, change, reterr);
    case CHANGE_WAKE:
        return wake_jobs(store, change, reterr);
    case CHANGE_PURGE:
        return purge_jobs(store, change, reterr);
    case CHANGE_EXPIRE:
        return store_expire(store, change, reterr);
    case CHANGE_RELEASE:
        return store_release(store, change, reterr);
    case CHANGE_STEER:
        return store_steer(store, change, reterr);
    case CHANGE_CRON_SET:
        return store_cron_set(store, change, reterr);
    case CHANGE_CRON_STEP:
        return store_cron_step(store, change, reterr);
    case CHANGE_CRON_DELETE:
        return store_cron_delete(store, change, reterr);
    }
    return -EINVAL;
}
