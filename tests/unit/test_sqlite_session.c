/* test_sqlite_session.c - a connection of a pool for one task: sessions, transactions as blocks,
 * what errors are called; cancelled at each of its suspensions. */
#include "support/cancel.h"
#include "support/process.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static struct aw_sqlite_pool *pool;

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
}

static void leave_folder(void)
{
    folder_remove(folder);
}

TestSuite(sqlite_session, .init = enter_folder, .fini = leave_folder, .timeout = 300);

static int run_with_pool(void *argument)
{
    int (*body)(void) = *(int (**)(void))argument;
    const struct aw_sqlite_pool_options options = {
        .flags = AW_SQLITE_CREATE, .connections_max = 3, .busy_timeout_ms = 60000};
    int result = aw_sqlite_pool_new(&pool, "session.db", &options, NULL);
    cr_assert_eq(result, 0);
    const struct aw_sqlite_statement create = {.sql = "CREATE TABLE IF NOT EXISTS t (n UNIQUE)",
                                               .sql_size = 39};
    result = aw_sqlite_query(pool, &create, 1, NULL, NULL);
    cr_assert_eq(result, 0);
    result = body();
    aw_sqlite_pool_free(pool);
    return result;
}

static void run(int (*body)(void))
{
    cr_assert_eq(aw_run(run_with_pool, &body), 0);
}

static int keep_number(void *context, sqlite3_stmt *statement)
{
    *(int64_t *)context = sqlite3_column_int64(statement, 0);
    return 0;
}

static int64_t count_rows(void)
{
    int64_t number = -1;
    const struct aw_sqlite_statement count = {.sql = "SELECT count(*) FROM t", .sql_size = 22};
    const struct aw_sqlite_receiver receiver = {.row = keep_number, .context = &number};
    int result = aw_sqlite_query(pool, &count, 1, &receiver, NULL);
    cr_expect_eq(result, 0);
    return number;
}

static int say(struct aw_sqlite_session *session, const char *sql, struct aw_error *reterr)
{
    const struct aw_sqlite_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    return aw_sqlite_session_query(session, &statement, NULL, reterr);
}

static int session_of_its_own(void)
{
    struct aw_event lost;
    aw_event_init(&lost);
    struct aw_sqlite_session *session;
    struct aw_error error = {0};
    cr_assert_eq(aw_sqlite_session_enter(pool, &lost, &session, &error), 0, "%s", error.message);
    cr_expect(aw_sqlite_session_is_alive(session));
    cr_expect_eq(say(session, "BEGIN", &error), 0, "%s", error.message);
    cr_expect_eq(say(session, "INSERT INTO t VALUES (1)", &error), 0, "%s", error.message);
    cr_expect_eq(count_rows(), 0, "nobody else sees it");
    cr_expect_eq(say(session, "INSERT INTO t VALUES (1)", &error), -EINVAL);
    cr_expect_str_eq(error.code, "SQLITE_CONSTRAINT_UNIQUE");
    cr_expect_eq(say(session, "COMMIT", &error), 0, "%s", error.message);
    cr_expect_not(aw_sqlite_session_exit(session));
    cr_expect_eq(count_rows(), 1);

    cr_assert_eq(aw_sqlite_session_enter(pool, &lost, &session, &error), 0);
    cr_expect_eq(say(session, "BEGIN", &error), 0);
    cr_expect_eq(say(session, "DELETE FROM t", &error), 0);
    cr_expect(aw_sqlite_session_exit(session), "a transaction was open");
    cr_expect_eq(count_rows(), 1, "it is rolled back");
    cr_expect_not(lost.set);
    return aw_sqlite_pool_probe(pool, &error);
}

Test(sqlite_session, holds_a_transaction_until_it_ends)
{
    run(session_of_its_own);
}

