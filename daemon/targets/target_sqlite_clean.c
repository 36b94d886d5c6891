/* target_sqlite_clean.c - the receipts of a sqlite target for receipt_cleaner.h.
 *
 * There is no fence: the engine runs inside this process and an execution does not come back before
 * its transaction has ended. What a killed daemon had open ended with it: the next one opens the
 * queue, whose lock the kernel lets go once every operation of the dead one is over. */
#include "targets/receipt_cleaner.h"
#include "targets/target_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The clock of receipts has whole seconds: an age is taken for at most what it is. */
static const char list_sql[] =
    "SELECT job, (unixepoch() - at - 1) * 1000 >= ?3 FROM awaitd_receipt WHERE store = ?1 AND "
    "job > ?2 ORDER BY job LIMIT 1024";
static const char forget_sql[] = "DELETE FROM awaitd_receipt WHERE store = ?1 AND job = ?2";

_Static_assert(RECEIPT_PAGE == 1024, "the LIMIT of list_sql");
#define DELETES_MAX 512u /* in one transaction */
_Static_assert(DELETES_MAX <= SQLITE_STATEMENTS_MAX, "they are statements of one run");

struct reading {
    struct receipt_page *page;
    uint32_t rows;
};

static void on_restart(void *context)
{
    struct reading *reading = context;
    reading->rows = 0;
    reading->page->count = 0;
}

static int on_row(void *context, sqlite3_stmt *statement)
{
    struct reading *reading = context;
    struct receipt_page *page = reading->page;
    reading->rows++;
    page->last = (uint64_t)sqlite3_column_int64(statement, 0);
    if (sqlite3_column_int(statement, 1))
        page->ids[page->count++] = page->last;
    return 0;
}

static struct aw_sqlite_value store_value(const struct target *target)
{
    const char *store = target->settings.store;
    return (struct aw_sqlite_value){.type = SQLITE_TEXT, .data = store, .size = strlen(store)};
}

static struct aw_sqlite_value number_value(uint64_t number)
{
    return (struct aw_sqlite_value){.type = SQLITE_INTEGER, .integer = (int64_t)number};
}

static int list(void *context, uint64_t after, struct receipt_page *ret_page,
                struct aw_error *reterr)
{
    const struct sqlite_receipts *receipts = context;
    const struct aw_sqlite_value values[] = {
        store_value(receipts->target), number_value(after),
        number_value(receipts->target->settings.receipt_keep_ms)};
    const struct aw_sqlite_statement statement = {.sql = list_sql,
                                                  .sql_size = sizeof list_sql - 1,
                                                  .values = values,
                                                  .value_count = 3};
    struct reading reading = {.page = ret_page};
    const struct aw_sqlite_receiver receiver = {.restart = on_restart,
                                                .row = on_row,
                                                .context = &reading};
    int result = aw_sqlite_query(receipts->pool, &statement, 1, &receiver, reterr);
    ret_page->end = reading.rows < RECEIPT_PAGE || ret_page->count == 0;
    return result < 0 && strstr(reterr->message, "no such table") ? -ENOENT : result;
}

static int forget_some(const struct sqlite_receipts *receipts, const uint64_t *ids, uint32_t count,
                       struct aw_error *reterr)
{
    struct aw_sqlite_statement *statements = calloc(count, sizeof *statements);
    struct aw_sqlite_value(*values)[2] = calloc(count, sizeof *values);
    int result = -ENOMEM;
    if (statements && values) {
        for (uint32_t i = 0; i < count; i++) {
            values[i][0] = store_value(receipts->target);
            values[i][1] = number_value(ids[i]);
            statements[i] = (struct aw_sqlite_statement){.sql = forget_sql,
                                                         .sql_size = sizeof forget_sql - 1,
                                                         .values = values[i],
                                                         .value_count = 2};
        }
        const struct aw_sqlite_receiver nobody = {0};
        result = aw_sqlite_query(receipts->pool, statements, count, &nobody, reterr);
    } else {
        aw_error_set(reterr, result, "out of memory");
    }
    free(statements);
    free(values);
    return result;
}

static int forget(void *context, const uint64_t *ids, uint32_t count, struct aw_error *reterr)
{
    int result = 0;
    for (uint32_t at = 0; at < count && result == 0; at += DELETES_MAX)
        result = forget_some(context, ids + at,
                             count - at < DELETES_MAX ? count - at : DELETES_MAX, reterr);
    return result;
}

int sqlite_receipts_clean(struct sqlite_receipts *receipts)
{
    static const struct receipt_engine engine = {.list = list, .forget = forget};
    return receipt_cleaner_start(receipts->target, &engine, receipts);
}
