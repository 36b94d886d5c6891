/* postgres_receipt.c - see postgres_receipt.h. */
#include "targets/postgres_receipt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ASK_AGAIN_MS 3000u

static const char schema_sql[] = "CREATE SCHEMA IF NOT EXISTS awaitd";
static const char table_sql[] =
    "CREATE TABLE IF NOT EXISTS awaitd.receipt (store uuid, job_id bigint, "
    "at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (store, job_id))";
static const char probe_sql[] = "SELECT has_table_privilege('awaitd.receipt', 'INSERT')";
static const char receipt_sql[] = "INSERT INTO awaitd.receipt (store, job_id) VALUES ($1, $2)";
static const char receipts_sql[] =
    "INSERT INTO awaitd.receipt (store, job_id) SELECT $1, unnest($2::bigint[])";

const char postgres_receipts_preparation[] =
    "CREATE SCHEMA IF NOT EXISTS awaitd;\n"
    "CREATE TABLE IF NOT EXISTS awaitd.receipt (store uuid, job_id bigint,\n"
    "    at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (store, job_id));\n"
    "GRANT USAGE ON SCHEMA awaitd TO <role>;\n"
    "-- INSERT is needed; SELECT and DELETE are for the cleaning of old receipts\n"
    "GRANT INSERT, SELECT, DELETE ON awaitd.receipt TO <role>;\n";

void postgres_receipts_init(struct postgres_receipts *receipts, struct target *target,
                            struct aw_pg_pool *pool)
{
    *receipts = (struct postgres_receipts){.target = target, .pool = pool};
    aw_lock_init(&receipts->making);
}

/* A list of what may, not of what may not: a statement that ends the transaction by itself (CALL
 * and DO can) commits the receipt with half of the effect, and nobody would run the other half. */
