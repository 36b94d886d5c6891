/* store_sqlite_pause.c - which queues and targets are paused. */
#include "queue/store_sqlite.h"

#include <errno.h>

int store_pause(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    enum statement which = change->now_ms ? STATEMENT_PAUSE : STATEMENT_RESUME;
    sqlite3_stmt *statement = store_statement(store, which);
    store_bind_number(statement, 1, change->id);
    (void)sqlite3_bind_text(statement, 2, change->name, -1, SQLITE_STATIC);
    if (change->now_ms)
        store_bind_number(statement, 3, change->now_ms);
    int result = store_run(store, which, "storing a pause", reterr);
    change->applied = result == 0;
    return result;
}

int store_read_paused(struct store *store, store_paused_visitor visitor, void *context,
                      struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_READ_PAUSED);
    int result = 0;
    int code = SQLITE_DONE;
    while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
        if (!visitor(context, sqlite3_column_int(statement, 0),
                     (const char *)sqlite3_column_text(statement, 1),
                     (uint64_t)sqlite3_column_int64(statement, 2)))
            result = aw_error_set(reterr, -ENOMEM, "queue: no memory for what is paused");
    if (result == 0)
        result = store_result(store, code, "reading what is paused", reterr);
    (void)sqlite3_reset(statement);
    return result;
}
