/* sqlite_query.c - running statements of a query as one transaction on a lent connection.
 *
 * Whether a query writes is guessed from the first words, so that a writer waits for its turn
 * before it takes a connection; when a statement turns out to write after all (WITH ... INSERT)
 * nothing has happened yet and the query begins again as a writer. */
#include "clients/sqlite_pool.h"

#include <await/scope.h>
#include <errno.h>

#define STATEMENTS_MAX 1000u
#define WAL_BYTES_MAX ((uint64_t)1 << 30)

static bool seems_to_write(const struct aw_sqlite_statement *statement)
{
    static const char *const readers[] = { "SELECT", "WITH", "VALUES", "EXPLAIN", "PRAGMA" };
    const char *cursor = statement->sql;
    size_t length;
    const char *word = aw_sqlite_next_word(&cursor, statement->sql + statement->sql_size, &length);
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
        if (sqlite3_strnicmp(readers[i], word, (int)length) == 0 && readers[i][length] == '\0')
            return false;
    return true;
}

static bool is_pragma(const struct aw_sqlite_statement *statement)
{
    const char *cursor = statement->sql;
    size_t length;
    const char *word = aw_sqlite_next_word(&cursor, statement->sql + statement->sql_size, &length);
    return length == 6 && sqlite3_strnicmp(word, "PRAGMA", 6) == 0;
}

static int bind_one(sqlite3_stmt *statement, int index, const struct aw_sqlite_value *value)
{
    const char *data = value->data ? value->data : "";
    switch (value->type) {
    case SQLITE_TEXT:
        return sqlite3_bind_text64(statement, index, data, value->size, SQLITE_STATIC, SQLITE_UTF8);
    case SQLITE_BLOB:
        return sqlite3_bind_blob64(statement, index, data, value->size, SQLITE_STATIC);
    case SQLITE_INTEGER:
        return sqlite3_bind_int64(statement, index, value->integer);
    case SQLITE_FLOAT:
        return sqlite3_bind_double(statement, index, value->real);
    default:
        return sqlite3_bind_null(statement, index);
    }
}

static int bind_values(struct sqlite_query *query, struct aw_sqlite *database,
                       sqlite3_stmt *statement, const struct aw_sqlite_statement *source)
{
    unsigned wanted = (unsigned)sqlite3_bind_parameter_count(statement);
    if (wanted != source->value_count)
        return aw_error_set_code(query->error, -EINVAL, "SQLITE_RANGE",
                                 "the statement has %u parameter%s, %u given", wanted,
                                 wanted == 1 ? "" : "s", source->value_count);
    for (unsigned i = 0; i < source->value_count; i++) {
        int result = bind_one(statement, (int)i + 1, &source->values[i]);
        if (result != SQLITE_OK)
            return aw_sqlite_error(database, result, query->error);
    }
    return 0;
}

