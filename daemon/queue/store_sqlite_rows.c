/* store_sqlite_rows.c - what was gathered (store_sqlite_gather.c), as SQLite sees it: the virtual
 * tables `new_job` with the columns of a job and `ended_job` with ids, and ended(), which is asked
 * for each row that is found and tells the change that its job was there as it should be. They
 * belong to the connection: queue.db knows nothing of them. */
#include "queue/store_sqlite.h"

#include <stdlib.h>

struct rows {
    sqlite3_vtab base;
    struct store *store;
};

struct rows_cursor {
    sqlite3_vtab_cursor base;
    uint32_t row;
};

static struct store *store_of(const sqlite3_vtab_cursor *cursor)
{
    return ((const struct rows *)cursor->pVtab)->store;
}

static int connect_rows(sqlite3 *handle, void *store, const char *columns, sqlite3_vtab **ret_table)
{
    int code = sqlite3_declare_vtab(handle, columns);
    if (code != SQLITE_OK)
        return code;
    struct rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return SQLITE_NOMEM;
    rows->store = store;
    *ret_table = &rows->base;
    return SQLITE_OK;
}

static int connect_new(sqlite3 *handle, void *store, int count, const char *const *words,
                       sqlite3_vtab **ret_table, char **ret_error)
{
    (void)count;
    (void)words;
    (void)ret_error;
    return connect_rows(handle, store, "CREATE TABLE rows (" STORE_NEW_COLUMNS ")", ret_table);
}

static int connect_ended(sqlite3 *handle, void *store, int count, const char *const *words,
                         sqlite3_vtab **ret_table, char **ret_error)
{
    (void)count;
    (void)words;
    (void)ret_error;
    return connect_rows(handle, store, "CREATE TABLE rows (id)", ret_table);
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
    return ((struct rows_cursor *)cursor)->row >= store_of(cursor)->insert_count;
}

static int no_more_ended(sqlite3_vtab_cursor *cursor)
{
    return ((struct rows_cursor *)cursor)->row >= store_of(cursor)->end_count;
}

static void give(sqlite3_context *context, uint64_t number)
{
    sqlite3_result_int64(context, (int64_t)number);
}

static void give_unless_0(sqlite3_context *context, uint64_t number)
{
    if (number)
        give(context, number);
}

/* In the order of STORE_NEW_COLUMNS. */
static int new_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    const struct job *job = store_of(cursor)->inserts[((struct rows_cursor *)cursor)->row];
    switch (column) {
    case 0:
        give(context, job->id);
        break;
    case 1:
        give(context, job->lane->id);
        break;
    case 2:
        give(context, job->state);
        break;
    case 3:
        give(context, job->priority);
        break;
    case 4:
        give_unless_0(context, job->state == JOB_SCHEDULED ? job->due_ms : 0);
        break;
    case 5:
        give(context, job->retries);
        break;
    case 6:
        give(context, job->timeout_ms);
        break;
    case 7:
        give(context, job->backoff_min_ms);
        break;
    case 8:
        give(context, job->backoff_max_ms);
        break;
    case 9:
        give(context, job->keep_ms);
        break;
    case 10:
        give(context, job->format);
        break;
    case 11:
        give(context, job->flags);
        break;
    case 12:
        give_unless_0(context, job->coalesce);
        break;
    case 13:
        sqlite3_result_blob64(context, job->payload, job->payload_size, SQLITE_STATIC);
        break;
    }
    return SQLITE_OK;
}

static int ended_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    (void)column;
    give(context, store_of(cursor)->ends[((struct rows_cursor *)cursor)->row]->job->id);
    return SQLITE_OK;
}

/* ended(id, attempts, flags): whether the ready job is one that was gathered. */
static void is_ended(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    struct store *store = sqlite3_user_data(context);
    uint64_t id = (uint64_t)sqlite3_value_int64(values[0]);
    uint64_t attempts = (uint64_t)sqlite3_value_int64(values[1]);
    uint32_t low = 0;
    uint32_t high = store->end_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (store->ends[middle]->job->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < store->end_count && store->ends[low]->job->id == id &&
           store_attempts(store->ends[low]) != attempts)
        low++;
    bool found = low < store->end_count && store->ends[low]->job->id == id;
    if (found)
        store->ends[low]->applied = true;
    if (found && sqlite3_value_int(values[2]) != 0)
        store->ends_with_others |= UINT64_C(1) << low;
    sqlite3_result_int(context, found);
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
    sqlite3 *handle = aw_sqlite_handle(store->database);
    int code = sqlite3_create_module(handle, "new_job", &new_job, store);
    if (code == SQLITE_OK)
        code = sqlite3_create_module(handle, "ended_job", &ended_job, store);
    if (code == SQLITE_OK)
        code = sqlite3_create_function(handle, "ended", 3, SQLITE_UTF8, store, is_ended, NULL,
                                       NULL);
    return store_result(store, code, "opening the store", reterr);
}
