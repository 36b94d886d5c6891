/* target_sqlite_receipt.c - exactly-once on SQLite: a receipt in the job's own transaction.
 *
 * Two statements go before the job's: one makes the table awaitd_receipt where it is missing, one
 * inserts (store, job). A job whose outcome was lost runs again; if it had been committed the
 * second one fails, and the job's own statements never run. */
#include "targets/target_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OWN_STATEMENTS 2u

static const char table_sql[] =
    "CREATE TABLE IF NOT EXISTS awaitd_receipt (store TEXT NOT NULL, job INTEGER NOT NULL, at "
    "INTEGER NOT NULL DEFAULT (unixepoch()), PRIMARY KEY (store, job)) STRICT, WITHOUT ROWID";
static const char receipt_sql[] = "INSERT INTO awaitd_receipt (store, job) VALUES (?1, ?2)";

/* The job's own receiver, which must not see our statements. */
struct behind {
    const struct aw_sqlite_receiver *receiver;
    unsigned running; /* the statement that runs, ours counted */
};

static void on_restart(void *context)
{
    struct behind *behind = context;
    behind->running = 0;
    behind->receiver->restart(behind->receiver->context);
}

static int on_begin(void *context, unsigned index, sqlite3_stmt *statement)
{
    struct behind *behind = context;
    behind->running = index;
    if (index < OWN_STATEMENTS)
        return 0;
    return behind->receiver->begin(behind->receiver->context, index - OWN_STATEMENTS, statement);
}

static int on_row(void *context, sqlite3_stmt *statement)
{
    struct behind *behind = context;
    return behind->receiver->row(behind->receiver->context, statement);
}

static int on_end(void *context, unsigned index, sqlite3_stmt *statement, int64_t changes)
{
    struct behind *behind = context;
    if (index < OWN_STATEMENTS)
        return 0;
    return behind->receiver->end(behind->receiver->context, index - OWN_STATEMENTS, statement,
                                 changes);
}

int sqlite_receipt_check(const struct argument *arguments, uint32_t count, struct aw_error *reterr)
{
    struct sqlite_job job;
    int result = sqlite_job_parse(arguments, count, &job, reterr);
    if (result < 0)
        return result;
    for (unsigned i = 0; i < job.count && result == 0; i++) {
        const char *cursor = job.statements[i].sql;
        size_t length;
        const char *word =
            aw_sqlite_next_word(&cursor, cursor + job.statements[i].sql_size, &length);
        if (length == 6 && sqlite3_strnicmp(word, "VACUUM", 6) == 0)
            result = aw_error_set(reterr, -EINVAL,
                                  "VACUUM is refused on an exactly-once target: it cannot run in a "
                                  "transaction with its receipt; use a target with other "
                                  "delivery");
    }
    if (result == 0 && job.count > SQLITE_STATEMENTS_MAX - OWN_STATEMENTS)
        result = aw_error_set(reterr, -EINVAL, "%u statements; on an exactly-once target at most "
                              "%u run in one transaction", job.count,
                              SQLITE_STATEMENTS_MAX - OWN_STATEMENTS);
    sqlite_job_free(&job);
    return result;
}

int sqlite_receipt_query(struct aw_sqlite_pool *pool, const char *store, uint64_t job_id,
                         const struct sqlite_job *job, const struct aw_sqlite_receiver *receiver,
                         struct aw_error *reterr)
{
    struct aw_sqlite_statement *statements =
        calloc(job->count + OWN_STATEMENTS, sizeof *statements);
    if (!statements)
        return aw_error_set_code(reterr, -ENOMEM, "SQLITE_NOMEM", "out of memory");
    const struct aw_sqlite_value values[] = {
        { .type = SQLITE_TEXT, .data = store, .size = strlen(store) },
        { .type = SQLITE_INTEGER, .integer = (int64_t)job_id },
    };
    statements[0] = (struct aw_sqlite_statement){ .sql = table_sql,
                                                  .sql_size = sizeof(table_sql) - 1 };
    statements[1] = (struct aw_sqlite_statement){ .sql = receipt_sql,
                                                  .sql_size = sizeof(receipt_sql) - 1,
                                                  .values = values,
                                                  .value_count = 2 };
    memcpy(statements + OWN_STATEMENTS, job->statements, job->count * sizeof(*statements));
    struct behind behind = { .receiver = receiver };
    const struct aw_sqlite_receiver front = { .restart = on_restart,
                                              .begin = on_begin,
                                              .row = on_row,
                                              .end = on_end,
                                              .context = &behind };
    int result = aw_sqlite_query(pool, statements, job->count + OWN_STATEMENTS, &front, reterr);
    free(statements);
    if (result < 0 && behind.running == 1 && reterr &&
        strcmp(reterr->code, "SQLITE_CONSTRAINT_PRIMARYKEY") == 0)
        return SQLITE_RECEIPT_EXISTS;
    return result;
}