static int step_through(struct sqlite_query *query, struct aw_sqlite *database,
                        sqlite3_stmt *statement, unsigned index)
{
    const struct aw_sqlite_receiver *receiver = query->receiver;
    int result = receiver->begin ? receiver->begin(receiver->context, index, statement) : 0;
    int code = SQLITE_OK;
    while (result == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
        if (receiver->row)
            result = receiver->row(receiver->context, statement);
    if (result == 0)
        result = aw_sqlite_error(database, code, query->error);
    if (result == 0 && receiver->end)
        result = receiver->end(receiver->context, index, statement,
                               sqlite3_changes64(database->handle));
    return result < 0 ? result : 0;
}

int sqlite_query_run_statement(struct sqlite_query *query, struct aw_sqlite *database,
                               unsigned index, bool wrap)
{
    const struct aw_sqlite_statement *source = &query->statements[index];
    sqlite3_stmt *statement = NULL;
    int result = aw_sqlite_prepare(database, source->sql, source->sql_size, &statement,
                                   query->error);
    if (result < 0)
        return result;
    bool writes = !sqlite3_stmt_readonly(statement);
    if (writes && !query->writer) {
        aw_sqlite_done(database, statement);
        return SQLITE_BEGIN_AGAIN_AS_WRITER;
    }
    result = bind_values(query, database, statement, source);
    bool begun = false;
    bool gives_rows = sqlite3_column_count(statement) > 0 && !is_pragma(source);
    if (result == 0 && wrap && writes && gives_rows) {
        result = aw_sqlite_execute(database, "BEGIN IMMEDIATE", query->error);
        begun = result == 0;
    }
    database->refusal[0] = '\0';
    if (result == 0)
        result = step_through(query, database, statement, index);
    aw_sqlite_done(database, statement);
    if (result == 0 && begun)
        result = aw_sqlite_execute(database, "COMMIT", query->error);
    return result;
}

/* The release of the connection rolls back what an error leaves open. */
static int run_on(struct sqlite_query *query, struct aw_sqlite *database)
{
    if (query->receiver->restart)
        query->receiver->restart(query->receiver->context);
    if (query->count == 1)
        return sqlite_query_run_statement(query, database, 0, true);

    int result = aw_sqlite_execute(database, query->writer ? "BEGIN IMMEDIATE" : "BEGIN",
                                   query->error);
    for (unsigned i = 0; i < query->count && result == 0; i++)
        result = sqlite_query_run_statement(query, database, i, false);
    if (result == 0)
        result = aw_sqlite_execute(database, "COMMIT", query->error);
    return result;
}

static int run_once(struct sqlite_query *query)
{
    struct aw_sqlite_pool *pool = query->pool;
    struct pool_connection *connection;
    int result = sqlite_pool_lease(pool, &connection, query->error);
    if (result < 0)
        return result;
    result = run_on(query, connection->database);
    if (query->writer)
        pool->wal_size = aw_sqlite_wal_size(connection->database);
    sqlite_pool_release(pool, connection);
    return result;
}

int sqlite_pool_become_writer(struct aw_sqlite_pool *pool, struct aw_error *reterr)
{
    if (pool->wal_size > WAL_BYTES_MAX)
        return aw_error_set_code(reterr, -ENOSPC, "SQLITE_FULL",
                                 "cannot write to %s: its WAL has grown to %llu MiB because a "
                                 "reader keeps it from being moved; end that reader",
                                 pool->path, (unsigned long long)(pool->wal_size >> 20));
    int result = aw_lock_acquire(&pool->writer);
    if (result < 0)
        return aw_error_set(reterr, result, "interrupted while waiting to write to %s", pool->path);
    return 0;
}

static int run_as_writer(struct sqlite_query *query)
{
    struct aw_sqlite_pool *pool = query->pool;
    int result = sqlite_pool_become_writer(pool, query->error);
    if (result < 0)
        return result;
    query->writer = true;
    result = run_once(query);
    aw_lock_release(&pool->writer);
    return result;
}

int aw_sqlite_query(struct aw_sqlite_pool *pool, const struct aw_sqlite_statement *statements,
                    unsigned count, const struct aw_sqlite_receiver *receiver,
                    struct aw_error *reterr)
{
    static const struct aw_sqlite_receiver nobody;
    if (count == 0 || count > STATEMENTS_MAX)
        return aw_error_set(reterr, -EINVAL, "a query has 1 to %u statements", STATEMENTS_MAX);
    struct sqlite_query query = { .pool = pool,
                           .statements = statements,
                           .count = count,
                           .receiver = receiver ? receiver : &nobody,
                           .error = reterr };
    bool writes = false;
    for (unsigned i = 0; i < count && !writes; i++)
        writes = seems_to_write(&statements[i]);
    int result = writes ? run_as_writer(&query) : run_once(&query);
    if (result == SQLITE_BEGIN_AGAIN_AS_WRITER)
        result = run_as_writer(&query);
    return result;
}

int aw_sqlite_pool_probe(struct aw_sqlite_pool *pool, struct aw_error *reterr)
{
    static const char sql[] = "SELECT count(*) FROM sqlite_schema";
    const struct aw_sqlite_statement statement = { .sql = sql, .sql_size = sizeof(sql) - 1 };
    return aw_sqlite_query(pool, &statement, 1, NULL, reterr);
}