static bool shares_transaction(const char *word)
{
    static const char *const known[] = {
        "SELECT",  "INSERT", "UPDATE", "DELETE",  "MERGE",  "WITH",    "VALUES",  "TABLE",
        "CREATE",  "ALTER",  "DROP",   "COMMENT", "GRANT",  "REVOKE",  "TRUNCATE", "LOCK",
        "ANALYZE", "EXPLAIN", "SHOW",  "NOTIFY",  "REFRESH", "REASSIGN", "SECURITY", "IMPORT",
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(word, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

int postgres_receipt_check(const struct postgres_job *job, struct aw_error *reterr)
{
    for (uint32_t i = 0; i < job->statement_count; i++) {
        char word[AW_PG_WORD_SIZE];
        aw_pg_first_word(job->statements[i].sql, job->statements[i].sql_size, word);
        if (!shares_transaction(word)) {
            return aw_error_set(reterr, -EINVAL,
                                "%s is refused on an exactly-once target: it can commit by itself "
                                "or cannot run in a transaction, so its receipt would not be true; "
                                "use a function with SELECT, or a target with another delivery",
                                word[0] != '\0' ? word : "the statement");
        }
    }
    return 0;
}

void postgres_receipt_fill(const struct postgres_receipts *receipts, uint64_t job_id,
                           struct postgres_receipt *ret_receipt)
{
    int length = snprintf(ret_receipt->job_id, sizeof ret_receipt->job_id, "%" PRIu64, job_id);
    const char *store = receipts->target->settings.store;
    ret_receipt->values[0] = (struct aw_pg_value){store, strlen(store), false};
    ret_receipt->values[1] = (struct aw_pg_value){ret_receipt->job_id, (size_t)length, false};
    ret_receipt->statement = (struct aw_pg_statement){
        .sql = receipt_sql,
        .sql_size = sizeof receipt_sql - 1,
        .parameters = ret_receipt->values,
        .parameter_count = 2,
    };
}

void postgres_receipt_fill_many(const struct postgres_receipts *receipts, const char *ids,
                                struct postgres_receipt *ret_receipt)
{
    const char *store = receipts->target->settings.store;
    ret_receipt->values[0] = (struct aw_pg_value){store, strlen(store), false};
    ret_receipt->values[1] = (struct aw_pg_value){ids, strlen(ids), false};
    ret_receipt->statement = (struct aw_pg_statement){
        .sql = receipts_sql,
        .sql_size = sizeof receipts_sql - 1,
        .parameters = ret_receipt->values,
        .parameter_count = 2,
    };
}

void postgres_receipt_session_name(const struct target *target,
                                   char ret_name[POSTGRES_RECEIPT_NAME_SIZE])
{
    (void)snprintf(ret_name, POSTGRES_RECEIPT_NAME_SIZE, "awaitd/%.36s", target->settings.store);
}

enum receipt_verdict postgres_receipt_judge(const struct aw_error *error)
{
    static const char *const missing[] = {"42P01", "3F000", "42501", "42703"};
    if (strcmp(error->code, "23505") == 0) {
        return RECEIPT_EXISTS;
    }
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        if (strcmp(error->code, missing[i]) == 0) {
            return RECEIPT_MISSING;
        }
    }
    return RECEIPT_OTHER;
}

static int run(struct postgres_receipts *receipts, const char *sql, struct aw_error *reterr)
{
    return aw_pg_query(receipts->pool, sql, 0, NULL, NULL, reterr);
}

/* 0: the table is there and takes our rows. */
static int probe(struct postgres_receipts *receipts, struct aw_error *reterr)
{
    struct aw_pg_results *results = NULL;
    int status = aw_pg_query(receipts->pool, probe_sql, 0, NULL, &results, reterr);
    if (status == 0) {
        struct aw_pg_value value = aw_pg_value_at(results, 0, 0, 0);
        if (value.null || value.size != 1 || value.data[0] != 't') {
            status = aw_error_set_code(reterr, -EREMOTEIO, "42501",
                                       "no INSERT privilege on awaitd.receipt");
        }
    }
    aw_pg_results_free(results);
    return status;
}

/* The schema is only asked for when there is none: its IF NOT EXISTS wants the right to make one
 * even where it exists. */
static int make(struct postgres_receipts *receipts, struct aw_error *reterr)
{
    struct aw_error error;
    int status = probe(receipts, reterr);
    if (status != -EREMOTEIO || postgres_receipt_judge(reterr) != RECEIPT_MISSING) {
        return status;
    }
    if (run(receipts, table_sql, &error) == -EREMOTEIO && run(receipts, schema_sql, &error) == 0) {
        AW_IGNORE(run(receipts, table_sql, &error));
    }
    return probe(receipts, reterr);
}

static void explain(const struct postgres_receipts *receipts, struct aw_error *error)
{
    char why[AW_ERROR_MESSAGE_SIZE];
    (void)snprintf(why, sizeof why, "%.80s", error->message);
    aw_error_set_code(error, error->number, error->code,
                      "exactly-once needs a table that awaitd's role cannot make (%s); run once: "
                      "CREATE SCHEMA IF NOT EXISTS awaitd; CREATE TABLE IF NOT EXISTS "
                      "awaitd.receipt (store uuid, job_id bigint, at timestamptz NOT NULL DEFAULT "
                      "now(), PRIMARY KEY (store, job_id)); GRANT USAGE ON SCHEMA awaitd TO "
                      "<role>; GRANT INSERT, SELECT, DELETE ON awaitd.receipt TO <role>;",
                      why);
    target_set_down(receipts->target, error->message);
}

static int ask_again(void *argument)
{
    struct postgres_receipts *receipts = argument;
    struct aw_error error = {0};
    aw_task_set_name(NULL, "postgres receipts");
    while (aw_sleep(ASK_AGAIN_MS) == 0) {
        int status = make(receipts, &error);
        if (status == 0) {
            target_set_up(receipts->target);
        } else if (status == -EREMOTEIO && postgres_receipt_judge(&error) == RECEIPT_MISSING) {
            explain(receipts, &error);
            continue;
        }
        /* any other trouble is the pool's, which says itself when the server is back; the first
         * job then finds out about the table */
        if (status == 0 || receipts->target->up) {
            break;
        }
    }
    receipts->asking = false;
    return 0;
}

int postgres_receipts_make(struct postgres_receipts *receipts, struct aw_error *reterr)
{
    int status = aw_lock_acquire(&receipts->making);
    if (status < 0) {
        return aw_error_set(reterr, status, "interrupted while the receipts' table is made");
    }
    status = make(receipts, reterr);
    if (status == -EREMOTEIO && postgres_receipt_judge(reterr) == RECEIPT_MISSING) {
        explain(receipts, reterr);
        if (!receipts->asking &&
            aw_group_spawn(receipts->target->group, ask_again, receipts) == 0) {
            receipts->asking = true;
        } else if (!receipts->asking) {
            target_set_up(receipts->target); /* rather up and failing than down for ever */
        }
    }
    aw_lock_release(&receipts->making);
    return status;
}

int postgres_receipts_prepare(struct postgres_receipts *receipts, struct aw_error *reterr)
{
    static const char sql[] = "SELECT has_table_privilege('awaitd.receipt', 'SELECT') AND "
                              "has_table_privilege('awaitd.receipt', 'DELETE')";
    struct aw_pg_results *results = NULL;
    int status = postgres_receipts_make(receipts, reterr);
    if (status == 0) {
        status = aw_pg_query(receipts->pool, sql, 0, NULL, &results, reterr);
    }
    if (status == 0 && receipts->target->settings.receipt_keep_ms > 0 &&
        aw_pg_value_at(results, 0, 0, 0).data[0] != 't') {
        status = aw_error_set_code(reterr, -EPERM, "42501",
                                   "awaitd.receipt is there and jobs run, but old receipts stay: "
                                   "GRANT SELECT, DELETE ON awaitd.receipt TO awaitd's role, or "
                                   "set receipt_keep = 0");
    }
    aw_pg_results_free(results);
    return status;
}
