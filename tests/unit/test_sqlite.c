/* test_sqlite.c - the connection and the pool: waits suspend only their task, cancellation reaches
 * a long query, writers take turns, errors say what happened, a failed write is final. */
#include "support/process.h"

#include <await.h>
#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int descriptors_before;

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
    descriptors_before = open_descriptors();
}

static void leave_folder(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
    folder_remove(folder);
}

TestSuite(sqlite, .init = enter_folder, .fini = leave_folder, .timeout = 120);

static struct aw_sqlite_pool *pool;

static uint32_t busy_timeout_ms = 300;

static void make_pool(uint32_t connections)
{
    struct aw_sqlite_pool_options options = { .flags = AW_SQLITE_CREATE | AW_SQLITE_UNTRUSTED,
                                              .connections_max = connections,
                                              .busy_timeout_ms = busy_timeout_ms };
    cr_assert_eq(aw_sqlite_pool_new(&pool, "pool.db", &options, NULL), 0);
}

static int64_t last_number;

static int keep_number(void *context, sqlite3_stmt *statement)
{
    (void)context;
    last_number = sqlite3_column_int64(statement, 0);
    return 0;
}

static const struct aw_sqlite_receiver number_receiver = { .row = keep_number };

static int ask(const char *sql, struct aw_error *reterr)
{
    struct aw_sqlite_statement statement = { .sql = sql, .sql_size = strlen(sql) };
    return aw_sqlite_query(pool, &statement, 1, &number_receiver, reterr);
}

static void run(const char *sql)
{
    struct aw_error error = { 0 };
    int result = ask(sql, &error);
    cr_assert_eq(result, 0, "%s: %s %s", sql, error.code, error.message);
}

static void expect_error(const char *sql, const char *code, const char *words)
{
    struct aw_error error = { 0 };
    cr_expect_lt(ask(sql, &error), 0, "%s works", sql);
    cr_expect_str_eq(error.code, code, "%s: %s %s", sql, error.code, error.message);
    cr_expect(strstr(error.message, words), "%s: %s", sql, error.message);
}

static int query_task(void *argument)
{
    return ask(argument, NULL);
}

static struct aw_task *start(const char *sql)
{
    struct aw_task *task = NULL;
    cr_assert_eq(aw_spawn(&task, query_task, (void *)(uintptr_t)sql), 0);
    return task;
}

/* --- waiting --- */

static int sleep_body(void *argument)
{
    (void)argument;
    make_pool(4);
    struct aw_task *sleeper = start("SELECT sleep(60000)");
    struct aw_task *short_sleeper = start("SELECT sleep(5)");
    cr_expect_eq(aw_await(short_sleeper), 0);
    run("CREATE TABLE t(v)");
    run("INSERT INTO t VALUES (1)");
    cr_expect_not(aw_finished(sleeper));
    aw_cancel(sleeper);
    cr_expect_eq(aw_await(sleeper), -ECANCELED);
    run("SELECT sleep(-5)");
    cr_expect_eq(last_number, 0);
    run("SELECT sleep(NULL) IS NULL");
    cr_expect_eq(last_number, 1);
    expect_error("SELECT sleep(9223372036854775807)", "SQLITE_ERROR", "a day");

    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(10));
    struct aw_error error = { 0 };
    cr_expect_eq(ask("SELECT sleep(60000)", &error), -ETIME);
    cr_expect_str_eq(error.code, "SQLITE_INTERRUPT");
    aw_scope_leave(&scope);
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, sleep_suspends_only_its_task)
{
    cr_assert_eq(aw_run(sleep_body, NULL), 0);
}

