/* sqlite_transaction.c - a transaction as a context manager, on a session of a pool. Giving the
 * session back is what rolls an open transaction back. */
#include <await/sqlite_transaction.h>

#include <errno.h>
#include <string.h>

#define COMMIT_MS 10000u

int aw_sqlite_transaction_query(struct aw_sqlite_transaction *transaction,
                                const struct aw_sqlite_statement *statement,
                                const struct aw_sqlite_receiver *receiver)
{
    if (!transaction->session)
        return aw_error_set(&transaction->error, -EINVAL,
                            "a statement of a transaction outside its block");
    return aw_sqlite_session_query(transaction->session, statement, receiver, &transaction->error);
}

int aw_sqlite_transaction_execute(struct aw_sqlite_transaction *transaction, const char *sql)
{
    const struct aw_sqlite_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    return aw_sqlite_transaction_query(transaction, &statement, NULL);
}

static void give_back(struct aw_sqlite_transaction *transaction)
{
    (void)aw_sqlite_session_exit(transaction->session);
    transaction->session = NULL;
}

static int enter(void *object)
{
    struct aw_sqlite_transaction *transaction = object;
    transaction->error = (struct aw_error){0};
    transaction->session = NULL;
    aw_event_init(&transaction->lost);
    int result = aw_sqlite_session_enter(transaction->pool, &transaction->lost,
                                         &transaction->session, &transaction->error);
    if (result < 0)
        return result;
    result = aw_sqlite_transaction_execute(transaction,
                                           transaction->immediate ? "BEGIN IMMEDIATE" : "BEGIN");
    if (result < 0)
        give_back(transaction);
    return result;
}

static int leave(void *object, int outcome)
{
    struct aw_sqlite_transaction *transaction = object;
    int result = outcome < 0 ? 0 : aw_sqlite_transaction_execute(transaction, "COMMIT");
    give_back(transaction);
    return result;
}

struct aw_with aw_sqlite_with_transaction(struct aw_sqlite_transaction *transaction)
{
    static const struct aw_manager manager = {
        .enter = enter, .exit = leave, .exit_timeout_ms = COMMIT_MS};
    return aw_with(&manager, transaction);
}