static int insert_in_block(const char *number, int outcome, struct aw_error *ret_error)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "INSERT INTO t VALUES (%s)", number);
    struct aw_sqlite_transaction transaction = {.pool = pool, .immediate = true};
    int result = 0;
    AW_WITH(result, aw_sqlite_with_transaction(&transaction))
    {
        result = aw_sqlite_transaction_execute(&transaction, sql);
        if (result == 0)
            result = outcome;
    }
    *ret_error = transaction.error;
    cr_expect_null(transaction.session);
    return result;
}

static int leaves_by_return(void)
{
    struct aw_sqlite_transaction transaction = {.pool = pool};
    int result = 0;
    AW_WITH(result, aw_sqlite_with_transaction(&transaction))
    {
        result = aw_sqlite_transaction_execute(&transaction, "INSERT INTO t VALUES (9)");
        cr_expect_eq(result, 0);
        return result;
    }
    return -1;
}

static int blocks(void)
{
    struct aw_error error;
    cr_expect_eq(insert_in_block("1", 0, &error), 0, "%s", error.message);
    cr_expect_eq(count_rows(), 1);
    cr_expect_eq(insert_in_block("2", -ENOEXEC, &error), -ENOEXEC, "the body's own");
    cr_expect_eq(insert_in_block("1", 0, &error), -EINVAL);
    cr_expect_str_eq(error.code, "SQLITE_CONSTRAINT_UNIQUE");
    cr_expect_eq(leaves_by_return(), 0);
    cr_expect_eq(count_rows(), 1, "what failed or was left is rolled back");

    struct aw_sqlite_transaction ended = {.pool = pool};
    int result = 0;
    AW_WITH(result, aw_sqlite_with_transaction(&ended))
    {
        result = aw_sqlite_transaction_execute(&ended, "COMMIT");
        cr_expect_eq(result, 0);
    }
    cr_expect_eq(result, -EINVAL, "the body had ended the transaction");
    cr_expect_eq(aw_sqlite_transaction_execute(&ended, "SELECT 1"), -EINVAL, "outside the block");
    cr_expect(strstr(ended.error.message, "outside"), "%s", ended.error.message);
    return 0;
}

Test(sqlite_session, a_block_commits_what_completed_and_nothing_else)
{
    run(blocks);
}

static int transact(void *argument)
{
    int64_t *number = argument;
    struct aw_sqlite_transaction transaction = {.pool = pool, .immediate = true};
    const struct aw_sqlite_value value = {.type = SQLITE_INTEGER, .integer = ++*number};
    const struct aw_sqlite_statement insert = {
        .sql = "INSERT INTO t VALUES (?)", .sql_size = 24, .values = &value, .value_count = 1};
    int result = 0;
    AW_WITH(result, aw_sqlite_with_transaction(&transaction))
    {
        result = aw_sqlite_transaction_query(&transaction, &insert, NULL);
        if (result == 0)
            result = aw_yield();
    }
    return result;
}

static int query_and_probe(void *argument)
{
    const struct aw_sqlite_statement insert = {.sql = "DELETE FROM t", .sql_size = 13};
    (void)argument;
    int result = aw_sqlite_query(pool, &insert, 1, NULL, NULL);
    return result < 0 ? result : aw_sqlite_pool_probe(pool, NULL);
}

static int cancelled(void)
{
    int64_t number = 0;
    int rounds = cancel_everywhere(transact, &number);
    cr_expect_gt(rounds, 0);
    cr_expect_lt(count_rows(), number, "those that were cancelled in time have left nothing");
    cr_expect_gt(cancel_everywhere(query_and_probe, NULL), 0);
    return 0;
}

Test(sqlite_session, cancelled_anywhere_it_leaves_nothing)
{
    run(cancelled);
}

/* --- one connection -----------------------------------------------------------------------------
 */