static const char endless[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                              " SELECT max(i) FROM n";

static int long_query_body(void *argument)
{
    (void)argument;
    make_pool(2);
    run("CREATE TABLE t(v)");
    struct aw_task *task = start(endless);
    for (int turns = 0; turns < 20; turns++)
        cr_assert_eq(aw_sleep(1), 0); /* comes back each time: the query lets go of the loop */
    cr_expect_not(aw_finished(task));
    run("INSERT INTO t VALUES (1)");
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);

    task = start("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                 " SELECT i FROM n");
    cr_expect_eq(aw_sleep(20), 0);
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    run("SELECT count(*) FROM t");
    cr_expect_eq(last_number, 1, "an interrupted write leaves nothing");
    run("INSERT INTO t VALUES (2)");
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, long_query_yields_and_can_be_cancelled)
{
    cr_assert_eq(aw_run(long_query_body, NULL), 0);
}

static int busy_body(void *argument)
{
    (void)argument;
    make_pool(2);
    run("CREATE TABLE t(v)");
    struct aw_sqlite *other = NULL;
    cr_assert_eq(aw_sqlite_open(&other, "pool.db", NULL, NULL), 0);
    cr_assert_eq(aw_sqlite_execute(other, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)", NULL), 0);
    expect_error("INSERT INTO t VALUES (2)", "SQLITE_BUSY", "locked");

    aw_sqlite_pool_free(pool);
    busy_timeout_ms = 60000;
    make_pool(2);
    struct aw_task *waiting = start("INSERT INTO t VALUES (3)");
    cr_expect_eq(aw_sleep(20), 0);
    cr_expect_not(aw_finished(waiting), "it waits, and the loop goes on");
    cr_assert_eq(aw_sqlite_execute(other, "COMMIT", NULL), 0);
    cr_expect_eq(aw_await(waiting), 0);

    cr_assert_eq(aw_sqlite_execute(other, "BEGIN IMMEDIATE", NULL), 0);
    waiting = start("INSERT INTO t VALUES (4)");
    cr_expect_eq(aw_sleep(5), 0);
    aw_cancel(waiting);
    cr_expect_eq(aw_await(waiting), -ECANCELED);
    cr_assert_eq(aw_sqlite_execute(other, "COMMIT", NULL), 0);
    aw_sqlite_close(other);
    run("SELECT sum(v) FROM t");
    cr_expect_eq(last_number, 4);
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, waits_for_a_lock_suspend)
{
    cr_assert_eq(aw_run(busy_body, NULL), 0);
}

/* --- the pool --- */

static int increment_task(void *argument)
{
    (void)argument;
    for (int i = 0; i < 20; i++) {
        /* Looks like a reader at first, so it begins again as a writer. */
        const char *sql = i % 2 ? "WITH x(n) AS (SELECT 1) UPDATE t SET v = v + (SELECT n FROM x)"
                                : "UPDATE t SET v = v + 1";
        int result = ask(sql, NULL);
        if (result == 0)
            result = ask("SELECT v FROM t", NULL);
        if (result < 0)
            return result;
    }
    return 0;
}

static int concurrency_body(void *argument)
{
    (void)argument;
    enum { TASKS = 40 };
    make_pool(3);
    run("CREATE TABLE t(v)");
    run("INSERT INTO t VALUES (0)");
    struct aw_task *tasks[TASKS];
    for (int i = 0; i < TASKS; i++)
        cr_assert_eq(aw_spawn(&tasks[i], increment_task, NULL), 0);
    cr_expect_eq(aw_gather(TASKS, tasks, NULL), 0);
    run("SELECT v FROM t");
    cr_expect_eq(last_number, TASKS * 20);
    aw_sqlite_pool_free(pool);
    cr_expect_neq(access("pool.db-wal", F_OK), 0);
    return 0;
}

Test(sqlite, many_tasks_share_few_connections)
{
    cr_assert_eq(aw_run(concurrency_body, NULL), 0);
}

static int checkpoint_body(void *argument)
{
    (void)argument;
    make_pool(3);
    run("CREATE TABLE t(i INTEGER PRIMARY KEY, v)");
    struct aw_task *sleeper = start("SELECT sleep(60000)");
    for (int i = 0; i < 40; i++) {
        run("INSERT INTO t(v) VALUES (zeroblob(500000))");
        run("DELETE FROM t");
    }
    struct stat wal;
    cr_assert_eq(stat("pool.db-wal", &wal), 0);
    cr_expect_lt(wal.st_size, 8 << 20, "the WAL is bounded although a query sleeps");
    aw_cancel(sleeper);
    cr_expect_eq(aw_await(sleeper), -ECANCELED);
    run("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'");
    cr_expect_eq(last_number, 1);
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, pool_keeps_the_wal_small)
{
    cr_assert_eq(aw_run(checkpoint_body, NULL), 0);
}

static int stop_after_first(void *context, sqlite3_stmt *statement)
{
    (void)context;
    (void)statement;
    return -EMSGSIZE;
}

static int atomic_body(void *argument)
{
    (void)argument;
    make_pool(2);
    run("CREATE TABLE t(v UNIQUE)");
    struct aw_sqlite_statement three[] = {
        { .sql = "INSERT INTO t VALUES (1)", .sql_size = 24 },
        { .sql = "INSERT INTO t VALUES (2)", .sql_size = 24 },
        { .sql = "INSERT INTO t VALUES (1)", .sql_size = 24 },
    };
    struct aw_error error = { 0 };
    cr_expect_eq(aw_sqlite_query(pool, three, 3, NULL, &error), -EINVAL);
    cr_expect_str_eq(error.code, "SQLITE_CONSTRAINT_UNIQUE");
    run("SELECT count(*) FROM t");
    cr_expect_eq(last_number, 0);
    cr_expect_eq(aw_sqlite_query(pool, three, 2, NULL, &error), 0);

    struct aw_sqlite_receiver stopper = { .row = stop_after_first };
    struct aw_sqlite_statement returning = { .sql = "DELETE FROM t RETURNING v", .sql_size = 25 };
    cr_expect_eq(aw_sqlite_query(pool, &returning, 1, &stopper, &error), -EMSGSIZE);
    run("SELECT count(*) FROM t");
    cr_expect_eq(last_number, 2, "a receiver that stops undoes the query");
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, a_query_is_one_transaction)
{
    cr_assert_eq(aw_run(atomic_body, NULL), 0);
}

static int moved_body(void *argument)
{
    (void)argument;
    make_pool(2);
    run("CREATE TABLE t(v)");
    aw_sqlite_pool_free(pool);
    cr_assert_eq(system("cp pool.db backup.db"), 0);
    make_pool(2);
    run("INSERT INTO t VALUES (1)");
    cr_assert_eq(rename("backup.db", "pool.db"), 0);
    cr_assert_eq(unlink("pool.db-wal") | unlink("pool.db-shm"), 0);
    cr_expect_eq(aw_sleep(1100), 0);
    run("INSERT INTO t VALUES (2)");
    run("SELECT sum(v) FROM t");
    cr_expect_eq(last_number, 2, "the file that is there now is the one that is used");
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, a_replaced_file_is_noticed)
{
    cr_assert_eq(aw_run(moved_body, NULL), 0);
}

/* --- what users may not do --- */

static int refusals_body(void *argument)
{
    (void)argument;
    make_pool(2);
    run("CREATE TABLE t(v)");
    expect_error("BEGIN", "SQLITE_AUTH", "BEGIN is not allowed");
    expect_error("COMMIT", "SQLITE_AUTH", "transaction of its own");
    expect_error("SAVEPOINT s", "SQLITE_AUTH", "SAVEPOINT");
    expect_error("ATTACH 'x.db' AS x", "SQLITE_AUTH", "ATTACH");
    expect_error("ATTACH '' AS x", "SQLITE_AUTH", "ATTACH");
    expect_error("VACUUM INTO 'x.db'", "SQLITE_AUTH", "VACUUM INTO");
    expect_error("CREATE TEMP TABLE x(v)", "SQLITE_AUTH", "temporary");
    expect_error("PRAGMA journal_mode=DELETE", "SQLITE_AUTH", "PRAGMA journal_mode");
    expect_error("PRAGMA synchronous=OFF", "SQLITE_AUTH", "PRAGMA synchronous");
    expect_error("PRAGMA writable_schema=1", "SQLITE_AUTH", "PRAGMA writable_schema");
    expect_error("PRAGMA locking_mode=EXCLUSIVE", "SQLITE_AUTH", "PRAGMA locking_mode");
    expect_error("SELECT load_extension('x')", "SQLITE_ERROR", "not authorized");
    expect_error("SELECT 1; SELECT 2", "SQLITE_ERROR", "more than one");
    expect_error("  -- nothing", "SQLITE_ERROR", "no statement");
    expect_error("SELEC 1", "SQLITE_ERROR", "syntax error");
    expect_error("SELECT ?", "SQLITE_RANGE", "1 parameter, 0 given");
    expect_error("SELECT zeroblob(900000000)", "SQLITE_TOOBIG", "too big");
    cr_expect_neq(access("x.db", F_OK), 0);
    run("VACUUM");
    run("PRAGMA user_version=5");
    run("SELECT 1 -- with a comment;");
    run("PRAGMA user_version");
    cr_expect_eq(last_number, 5);
    run("PRAGMA journal_mode");
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, user_sql_cannot_leave_its_job)
{
    cr_assert_eq(aw_run(refusals_body, NULL), 0);
}

/* `text` repeated inside `before` ... `after`. */
static void ask_nested(const char *before, const char *text, int times, const char *middle,
                       const char *close, const char *after)
{
    size_t room = strlen(before) + strlen(middle) + strlen(after) + 1 +
                  (size_t)times * (strlen(text) + strlen(close));
    char *sql = malloc(room);
    char *at = stpcpy(sql, before);
    for (int i = 0; i < times; i++)
        at = stpcpy(at, text);
    at = stpcpy(at, middle);
    for (int i = 0; i < times; i++)
        at = stpcpy(at, close);
    stpcpy(at, after);
    (void)!ask(sql, NULL); /* works or not: it must come back */
    free(sql);
}

static int deep_body(void *argument)
{
    (void)argument;
    make_pool(1);
    ask_nested("SELECT ", "(", 90, "1", ")", "");
    ask_nested("SELECT 1", "+1", 10000, "", "", "");
    ask_nested("SELECT ", "NOT ", 98, "1", "", "");
    ask_nested("SELECT json('", "[", 1990, "1", "]", "')");
    ask_nested("SELECT count(*) FROM json_tree('", "[", 1990, "1", "]", "')");
    ask_nested("SELECT replace(hex(zeroblob(400)), '0', 'a') LIKE '", "%a_", 160, "", "", "b'");
    ask_nested("SELECT 1", " UNION SELECT 2", 49, "", "", "");
    ask_nested("SELECT * FROM ", "(SELECT * FROM ", 20, "(SELECT 1)", ")", "");
    /* A chain of WITH clauses, each upon the one before: SQLite has no limit for it. */
    char *sql = malloc(1 << 17);
    char *at = sql + sprintf(sql, "WITH a0 AS (SELECT 1 x)");
    for (int i = 1; i < 3000; i++)
        at += sprintf(at, ",a%d AS (SELECT x FROM a%d)", i, i - 1);
    strcpy(at, " SELECT * FROM a2999");
    expect_error(sql, "SQLITE_TOOBIG", "nests too deeply");
    free(sql);
    run("SELECT 7");
    cr_expect_eq(last_number, 7);
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, deep_statements_fit_the_stack)
{
    struct aw_options options = { .stack_size_bytes = 256 << 10 };
    cr_assert_eq(aw_run_with(&options, deep_body, NULL, NULL), 0);
}

/* --- failures --- */

static int failures;

static void count_failure(void *context)
{
    (void)context;
    failures++;
}

/* Puts a read-only description in the place of the WAL's: every write to it fails from then on. */
static void break_wal(const char *suffix)
{
    char link[64];
    char target[256];
    int spoiled = open("pool.db-wal", O_RDONLY);
    cr_assert_geq(spoiled, 0);
    for (int fd = 3; fd < 256; fd++) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        size_t size = strlen(target);
        if (fd != spoiled && size > strlen(suffix) &&
            strcmp(target + size - strlen(suffix), suffix) == 0)
            cr_assert_eq(dup2(spoiled, fd), fd);
    }
    close(spoiled);
}

static int failure_body(void *argument)
{
    (void)argument;
    struct aw_sqlite *database = NULL;
    struct aw_sqlite_options options = { .flags = AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE,
                                         .on_failure = count_failure };
    cr_assert_eq(aw_sqlite_open(&database, "pool.db", &options, NULL), 0);
    cr_assert_eq(aw_sqlite_execute(database, "CREATE TABLE t(v); INSERT INTO t VALUES (1)", NULL),
                 0);
    break_wal("pool.db-wal");
    struct aw_error error = { 0 };
    cr_expect_eq(aw_sqlite_execute(database, "INSERT INTO t VALUES (2)", &error), -EUCLEAN);
    cr_expect_eq(strncmp(error.code, "SQLITE_IOERR", 12), 0, "%s", error.code);
    cr_expect(aw_sqlite_failed(database));
    cr_expect_eq(failures, 1);
    cr_expect_eq(aw_sqlite_execute(database, "INSERT INTO t VALUES (3)", &error), -EUCLEAN);
    cr_expect_eq(failures, 1, "the owner is told once");
    cr_expect_eq(aw_sqlite_close(database), -EIO);

    cr_assert_eq(aw_sqlite_open(&database, "pool.db", &options, NULL), 0);
    cr_expect_not(aw_sqlite_failed(database));
    cr_expect_eq(aw_sqlite_checkpoint(database, true, NULL), 0);
    cr_expect_eq(aw_sqlite_close(database), 0);
    return 0;
}

Test(sqlite, a_failed_write_is_final)
{
    cr_assert_eq(aw_run(failure_body, NULL), 0);
}

static int pool_failure_body(void *argument)
{
    (void)argument;
    make_pool(1);
    run("CREATE TABLE t(v)");
    run("INSERT INTO t VALUES (1)");
    break_wal("pool.db-wal");
    struct aw_error error = { 0 };
    cr_expect_eq(ask("INSERT INTO t VALUES (2)", &error), -EUCLEAN, "%s", error.message);
    run("INSERT INTO t VALUES (3)");
    run("SELECT count(*) FROM t WHERE v IN (1, 3)");
    cr_expect_eq(last_number, 2, "the pool has recovered");
    aw_sqlite_pool_free(pool);
    return 0;
}

Test(sqlite, a_pool_recovers_from_a_failed_write)
{
    cr_assert_eq(aw_run(pool_failure_body, NULL), 0);
}
