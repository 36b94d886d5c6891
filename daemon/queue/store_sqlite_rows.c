/* store_sqlite_rows.c - what was gathered (store_sqlite_gather.c), as SQLite sees it: the virtual
 * tables `new_job` with the columns of a job, `ended_job` and `kept_job` with ids; ended() and
 * kept(), which are asked for each row that is found and tell the change that its job was there as
 * it should be; and outcome(), what a kept job then becomes. They belong to the connection:
 * queue.db knows nothing of them. */
#include "queue/store_sqlite.h"

#include <stdlib.h>

struct rows {
    sqlite3_vtab base;
    const void *source; /* struct store, or struct gathered_ends */
};

struct rows_cursor {
    sqlite3_vtab_cursor base;
    uint32_t row;
};

static const void *source_of(const sqlite3_vtab_cursor *cursor)
{
    return ((const struct rows *)cursor->pVtab)->source;
}

static int connect_rows(sqlite3 *handle, const void *source, const char *columns,
                        sqlite3_vtab **ret_table)
{
    int code = sqlite3_declare_vtab(handle, columns);
    if (code != SQLITE_OK)
        return code;
    struct rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return SQLITE_NOMEM;
    rows->source = source;
    *ret_table = &rows->base;
    return SQLITE_OK;
}

static int connect_new(sqlite3 *handle, void *source, int count, const char *const *words,
                       sqlite3_vtab **ret_table, char **ret_error)
{
    (void)count;
    (void)words;
    (void)ret_error;
    return connect_rows(handle, source, "CREATE TABLE rows (" STORE_NEW_COLUMNS ")", ret_table);
}

static int connect_ended(sqlite3 *handle, void *source, int count, const char *const *words,
                         sqlite3_vtab **ret_table, char **ret_error)
{
    (void)count;
    (void)words;
    (void)ret_error;
    return connect_rows(handle, source, "CREATE TABLE rows (id)", ret_table);
}

static int disconnect(sqlite3_vtab *table)
{
    free(table);
    return SQLITE_OK;
}

static int best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    info->estimatedRows = GATHER_JOBS;
    info->estimatedCost = GATHER_JOBS;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor)
{
    (void)table;
    struct rows_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return SQLITE_NOMEM;
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *cursor)
{
    free(cursor);
    return SQLITE_OK;
}

static int filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int count,
                  sqlite3_value **values)
{
    (void)number;
    (void)text;
    (void)count;
    (void)values;
    ((struct rows_cursor *)cursor)->row = 0;
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *cursor)
{
    ((struct rows_cursor *)cursor)->row++;
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret_rowid)
{
    *ret_rowid = ((struct rows_cursor *)cursor)->row;
    return SQLITE_OK;
}

static int no_more_new(sqlite3_vtab_cursor *cursor)
{
    const struct store *store = source_of(cursor);
    return ((struct rows_cursor *)cursor)->row >= store->insert_count;
}

static int no_more_ended(sqlite3_vtab_cursor *cursor)
{
    const struct gathered_ends *ends = source_of(cursor);
    return ((struct rows_cursor *)cursor)->row >= ends->count;
}

static int give(sqlite3_context *context, uint64_t number)
{
    sqlite3_result_int64(context, (int64_t)number);
    return SQLITE_OK;
}

static int give_unless_0(sqlite3_context *context, uint64_t number)
{
    return number ? give(context, number) : SQLITE_OK;
}

/* In the order of STORE_NEW_COLUMNS. */
static int new_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    const struct store *store = source_of(cursor);
    const struct job *job = store->inserts[((struct rows_cursor *)cursor)->row];
    switch (column) {
    case 0:
        return give(context, job->id);
    case 1:
        return give(context, job->lane->id);
    case 2:
        return give(context, job->state);
    case 3:
        return give(context, job->priority);
    case 4:
        return give_unless_0(context, job->state == JOB_SCHEDULED ? job->due_ms : 0);
    case 5:
        return give(context, job->retries);
    case 6:
        return give(context, job->timeout_ms);
    case 7:
        return give(context, job->backoff_min_ms);
    case 8:
        return give(context, job->backoff_max_ms);
    case 9:
        return give(context, job->keep_ms);
    case 10:
        return give(context, job->format);
    case 11:
        return give(context, job->flags);
    case 12:
        return give_unless_0(context, job->coalesce);
    case 13:
        sqlite3_result_blob64(context, job->payload, job->payload_size, SQLITE_STATIC);
        return SQLITE_OK;
    default:
        return SQLITE_ERROR; /* no such column */
    }
}

