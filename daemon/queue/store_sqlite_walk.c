/* store_sqlite_walk.c - the jobs of one state, along the index that holds them. */
#include "queue/store_sqlite.h"

#include <errno.h>

static enum statement statement_of(enum job_state state)
{
    switch (state) {
    case JOB_SCHEDULED:
        return STATEMENT_WALK_SCHEDULED;
    case JOB_BLOCKED:
        return STATEMENT_WALK_BLOCKED;
    case JOB_READY:
    case JOB_RUNNING:
        return STATEMENT_WALK_READY;
    case JOB_DONE:
        return STATEMENT_WALK_FINISHED;
    case JOB_DEAD:
    case JOB_CANCELLED:
    case JOB_UNCERTAIN:
        return STATEMENT_WALK_FAILED;
    }
    return STATEMENT_WALK_FAILED;
}

int store_walk(struct store *store, const struct store_walk *walk, store_visitor visitor,
               void *context, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, statement_of(walk->state));
    (void)sqlite3_bind_int(statement, 5, walk->with_payload);
    (void)sqlite3_bind_int(statement, 1, (int)walk->state);
    (void)sqlite3_bind_int64(statement, 2, walk->lane);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)walk->key);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)walk->id);
    int code = SQLITE_DONE;
    bool more = true;
    while (more && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct stored_job row;
        store_row(store, statement, &row);
        more = visitor(context, &row);
    }
    int result = store_result(store, code, "reading jobs", reterr);
    (void)sqlite3_reset(statement);
    return result;
}
