/* sqlite_session.c - a connection of a pool for one task alone, with transactions of its own.
 *
 * Order of locks: a session has its connection first and takes the writer lock when its first
 * statement writes, the other way round than a query. That cannot lock up as long as sessions do
 * not take all connections of the pool: the lock's holder always finds one, or has one.
 *
 * SQLite rolls a whole transaction back by itself after some errors (an interrupted write, a full
 * disk). What the client sends next was meant for that transaction and must not run outside of it:
 * from then on everything but ROLLBACK is refused. */
#include "clients/sqlite_pool.h"

#include <await/scope.h>
#include <errno.h>
#include <stdlib.h>

struct aw_sqlite_session {
    struct aw_sqlite_pool *pool;
    struct pool_connection *connection;
    bool writer;      /* holds the writer lock */
    bool rolled_back; /* by SQLite, and the client has not said ROLLBACK yet */
};

int aw_sqlite_session_enter(struct aw_sqlite_pool *pool, struct aw_event *lost,
                            struct aw_sqlite_session **ret_session, struct aw_error *reterr)
{
    struct aw_sqlite_session *session = calloc(1, sizeof(*session));
    if (!session)
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    session->pool = pool;
    int result = sqlite_pool_lease(pool, &session->connection, reterr);
    if (result < 0) {
        free(session);
        return result;
    }
    session->connection->resting = true;
    session->connection->lost = lost;
    session->connection->database->session = true;
    *ret_session = session;
    return 0;
}

bool aw_sqlite_session_is_alive(const struct aw_sqlite_session *session)
{
    return session->pool->recovery == RECOVERY_NONE &&
           !aw_sqlite_failed(session->connection->database);
}

static bool in_transaction(const struct aw_sqlite_session *session)
{
    return sqlite3_get_autocommit(session->connection->database->handle) == 0;
}

/* ROLLBACK as a whole, not to a savepoint, which is gone. */
static bool is_rollback(const struct aw_sqlite_statement *statement)
{
    const char *cursor = statement->sql;
    const char *end = statement->sql + statement->sql_size;
    size_t length;
    const char *word = aw_sqlite_next_word(&cursor, end, &length);
    if (length != 8 || sqlite3_strnicmp(word, "ROLLBACK", 8) != 0)
        return false;
    word = aw_sqlite_next_word(&cursor, end, &length);
    if (length == 11 && sqlite3_strnicmp(word, "TRANSACTION", 11) == 0)
        aw_sqlite_next_word(&cursor, end, &length);
    return length == 0 && cursor == end;
}

/* A checkpoint must not meet a connection that begins a transaction (see sqlite_pool.c). */
static int wake(struct aw_sqlite_session *session, struct aw_error *reterr)
{
    int result = in_transaction(session) ? 0 : sqlite_pool_pass_gate(session->pool);
    if (result < 0)
        return aw_error_set(reterr, result, "interrupted while waiting for a checkpoint of %s",
                            session->pool->path);
    session->connection->resting = false;
    return 0;
}

static void rest(struct aw_sqlite_session *session)
{
    if (session->writer) {
        session->pool->wal_size = aw_sqlite_wal_size(session->connection->database);
        if (!in_transaction(session)) {
            session->writer = false;
            aw_lock_release(&session->pool->writer);
        }
    }
    session->connection->resting = !in_transaction(session);
}

static int run(struct aw_sqlite_session *session, const struct aw_sqlite_statement *statement,
               const struct aw_sqlite_receiver *receiver, struct aw_error *reterr)
{
    struct sqlite_query query = { .pool = session->pool,
                                  .statements = statement,
                                  .count = 1,
                                  .receiver = receiver,
                                  .error = reterr,
                                  .writer = session->writer };
    struct aw_sqlite *database = session->connection->database;
    bool alone = !in_transaction(session);
    int result = sqlite_query_run_statement(&query, database, 0, alone);
    if (result == SQLITE_BEGIN_AGAIN_AS_WRITER) {
        result = sqlite_pool_become_writer(session->pool, reterr);
        if (result < 0)
            return result;
        session->writer = query.writer = true;
        result = sqlite_query_run_statement(&query, database, 0, alone);
    }
    /* a single statement that failed in the transaction we have put around it */
    if (result < 0 && alone && in_transaction(session) && !aw_sqlite_failed(database))
        sqlite_pool_roll_back(database);
    return result;
}

int aw_sqlite_session_query(struct aw_sqlite_session *session,
                            const struct aw_sqlite_statement *statement,
                            const struct aw_sqlite_receiver *receiver, struct aw_error *reterr)
{
    static const struct aw_sqlite_receiver nobody;
    struct aw_sqlite *database = session->connection->database;
    receiver = receiver ? receiver : &nobody;
    if (session->rolled_back) {
        if (!is_rollback(statement))
            return aw_error_set_code(reterr, -EINVAL, "SQLITE_ABORT_ROLLBACK",
                                     "an error before has rolled the transaction back: send "
                                     "ROLLBACK");
        session->rolled_back = false;
        return AW_SQLITE_ROLLED_BACK_BEFORE;
    }
    if (receiver->restart)
        receiver->restart(receiver->context);
    bool was_open = in_transaction(session);
    int result = wake(session, reterr);
    if (result < 0)
        return result;
    result = run(session, statement, receiver, reterr);
    if (!aw_sqlite_failed(database))
        session->rolled_back = result < 0 && was_open && !in_transaction(session);
    rest(session);
    return result;
}

bool aw_sqlite_session_exit(struct aw_sqlite_session *session)
{
    struct aw_sqlite *database = session->connection->database;
    bool was_open = in_transaction(session) || session->rolled_back;
    /* what was allowed to this session only must not be found prepared by a job */
    sqlite_statements_free(database);
    database->session = false;
    session->connection->resting = false;
    session->connection->lost = NULL;
    sqlite_pool_release(session->pool, session->connection);
    if (session->writer)
        aw_lock_release(&session->pool->writer);
    free(session);
    return was_open;
}
