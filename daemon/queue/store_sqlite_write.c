/* store_sqlite_write.c - one batch of changes as one transaction. */
#include "queue/store_sqlite.h"

#include "queue/job_id.h"

#include <errno.h>
#include <string.h>

/* The ceiling of ids is raised this far above the first id that meets it: one more write a second.
 * It follows the ids, not the clock: both may be far apart after the clock was set back. */
#define CEILING_AHEAD_MS 1000u

static void bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, index, (int64_t)number);
}

/* 0 is stored as NULL. */
static void bind_time(sqlite3_stmt *statement, int index, uint64_t time_ms)
{
    if (time_ms)
        bind_number(statement, index, time_ms);
    else
        (void)sqlite3_bind_null(statement, index);
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text && text[0])
        (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, index);
}

static bool is_live(enum job_state state)
{
    return state < JOB_STATES && !job_state_is_final(state);
}

void store_count(struct store *store, struct lane *lane, enum job_state from, enum job_state to,
                 size_t payload_size)
{
    if (from < JOB_STATES)
        lane->changes[from]--;
    if (to < JOB_STATES)
        lane->changes[to]++;
    if (is_live(from) != is_live(to))
        lane->bytes_change += is_live(to) ? (int64_t)payload_size : -(int64_t)payload_size;
    if (lane->touched)
        return;
    lane->touched = true;
    lane->next_touched = store->touched;
    store->touched = lane;
}

int store_begin(struct store *store, struct aw_error *reterr)
{
    store->id_ceiling_next = store->id_ceiling;
    store->insert_count = 0;
    return store_run(store, STATEMENT_BEGIN, "BEGIN", reterr);
}

static int insert_lane(struct store *store, const struct lane *lane, const char *queue,
                       struct aw_error *reterr)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_LANE_INSERT];
    bind_number(statement, 1, lane->id);
    (void)sqlite3_bind_text(statement, 2, queue, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 3, lane->target_name, -1, SQLITE_STATIC);
    return store_run(store, STATEMENT_LANE_INSERT, "storing a queue", reterr);
}

/* `first` is the index before the row's first parameter. */
static void bind_job(sqlite3_stmt *statement, int first, const struct job *job)
{
    bind_number(statement, first + 1, job->id);
    bind_number(statement, first + 2, job->lane->id);
    bind_number(statement, first + 3, job->state);
    bind_number(statement, first + 4, job->priority);
    bind_time(statement, first + 5, job->state == JOB_SCHEDULED ? job->due_ms : 0);
    bind_number(statement, first + 6, job->retries);
    bind_number(statement, first + 7, job->timeout_ms);
    bind_number(statement, first + 8, job->backoff_min_ms);
    bind_number(statement, first + 9, job->backoff_max_ms);
    bind_number(statement, first + 10, job->keep_ms);
    bind_number(statement, first + 11, job->format);
    bind_number(statement, first + 12, job->flags);
    (void)sqlite3_bind_blob64(statement, first + 13, job->payload, job->payload_size,
                              SQLITE_STATIC);
}

/* Writes the jobs that were only gathered so far. */
static int write_inserts(struct store *store, struct aw_error *reterr)
{
    uint32_t count = store->insert_count;
    uint32_t rows = count == INSERT_ROWS ? INSERT_ROWS : 1;
    enum statement which = rows > 1 ? STATEMENT_INSERT_ROWS : STATEMENT_INSERT;
    int result = 0;
    store->insert_count = 0;
    for (uint32_t i = 0; i < count && result == 0; i += rows) {
        for (uint32_t row = 0; row < rows; row++)
            bind_job(store->statements[which], (int)(row * INSERT_PARAMETERS),
                     store->inserts[i + row]);
        result = store_run(store, which, "storing jobs", reterr);
    }
    return result;
}

