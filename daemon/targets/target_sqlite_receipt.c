/* target_sqlite_receipt.c - running the statements of one job, or of several, as one transaction;
 * exactly-once: with their receipts in it.
 *
 * Two statements go before the jobs': one makes the table awaitd_receipt where it is missing, one
 * inserts a row (store, job) for each. A job whose outcome was lost runs again; if it had been
 * committed the second one fails, and the jobs' own statements never run. */
#include "targets/target_sqlite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_STATEMENTS 2u
#define ID_SIZE 24u

_Static_assert(OWN_STATEMENTS + SQLITE_GATHERED_MAX <= SQLITE_STATEMENTS_MAX,
               "what gathers is one run of the library");

static const char table_sql[] =
    "CREATE TABLE IF NOT EXISTS awaitd_receipt (store TEXT NOT NULL, job INTEGER NOT NULL, at "
    "INTEGER NOT NULL DEFAULT (unixepoch()), PRIMARY KEY (store, job)) STRICT, WITHOUT ROWID";
static const char receipts_sql[] =
    "INSERT INTO awaitd_receipt (store, job) SELECT ?1, value FROM json_each(?2)";

/* All jobs of one transaction, while their statements run one after the other. */
struct together {
    struct sqlite_run *const *runs;
    uint32_t count;
    unsigned own;     /* statements before the jobs' */
    unsigned ended;   /* statements, ours counted */
    uint32_t current; /* the job that runs */
    unsigned first;   /* its first statement, ours counted */
};

static void on_restart(void *context)
{
    struct together *together = context;
    together->ended = 0;
    together->current = 0;
    together->first = together->own;
    for (uint32_t i = 0; i < together->count; i++) {
        const struct aw_sqlite_receiver *receiver = &together->runs[i]->receiver;
        receiver->restart(receiver->context);
    }
}

static int on_begin(void *context, unsigned index, sqlite3_stmt *statement)
{
    struct together *together = context;
    if (index < together->own)
        return 0;
    while (index - together->first >= together->runs[together->current]->job->count)
        together->first += together->runs[together->current++]->job->count;
    if (index == together->first) /* last_insert_rowid() is not to tell of a neighbour's row */
        sqlite3_set_last_insert_rowid(sqlite3_db_handle(statement), 0);
    const struct aw_sqlite_receiver *receiver = &together->runs[together->current]->receiver;
    return receiver->begin(receiver->context, index - together->first, statement);
}

static int on_row(void *context, sqlite3_stmt *statement)
{
    struct together *together = context;
    const struct aw_sqlite_receiver *receiver = &together->runs[together->current]->receiver;
    return receiver->row(receiver->context, statement);
}

static int on_end(void *context, unsigned index, sqlite3_stmt *statement, int64_t changes)
{
    struct together *together = context;
    together->ended = index + 1;
    if (index < together->own)
        return 0;
    const struct aw_sqlite_receiver *receiver = &together->runs[together->current]->receiver;
    int result = receiver->end(receiver->context, index - together->first, statement, changes);
    if (result < 0)
        together->ended = index; /* it has not: its result does not fit */
    return result;
}

/* The job whose statement was the next to end. */
static uint32_t guilty_of(const struct together *together)
{
    unsigned statement = together->own;
    for (uint32_t i = 0; i < together->count; i++) {
        statement += together->runs[i]->job->count;
        if (together->ended >= together->own && together->ended < statement)
            return i;
    }
    return SQLITE_NOBODY;
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

/* A text of JSON, "[1,2]"; NULL: no memory. */
static char *ids_of(struct sqlite_run *const *runs, uint32_t count, size_t *ret_size)
{
    char *text = malloc((size_t)count * ID_SIZE + 2);
    if (!text)
        return NULL;
    char *at = text;
    for (uint32_t i = 0; i < count; i++)
        at += snprintf(at, ID_SIZE, "%c%" PRIu64, i == 0 ? '[' : ',', runs[i]->job_id);
    memcpy(at, "]", 2);
    *ret_size = (size_t)(at - text) + 1;
    return text;
}

static unsigned statements_of(struct sqlite_run *const *runs, uint32_t count,
                              struct aw_sqlite_statement *ret_statements)
{
    unsigned total = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sqlite_job *job = runs[i]->job;
        if (ret_statements)
            memcpy(ret_statements + total, job->statements, job->count * sizeof(*ret_statements));
        total += job->count;
    }
    return total;
}

/* With room for our own statements before the jobs'. */
static int run_statements(struct aw_sqlite_pool *pool, struct aw_sqlite_statement *statements,
                          const struct aw_sqlite_value *receipt, struct together *together,
                          uint32_t *ret_guilty, struct aw_error *reterr)
{
    if (receipt) {
        statements[0] = (struct aw_sqlite_statement){ .sql = table_sql,
                                                      .sql_size = sizeof(table_sql) - 1 };
        statements[1] = (struct aw_sqlite_statement){ .sql = receipts_sql,
                                                      .sql_size = sizeof(receipts_sql) - 1,
                                                      .values = receipt,
                                                      .value_count = 2 };
    }
    unsigned count = statements_of(together->runs, together->count, statements + together->own);
    const struct aw_sqlite_receiver receiver = { .restart = on_restart,
                                                 .begin = on_begin,
                                                 .row = on_row,
                                                 .end = on_end,
                                                 .context = together };
    int result = aw_sqlite_query(pool, statements, together->own + count, &receiver, reterr);
    if (result < 0 && receipt && together->ended == 1 && reterr &&
        strcmp(reterr->code, "SQLITE_CONSTRAINT_PRIMARYKEY") == 0)
        return SQLITE_RECEIPT_EXISTS;
    if (result < 0 && ret_guilty)
        *ret_guilty = guilty_of(together);
    return result;
}

int sqlite_run_together(struct aw_sqlite_pool *pool, const char *store,
                        struct sqlite_run *const *runs, uint32_t count, uint32_t *ret_guilty,
                        struct aw_error *reterr)
{
    struct together together = { .runs = runs, .count = count, .own = store ? OWN_STATEMENTS : 0 };
    struct aw_sqlite_value receipt[] = { { .type = SQLITE_TEXT }, { .type = SQLITE_TEXT } };
    char *ids = NULL;
    if (ret_guilty)
        *ret_guilty = SQLITE_NOBODY;
    for (uint32_t i = 0; i < count; i++)
        runs[i]->rows.error = reterr;
    if (store) {
        ids = ids_of(runs, count, &receipt[1].size);
        receipt[0].data = store;
        receipt[0].size = strlen(store);
        receipt[1].data = ids;
    }
    struct aw_sqlite_statement *statements =
        calloc(statements_of(runs, count, NULL) + together.own, sizeof *statements);
    int result = statements && (ids || !store)
                     ? run_statements(pool, statements, store ? receipt : NULL, &together,
                                      ret_guilty, reterr)
                     : aw_error_set_code(reterr, -ENOMEM, "SQLITE_NOMEM", "out of memory");
    free(statements);
    free(ids);
    return result;
}