static int one_connection(void *argument)
{
    (void)argument;
    const struct aw_sqlite_options options = {.flags = AW_SQLITE_CREATE};
    struct aw_sqlite *database;
    int result = aw_sqlite_open(&database, "alone.db", &options, NULL);
    if (result < 0)
        return result;
    result = aw_sqlite_execute(database, "CREATE TABLE IF NOT EXISTS a (n)", NULL);
    if (result == 0)
        result = aw_sqlite_execute(database, "INSERT INTO a VALUES (1)", NULL);
    sqlite3_stmt *statement;
    if (result == 0)
        result = aw_sqlite_prepare(database, "SELECT n FROM a", 15, &statement, NULL);
    if (result == 0) {
        result = aw_sqlite_error(database, sqlite3_step(statement), NULL);
        aw_sqlite_done(database, statement);
    }
    if (result == 0) {
        cr_expect_gt(aw_sqlite_sync_ns(database), 0, "the commits have been synced");
        result = aw_sqlite_checkpoint(database, true, NULL);
    }
    int closed = aw_sqlite_close(database);
    return result < 0 ? result : closed;
}

static int cancel_one_connection(void *argument)
{
    (void)argument;
    cr_expect_geq(cancel_everywhere(one_connection, NULL), 0);
    return 0;
}

Test(sqlite_session, one_connection_cancelled_anywhere_leaves_nothing)
{
    cr_assert_eq(aw_run(cancel_one_connection, NULL), 0);
}

static int errors_of_a_connection(void *argument)
{
    (void)argument;
    const struct aw_sqlite_options options = {.flags = AW_SQLITE_CREATE};
    struct aw_sqlite *database;
    struct aw_error error = {0};
    cr_assert_eq(aw_sqlite_open(&database, "errors.db", NULL, &error), -ENOENT);
    cr_expect_str_eq(error.code, "SQLITE_CANTOPEN");
    cr_assert_eq(aw_sqlite_open(&database, "errors.db", &options, &error), 0);
    cr_expect_eq(aw_sqlite_error(database, SQLITE_OK, &error), 0);
    cr_expect_eq(aw_sqlite_error(database, SQLITE_ROW, &error), 0);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(aw_sqlite_handle(database), "SELEC 1", -1, &statement, NULL);
    cr_expect_eq(aw_sqlite_error(database, code, &error), -EINVAL);
    cr_expect_str_eq(error.code, "SQLITE_ERROR");
    cr_expect(strstr(error.message, "syntax"), "%s", error.message);
    cr_assert_eq(sqlite3_prepare_v2(aw_sqlite_handle(database), "SELECT 1", -1, &statement, NULL),
                 0);
    cr_expect_eq(aw_sqlite_close(database), -EBUSY, "a statement is left");
    sqlite3_finalize(statement);
    return aw_sqlite_close(NULL);
}

Test(sqlite_session, errors_say_what_sqlite_says)
{
    cr_assert_eq(aw_run(errors_of_a_connection, NULL), 0);
    cr_expect_str_eq(aw_sqlite_code_name(SQLITE_BUSY_SNAPSHOT), "SQLITE_BUSY_SNAPSHOT");
    cr_expect_str_eq(aw_sqlite_code_name(SQLITE_BUSY | (99 << 8)), "SQLITE_BUSY");
    cr_expect_str_eq(aw_sqlite_code_name(99), "SQLITE_UNKNOWN");
}

Test(sqlite_session, words_are_found_behind_comments)
{
    const char *sql = " ; -- no\n /* nor this */ insert  into(t)";
    const char *end = sql + strlen(sql);
    size_t length;
    const char *word = aw_sqlite_next_word(&sql, end, &length);
    cr_expect(length == 6 && memcmp(word, "insert", 6) == 0);
    word = aw_sqlite_next_word(&sql, end, &length);
    cr_expect(length == 4 && memcmp(word, "into", 4) == 0);
    (void)aw_sqlite_next_word(&sql, end, &length);
    cr_expect_eq(length, 0, "no word comes next");
    cr_expect_lt(sql, end);
}