/* The job must live until the transaction ends. */
static int insert_job(struct store *store, const struct job *job, struct aw_error *reterr)
{
    store_count(store, job->lane, JOB_STATES, (enum job_state)job->state, job->payload_size);
    if (job->id > store->id_ceiling_next)
        store->id_ceiling_next = job_id_ceiling(job_id_time_ms(job->id) + CEILING_AHEAD_MS);
    store->inserts[store->insert_count++] = job;
    return store->insert_count == INSERT_ROWS ? write_inserts(store, reterr) : 0;
}

/* The attempts as they are on disk: those of the job before this execution was counted. */
static uint32_t stored_attempts(const struct store_change *change)
{
    return change->job->attempts - (change->attempt_spent ? 1 : 0);
}

static int delete_finished(struct store *store, struct store_change *change,
                           struct aw_error *reterr)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_DELETE];
    bind_number(statement, 1, change->job->id);
    bind_number(statement, 2, stored_attempts(change));
    int result = store_run(store, STATEMENT_DELETE, "deleting a finished job", reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    if (change->applied)
        store_count(store, change->job->lane, JOB_READY, JOB_STATES, change->job->payload_size);
    return result;
}

static int finish_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    if (change->purge_ms == 0)
        return delete_finished(store, change, reterr);
    const struct job *job = change->job;
    sqlite3_stmt *statement = store->statements[STATEMENT_FINISH];
    bind_number(statement, 1, job->id);
    bind_number(statement, 2, stored_attempts(change));
    bind_number(statement, 3, change->state);
    bind_number(statement, 4, change->purge_ms);
    bind_number(statement, 5, job->attempts);
    bind_number(statement, 6, job->interruptions);
    bind_time(statement, 7, job->started_ms);
    bind_number(statement, 8, change->now_ms);
    bind_text(statement, 9, change->error_code);
    bind_text(statement, 10, change->error_message);
    if (change->result && change->result->size > 0)
        (void)sqlite3_bind_blob64(statement, 11, change->result->data, change->result->size,
                                  SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, 11);
    int result = store_run(store, STATEMENT_FINISH, "storing a result", reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    if (change->applied)
        store_count(store, job->lane, JOB_READY, change->state, job->payload_size);
    return change->applied ? store_note_attempt(store, change, reterr) : result;
}

static int retry_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    const struct job *job = change->job;
    sqlite3_stmt *statement = store->statements[STATEMENT_RETRY];
    bind_number(statement, 1, job->id);
    bind_number(statement, 2, stored_attempts(change));
    bind_number(statement, 3, job->due_ms);
    bind_number(statement, 4, job->attempts);
    bind_number(statement, 5, job->interruptions);
    bind_time(statement, 6, job->started_ms);
    bind_text(statement, 7, change->error_code);
    bind_text(statement, 8, change->error_message);
    int result = store_run(store, STATEMENT_RETRY, "storing a retry", reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    if (change->applied)
        store_count(store, job->lane, JOB_READY, JOB_SCHEDULED, job->payload_size);
    return change->applied ? store_note_attempt(store, change, reterr) : result;
}

static int mark_job(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_MARK];
    bind_number(statement, 1, change->job->id);
    bind_number(statement, 2, change->job->attempts);
    bind_time(statement, 3, change->now_ms);
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
    sqlite3_stmt *statement = store->statements[STATEMENT_CANCEL];
    bind_number(statement, 1, change->id);
    bind_number(statement, 2, change->now_ms);
    bind_number(statement, 3, from);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        struct lane *lane = row_lane(store, statement, 0);
        change->applied = true;
        if (lane)
            store_count(store, lane, from, JOB_CANCELLED,
                        (size_t)sqlite3_column_int64(statement, 1));
        code = sqlite3_step(statement);
    }
    int result = store_result(store, code, "cancelling a job", reterr);
    (void)sqlite3_reset(statement);
    return result;
}

int store_cancel(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    int result = cancel_from(store, change, JOB_READY, reterr);
    if (result == 0 && !change->applied)
        result = cancel_from(store, change, JOB_SCHEDULED, reterr);
    return result;
}

