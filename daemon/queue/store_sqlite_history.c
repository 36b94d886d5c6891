/* store_sqlite_history.c - the executions of a job that failed. They are written with the change
 * that says so; a job that succeeds at once has none and costs nothing here. */
#include "queue/store_sqlite.h"

static void bind_words(sqlite3_stmt *statement, int index, const char *text)
{
    if (text && text[0])
        (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, index);
}

/* Adds the row and gives its number. */
static int insert(struct store *store, const struct store_change *change, int64_t *ret_number,
                  struct aw_error *reterr)
{
    const struct job *job = change->job;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_ATTEMPT_INSERT);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)job->id);
    if (job->started_ms)
        (void)sqlite3_bind_int64(statement, 2, (int64_t)job->started_ms);
    else
        (void)sqlite3_bind_null(statement, 2);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)change->now_ms);
    bind_words(statement, 4, change->error_code);
    bind_words(statement, 5, change->error_message);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(statement, 0);
        code = sqlite3_step(statement);
    }
    int result = store_result(store, code, "storing a failed attempt", reterr);
    (void)sqlite3_reset(statement);
    return result;
}

int store_note_attempt(struct store *store, const struct store_change *change,
                       struct aw_error *reterr)
{
    if (!change->error_code && !change->error_message)
        return 0; /* it did not fail */
    int64_t number = 0;
    int result = insert(store, change, &number, reterr);
    if (result == 0) {
        (void)sqlite3_bind_int64(store_statement(store, STATEMENT_ATTEMPT_FLAG), 1,
                                 (int64_t)change->job->id);
        result = store_run(store, STATEMENT_ATTEMPT_FLAG, "storing a failed attempt", reterr);
    }
    if (result < 0 || number <= ATTEMPTS_KEPT)
        return result;
    sqlite3_stmt *trim = store_statement(store, STATEMENT_ATTEMPT_TRIM);
    (void)sqlite3_bind_int64(trim, 1, (int64_t)change->job->id);
    (void)sqlite3_bind_int64(trim, 2, number - ATTEMPTS_KEPT);
    return store_run(store, STATEMENT_ATTEMPT_TRIM, "deleting an old attempt", reterr);
}

int store_read_attempts(struct store *store, uint64_t id,
                        void (*visitor)(void *context, const struct stored_attempt *),
                        void *context, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_READ_ATTEMPTS);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)id);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct stored_attempt attempt = {
            .number = (uint64_t)sqlite3_column_int64(statement, 0),
            .started_ms = (uint64_t)sqlite3_column_int64(statement, 1),
            .ended_ms = (uint64_t)sqlite3_column_int64(statement, 2),
            .error_code = (const char *)sqlite3_column_text(statement, 3),
            .error_message = (const char *)sqlite3_column_text(statement, 4),
        };
        visitor(context, &attempt);
    }
    int result = store_result(store, code, "reading a job's attempts", reterr);
    (void)sqlite3_reset(statement);
    return result;
}
