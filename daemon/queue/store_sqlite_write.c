/* store_sqlite_write.c - the changes of a batch, one by one, inside its transaction. */
#include "queue/store_sqlite.h"

#include <errno.h>
#include <string.h>

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
    bool deleted;
    store_bind_number(store_statement(store, STATEMENT_DELETE_ENDED), 1, job->id);
    store_count(store, job->lane, change->state, JOB_STATES, job->payload_size);
    return store_delete(store, STATEMENT_DELETE_ENDED, &deleted, reterr);
}

static int finish_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    bool matters = store_end_matters(store, change->job->flags);
    const struct job *job = change->job;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_FINISH);
    store_bind_number(statement, 1, job->id);
    store_bind_number(statement, 2, store_attempts(change));
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
    store_bind_number(statement, 2, store_attempts(change));
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
    bool deleted;
    store_bind_number(store_statement(store, STATEMENT_DROP), 1, id);
    int result = store_delete(store, STATEMENT_DROP, &deleted, reterr);
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
    int code = SQLITE_DONE;
    int result = 0;
    while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct lane *lane = row_lane(store, statement, 0);
        if (lane)
            store_count(store, lane, (enum job_state)sqlite3_column_int(statement, 1), JOB_STATES,
                        0);
        if (sqlite3_column_int(statement, 3) != 0)
            result = store_forget_others(store, (uint64_t)sqlite3_column_int64(statement, 2),
                                         reterr);
        change->changed++;
    }
    if (result == 0)
        result = store_result(store, code, "deleting old jobs", reterr);
    (void)sqlite3_reset(statement);
    change->applied = result == 0;
    return result;
}

/* The store then writes it with others of its kind. */
static bool is_gathered(const struct store *store, const struct store_change *change)
{
    if (change->kind == CHANGE_INSERT)
        return !change->job->extras;
    bool failed = change->purge_ms && (change->error_code || change->error_message);
    return change->kind == CHANGE_FINISH && !failed &&
           !store_end_matters(store, change->job->flags);
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
    bool gathered = is_gathered(store, change);
    int result = gathered ? 0 : store_write_gathered(store, reterr);
    if (result < 0)
        return result;
    switch (change->kind) {
    case CHANGE_INSERT:
        if (change->job->extras) {
            result = store_insert_with_extras(store, change, reterr);
        } else {
            result = store_gather_insert(store, change->job, reterr);
            change->applied = result == 0;
        }
        return result == 0 && change->schedule ? store_cron_step(store, change, reterr) : result;
    case CHANGE_INSERT_ALL:
        return store_insert_all(store, change, reterr);
    case CHANGE_FINISH:
        return gathered ? store_gather_end(store, change, reterr)
                        : finish_job(store, change, reterr);
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
