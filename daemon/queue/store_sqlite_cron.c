/* store_sqlite_cron.c - schedules in the store. */
#include "queue/store_sqlite.h"

/* 0 is stored as NULL. */
static void bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    if (number)
        (void)sqlite3_bind_int64(statement, index, (int64_t)number);
    else
        (void)sqlite3_bind_null(statement, index);
}

static int run(struct store *store, struct store_change *change, enum statement which,
               const char *what, struct aw_error *reterr)
{
    int result = store_run(store, which, what, reterr);
    change->applied = result == 0 && sqlite3_changes(aw_sqlite_handle(store->database)) == 1;
    return result;
}

int store_cron_set(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    const struct store_schedule *schedule = change->schedule;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_CRON_SET);
    (void)sqlite3_bind_text(statement, 1, schedule->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 2, schedule->expression, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 3, schedule->zone, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 4, schedule->misfire);
    bind_number(statement, 5, schedule->next_ms);
    (void)sqlite3_bind_blob64(statement, 6, schedule->request, schedule->request_size,
                              SQLITE_STATIC);
    return run(store, change, STATEMENT_CRON_SET, "storing a schedule", reterr);
}

int store_cron_step(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    const struct store_schedule *schedule = change->schedule;
    const struct job_extras *extras = change->job ? change->job->extras : NULL;
    bool applied = change->applied;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_CRON_STEP);
    (void)sqlite3_bind_text(statement, 1, schedule->name, -1, SQLITE_STATIC);
    bind_number(statement, 2, schedule->next_ms);
    bind_number(statement, 3, schedule->last_ms);
    bind_number(statement, 4,
                extras && extras->existing_id ? extras->existing_id : schedule->last_job);
    int result = run(store, change, STATEMENT_CRON_STEP, "moving a schedule on", reterr);
    if (change->job) /* whether the job was inserted is what its submitter wants to know */
        change->applied = applied;
    return result;
}

int store_cron_delete(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_CRON_DELETE);
    (void)sqlite3_bind_text(statement, 1, change->schedule->name, -1, SQLITE_STATIC);
    return run(store, change, STATEMENT_CRON_DELETE, "deleting a schedule", reterr);
}

int store_read_schedules(struct store *store, store_schedule_visitor visitor, void *context,
                         struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_CRON_READ);
    int code = SQLITE_DONE;
    bool more = true;
    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct store_schedule schedule = {
            .name = (const char *)sqlite3_column_text(statement, 0),
            .expression = (const char *)sqlite3_column_text(statement, 1),
            .zone = (const char *)sqlite3_column_text(statement, 2),
            .misfire = (uint32_t)sqlite3_column_int64(statement, 3),
            .next_ms = (uint64_t)sqlite3_column_int64(statement, 4),
            .last_ms = (uint64_t)sqlite3_column_int64(statement, 5),
            .last_job = (uint64_t)sqlite3_column_int64(statement, 6),
            .request = sqlite3_column_blob(statement, 7),
            .request_size = (size_t)sqlite3_column_bytes(statement, 7),
        };
        more = visitor(context, &schedule);
    }
    int result = store_result(store, code, "reading the schedules", reterr);
    (void)sqlite3_reset(statement);
    return result;
}