static int wake_jobs(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_WAKE];
    bind_number(statement, 1, change->now_ms);
    bind_number(statement, 2, change->limit);
    bind_number(statement, 3, change->bytes_max);
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
    sqlite3_stmt *statement = store->statements[STATEMENT_PURGE];
    bind_number(statement, 1, change->now_ms);
    bind_number(statement, 2, change->limit);
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
    store->statistics.changes++;
    int result = change->kind == CHANGE_INSERT ? 0 : write_inserts(store, reterr);
    if (result < 0)
        return result;
    switch (change->kind) {
    case CHANGE_INSERT:
        result = insert_job(store, change->job, reterr);
        if (result == 0 && change->schedule)
            result = store_cron_step(store, change, reterr);
        change->applied = result == 0;
        return result;
    case CHANGE_FINISH:
        return finish_job(store, change, reterr);
    case CHANGE_RETRY:
        return retry_job(store, change, reterr);
    case CHANGE_MARK:
        return mark_job(store, change, reterr);
    case CHANGE_CANCEL:
        return store_cancel(store, change, reterr);
    case CHANGE_WAKE:
        return wake_jobs(store, change, reterr);
    case CHANGE_PURGE:
        return purge_jobs(store, change, reterr);
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

static int write_counts(struct store *store, struct aw_error *reterr)
{
    for (struct lane *lane = store->touched; lane; lane = lane->next_touched) {
        int result = 0;
        if (!lane->stored)
            result = insert_lane(store, lane, lane_queue_name(lane), reterr);
        sqlite3_stmt *statement = store->statements[STATEMENT_LANE_COUNTS];
        bind_number(statement, 1, lane->id);
        for (int state = 0; state < JOB_STATES; state++)
            (void)sqlite3_bind_int64(statement, 2 + state,
                                     lane->counts[state] + lane->changes[state]);
        (void)sqlite3_bind_int64(statement, 2 + JOB_STATES, lane->bytes + lane->bytes_change);
        if (result == 0)
            result = store_run(store, STATEMENT_LANE_COUNTS, "storing the counts", reterr);
        if (result < 0)
            return result;
    }
    return 0;
}

/* The transaction is over: its counts are true, or never were. */
static void end_transaction(struct store *store, bool committed)
{
    while (store->touched) {
        struct lane *lane = store->touched;
        store->touched = lane->next_touched;
        for (int state = 0; state < JOB_STATES; state++) {
            if (committed)
                lane->counts[state] += lane->changes[state];
            lane->changes[state] = 0;
        }
        if (committed)
            lane->bytes += lane->bytes_change;
        lane->bytes_change = 0;
        lane->stored = lane->stored || committed;
        lane->touched = false;
    }
    if (committed)
        store->id_ceiling = store->id_ceiling_next;
}

static int write_ceiling(struct store *store, struct aw_error *reterr)
{
    if (store->id_ceiling_next == store->id_ceiling)
        return 0;
    bind_number(store->statements[STATEMENT_CEILING], 1, store->id_ceiling_next);
    return store_run(store, STATEMENT_CEILING, "raising the ceiling of ids", reterr);
}

int store_commit(struct store *store, struct aw_error *reterr)
{
    int result = write_inserts(store, reterr);
    if (result == 0)
        result = write_counts(store, reterr);
    if (result == 0)
        result = write_ceiling(store, reterr);
    if (result == 0)
        result = store_run(store, STATEMENT_COMMIT, "COMMIT", reterr);
    if (result < 0)
        return result;
    store->statistics.commits++;
    end_transaction(store, true);
    return 0;
}

int store_roll_back(struct store *store, struct aw_error *reterr)
{
    end_transaction(store, false);
    /* SQLite may have rolled back by itself: then there is nothing left to do */
    if (sqlite3_get_autocommit(aw_sqlite_handle(store->database)))
        return 0;
    return store_run(store, STATEMENT_ROLL_BACK, "ROLLBACK", reterr);
}
