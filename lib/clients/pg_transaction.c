/* pg_transaction.c - a transaction as a context manager, on a lease.
 *
 * Enter: lease, BEGIN. Exit: COMMIT when the body completed, then the lease goes back; giving it
 * back is what rolls an open transaction back, and closes the connection when that cannot be done,
 * which rolls back as well. */
#include "clients/pg_internal.h"

#include <await/pg_transaction.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COMMIT_MS 10000u
#define BEGIN_SIZE 160

static int run_text(struct aw_pg_transaction *transaction, const char *sql,
                    struct aw_pg_results **ret_results)
{
    const struct aw_pg_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    return aw_pg_lease_run(transaction->lease, &statement, 0, ret_results, &transaction->error);
}

static int begin(struct aw_pg_transaction *transaction)
{
    char sql[BEGIN_SIZE];
    int length =
        snprintf(sql, sizeof sql, "BEGIN %s", transaction->modes != NULL ? transaction->modes : "");
    if (length < 0 || (size_t)length >= sizeof sql) {
        return aw_error_set(&transaction->error, -EINVAL,
                            "the transaction's modes are longer than %d bytes", BEGIN_SIZE - 7);
    }
    return run_text(transaction, sql, NULL);
}

static int enter(void *object)
{
    struct aw_pg_transaction *transaction = object;
    transaction->error = (struct aw_error){0};
    aw_event_init(&transaction->changed);
    int status = aw_pg_lease_enter(transaction->pool, &transaction->changed, &transaction->lease,
                                   &transaction->error);
    if (status < 0) {
        return status;
    }
    status = begin(transaction);
    if (status < 0) {
        (void)aw_pg_lease_exit(transaction->lease);
        transaction->lease = NULL;
    }
    return status;
}

/* A COMMIT in a failed transaction, or in none, is no error for the server. */
static int commit(struct aw_pg_transaction *transaction)
{
    struct aw_error *error = &transaction->error;
    const struct pg_connection *connection = transaction->lease->connection;
    if (connection != NULL && connection->in_flight_count == 0 &&
        connection->transaction == PQTRANS_IDLE) {
        return aw_error_set_code(error, -EREMOTEIO, "25P01",
                                 "a statement inside had ended the transaction");
    }
    struct aw_pg_results *results = NULL;
    int status = run_text(transaction, "COMMIT", &results);
    if (status == 0 && strcmp(aw_pg_tag(results, 0), "COMMIT") != 0) {
        status = aw_error_set_code(error, -EREMOTEIO, "40000",
                                   "a statement had failed: the server rolled the transaction back "
                                   "at COMMIT");
    }
    aw_pg_results_free(results);
    return status;
}

static int leave(void *object, int outcome)
{
    struct aw_pg_transaction *transaction = object;
    int status = outcome < 0 ? 0 : commit(transaction);
    (void)aw_pg_lease_exit(transaction->lease); /* rolls back what is still open */
    transaction->lease = NULL;
    return status;
}

struct aw_with aw_pg_with_transaction(struct aw_pg_transaction *transaction)
{
    static const struct aw_manager manager = {
        .enter = enter, .exit = leave, .exit_timeout_ms = COMMIT_MS};
    return aw_with(&manager, transaction);
}

int aw_pg_transaction_query(struct aw_pg_transaction *transaction, const char *sql,
                            uint32_t parameter_count, const struct aw_pg_value *parameters,
                            struct aw_pg_results **ret_results)
{
    if (transaction->lease == NULL) {
        return aw_error_set(&transaction->error, -EINVAL,
                            "a statement of a transaction outside its block");
    }
    const struct aw_pg_statement statement = {
        .sql = sql,
        .sql_size = strlen(sql),
        .parameters = parameters,
        .parameter_count = parameter_count,
    };
    return aw_pg_lease_run(transaction->lease, &statement, 0, ret_results, &transaction->error);
}