static int ended_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    (void)column;
    const struct gathered_ends *ends = source_of(cursor);
    return give(context, ends->changes[((struct rows_cursor *)cursor)->row]->job->id);
}

/* The first of the job's ends, or where it would stand. */
static uint32_t find(const struct gathered_ends *ends, uint64_t id)
{
    uint32_t low = 0;
    uint32_t high = ends->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ends->changes[middle]->job->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ended(id, attempts, flags), kept(...): whether the ready job is one that was gathered. */
static void is_gathered(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    struct gathered_ends *ends = sqlite3_user_data(context);
    uint64_t id = (uint64_t)sqlite3_value_int64(values[0]);
    uint64_t attempts = (uint64_t)sqlite3_value_int64(values[1]);
    uint32_t at = find(ends, id);
    while (at < ends->count && ends->changes[at]->job->id == id &&
           store_attempts(ends->changes[at]) != attempts)
        at++;
    bool found = at < ends->count && ends->changes[at]->job->id == id;
    if (found)
        ends->changes[at]->applied = true;
    if (found && sqlite3_value_int(values[2]) != 0)
        ends->with_others |= UINT64_C(1) << at;
    sqlite3_result_int(context, found);
}

/* outcome(id, which): of a job for which kept() was true. */
static void give_outcome(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const struct gathered_ends *ends = sqlite3_user_data(context);
    uint32_t at = find(ends, (uint64_t)sqlite3_value_int64(values[0]));
    while (at < ends->count && !ends->changes[at]->applied)
        at++;
    if (at == ends->count)
        return;
    const struct store_change *change = ends->changes[at];
    switch (sqlite3_value_int(values[1])) {
    case STORE_OUTCOME_STATE:
        give(context, change->state);
        break;
    case STORE_OUTCOME_PURGE:
        give(context, change->purge_ms);
        break;
    case STORE_OUTCOME_ATTEMPTS:
        give(context, change->job->attempts);
        break;
    case STORE_OUTCOME_INTERRUPTIONS:
        give(context, change->job->interruptions);
        break;
    case STORE_OUTCOME_STARTED:
        give_unless_0(context, change->job->started_ms);
        break;
    case STORE_OUTCOME_FINISHED:
        give(context, change->now_ms);
        break;
    case STORE_OUTCOME_RESULT:
        if (change->result && change->result->size > 0)
            sqlite3_result_blob64(context, change->result->data, change->result->size,
                                  SQLITE_STATIC);
        break;
    }
}

int store_make_tables(struct store *store, struct aw_error *reterr)
{
    static const sqlite3_module new_job = {
        .xConnect = connect_new,
        .xBestIndex = best_index,
        .xDisconnect = disconnect,
        .xOpen = open_cursor,
        .xClose = close_cursor,
        .xFilter = filter,
        .xNext = next,
        .xEof = no_more_new,
        .xColumn = new_column,
        .xRowid = rowid,
    };
    static const sqlite3_module ended_job = {
        .xConnect = connect_ended,
        .xBestIndex = best_index,
        .xDisconnect = disconnect,
        .xOpen = open_cursor,
        .xClose = close_cursor,
        .xFilter = filter,
        .xNext = next,
        .xEof = no_more_ended,
        .xColumn = ended_column,
        .xRowid = rowid,
    };
    const struct {
        const char *name;
        const sqlite3_module *module;
        void *source;
    } tables[] = {{"new_job", &new_job, store},
                  {"ended_job", &ended_job, &store->deleted},
                  {"kept_job", &ended_job, &store->kept}};
    const struct {
        const char *name;
        int count;
        void (*function)(sqlite3_context *context, int count, sqlite3_value **values);
        void *source;
    } functions[] = {{"ended", 3, is_gathered, &store->deleted},
                     {"kept", 3, is_gathered, &store->kept},
                     {"outcome", 2, give_outcome, &store->kept}};
    sqlite3 *handle = aw_sqlite_handle(store->database);
    int code = SQLITE_OK;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && code == SQLITE_OK; i++)
        code = sqlite3_create_module(handle, tables[i].name, tables[i].module, tables[i].source);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && code == SQLITE_OK; i++)
        code = sqlite3_create_function(handle, functions[i].name, functions[i].count, SQLITE_UTF8,
                                       functions[i].source, functions[i].function, NULL, NULL);
    return store_result(store, code, "opening the store", reterr);
}
