/* test_target_sqlite.c - jobs on the sqlite target: arguments in, results and outcomes out. */
#include "support/process.h"
#include "targets/target.h"
#include "targets/target_sqlite.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static int descriptors_before;
static struct target target;
static struct aw_group group;
static int changes;

static void on_change(struct target *changed, void *context)
{
    (void)changed;
    (void)context;
    changes++;
}

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

TestSuite(target_sqlite, .init = enter_folder, .fini = leave_folder, .timeout = 120);

static void begin(const char *path)
{
    aw_group_init(&group, AW_GROUP_COLLECT);
    target = (struct target){ .type = &target_type_sqlite,
                              .settings = { .name = "local",
                                            .path = path,
                                            .connections = 3,
                                            .pipeline = 1 },
                              .group = &group,
                              .changed = on_change };
    cr_assert_eq(target.type->start(&target, NULL), 0);
    cr_expect_eq(target_capacity(&target), 3);
}

static void finish(void)
{
    aw_group_cancel(&group);
    (void)!aw_group_wait(&group);
    target.type->stop(&target);
}

#define ARGUMENTS_MAX 24

static struct outcome execute_raw(const struct argument *arguments, uint32_t count,
                                  enum result_format format, size_t size_max)
{
    struct execution execution = { .arguments = arguments,
                                   .argument_count = count,
                                   .format = format,
                                   .result_size_max = size_max };
    struct outcome outcome = { 0 };
    target.type->execute(&target, &execution, &outcome);
    return outcome;
}

static uint32_t fill(struct argument *arguments, const char *const *texts)
{
    uint32_t count = 0;
    for (; texts[count]; count++)
        arguments[count] = (struct argument){ .data = texts[count],
                                              .size = (uint32_t)strlen(texts[count]) };
    return count;
}

static void expect_value(const struct outcome *outcome, const char *expected)
{
    cr_expect_eq(outcome->kind, OUTCOME_DONE, "%s %s", outcome->code, outcome->message);
    char *text = calloc(1, outcome->result.size + 1);
    if (outcome->result.size > 0)
        memcpy(text, outcome->result.data, outcome->result.size);
    cr_expect_str_eq(text, expected);
    free(text);
}

static void check_result(enum result_format format, const char *expected, const char *const *texts)
{
    struct argument arguments[ARGUMENTS_MAX];
    uint32_t count = fill(arguments, texts);
    cr_expect_eq(target.type->check(&target, arguments, count, NULL), 0);
    struct outcome outcome = execute_raw(arguments, count, format, 1 << 20);
    expect_value(&outcome, expected);
    buffer_free(&outcome.result);
}

#define expect_rows(expected, ...) \
    check_result(FORMAT_ROWS, expected, (const char *const[]){ __VA_ARGS__, NULL })
#define expect_json(expected, ...) \
    check_result(FORMAT_JSON, expected, (const char *const[]){ __VA_ARGS__, NULL })

static void check_failure(enum outcome_kind kind, const char *code, const char *words,
                          const char *const *texts)
{
    struct argument arguments[ARGUMENTS_MAX];
    uint32_t count = fill(arguments, texts);
    struct outcome outcome = execute_raw(arguments, count, FORMAT_ROWS, 2000);
    cr_expect_eq(outcome.kind, kind, "%d: %s %s", outcome.kind, outcome.code, outcome.message);
    cr_expect_str_eq(outcome.code, code);
    cr_expect(strstr(outcome.message, words), "%s", outcome.message);
    buffer_free(&outcome.result);
}

#define expect_failure(kind, code, words, ...) \
    check_failure(kind, code, words, (const char *const[]){ __VA_ARGS__, NULL })

static int results_body(void *argument)
{
    (void)argument;
    begin("local.db");
    expect_rows("+CREATE TABLE\r\n",
                "CREATE TABLE t(i INTEGER PRIMARY KEY, v TEXT, r REAL, b BLOB) STRICT");
    expect_rows("+CREATE INDEX\r\n", "create unique index x ON t(v)");
    expect_rows("+INSERT 0 2\r\n", "INSERT INTO t(i, v) VALUES (?1, ?2), (?1 + 1, ?3)", "7", "12",
                "007");
    expect_rows("+INSERT 0 1\r\n", "INSERT INTO t(v, r) VALUES (?, ?)", "h\xc3\xa9 \"q\"", "1.5");
    expect_rows("*3\r\n*3\r\n$1\r\ni\r\n$1\r\nv\r\n$1\r\nr\r\n*3\r\n$1\r\n7\r\n$2\r\n12\r\n_\r\n"
                "*3\r\n$1\r\n8\r\n$3\r\n007\r\n_\r\n",
                "SELECT i, v, r FROM t ORDER BY i LIMIT ?", "2");
    expect_rows("*2\r\n*1\r\n$6\r\ntypeof\r\n*1\r\n$4\r\ntext\r\n",
                "SELECT typeof(v) AS typeof FROM t WHERE v = ?", "12");
    expect_rows("*1\r\n*1\r\n$1\r\ni\r\n", "SELECT i FROM t WHERE length(v) > ?", "99");
    expect_json("$44\r\n[{\"i\":9,\"v\":\"h\xc3\xa9 \\\"q\\\"\",\"r\":1.5,\"x\":\"00FF\"}]\r\n",
                "SELECT i, v, r, x'00ff' AS x FROM t WHERE r = ?", "1.5");
    expect_json("$2\r\n[]\r\n", "SELECT 1 WHERE 0");
    expect_json("$27\r\n[{\"n\":null},{\"n\":\"\\u0001\"}]\r\n",
                "SELECT NULL AS n UNION ALL SELECT char(1)");
    expect_rows("+UPDATE 3\r\n", "WITH x AS (SELECT 'DELETE') UPDATE t SET r = 0");
    expect_rows("*2\r\n*1\r\n$1\r\ni\r\n*1\r\n$1\r\n9\r\n",
                "DELETE FROM t WHERE i = 9 RETURNING i");
    expect_rows("+DELETE 2\r\n", "/* all */ DELETE FROM t");
    expect_rows("+DROP TABLE\r\n", "DROP TABLE t");
    cr_expect(target.up);
    finish();
    return 0;
}

Test(target_sqlite, results)
{
    cr_assert_eq(aw_run(results_body, NULL), 0);
}

static int bytes_body(void *argument)
{
    (void)argument;
    begin("local.db");
    expect_rows("+CREATE TABLE\r\n", "CREATE TABLE t(b BLOB, n TEXT)");
    struct argument arguments[] = {
        { .data = "INSERT INTO t VALUES (?, ?)", .size = 27 },
        { .data = "a\0\xff\r\n", .size = 5 },
        { .data = "ignored", .size = 7, .null = true },
    };
    struct outcome outcome = execute_raw(arguments, 3, FORMAT_ROWS, 1000);
    expect_value(&outcome, "+INSERT 0 1\r\n");
    buffer_free(&outcome.result);

    struct argument select = { .data = "SELECT b, n, typeof(b) FROM t", .size = 29 };
    outcome = execute_raw(&select, 1, FORMAT_ROWS, 1000);
    static const char expected[] = "*2\r\n*3\r\n$1\r\nb\r\n$1\r\nn\r\n$9\r\ntypeof(b)\r\n"
                                   "*3\r\n$5\r\na\0\xff\r\n\r\n_\r\n$4\r\nblob\r\n";
    cr_expect_eq(outcome.result.size, sizeof(expected) - 1);
    cr_expect_eq(memcmp(outcome.result.data, expected, sizeof(expected) - 1), 0);
    buffer_free(&outcome.result);
    finish();
    return 0;
}

Test(target_sqlite, bytes_survive)
{
    cr_assert_eq(aw_run(bytes_body, NULL), 0);
}

static int transaction_body(void *argument)
{
    (void)argument;
    begin("local.db");
    expect_rows("*3\r\n+CREATE TABLE\r\n+INSERT 0 1\r\n*2\r\n*1\r\n$1\r\nv\r\n*1\r\n$1\r\nx\r\n",
                "tx", "3", "CREATE TABLE t(v UNIQUE)", "0", "INSERT INTO t VALUES (?)", "1", "x",
                "SELECT v FROM t", "0");
    expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_UNIQUE", "t.v", "TX", "2",
                   "INSERT INTO t VALUES ('y')", "0", "INSERT INTO t VALUES (?)", "1", "x");
    expect_rows("*2\r\n*1\r\n$1\r\nn\r\n*1\r\n$1\r\n1\r\n", "SELECT count(*) AS n FROM t");

    struct argument arguments[ARGUMENTS_MAX];
    static const char *const wrong[][6] = {
        { "TX" }, { "TX", "0" }, { "TX", "x" }, { "TX", "1" }, { "TX", "1", "SELECT 1" },
        { "TX", "1", "SELECT ?", "2", "a" }, { "TX", "1", "SELECT 1", "0", "more" }, { "" },
        { "TX", "2", "SELECT 1", "0" },
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct aw_error error = { 0 };
        uint32_t count = fill(arguments, wrong[i]);
        cr_expect_eq(target.type->check(&target, arguments, count, &error), -EINVAL, "%zu", i);
        cr_expect_neq(error.message[0], '\0');
    }
    cr_expect_eq(target.type->check(&target, arguments, 0, NULL), -EINVAL);
    finish();
    return 0;
}

Test(target_sqlite, transactions)
{
    cr_assert_eq(aw_run(transaction_body, NULL), 0);
}

static int failures_body(void *argument)
{
    (void)argument;
    begin("local.db");
    expect_rows("+CREATE TABLE\r\n", "CREATE TABLE t(i INTEGER NOT NULL, v TEXT) STRICT");
    expect_failure(OUTCOME_DEAD, "SQLITE_RANGE", "the statement has 2 parameters, 1 given",
                   "INSERT INTO t VALUES (?, ?)", "1");
    expect_failure(OUTCOME_DEAD, "SQLITE_ERROR", "syntax error", "INSRT");
    expect_failure(OUTCOME_DEAD, "SQLITE_ERROR", "send one, or several as TX",
                   "SELECT 1; SELECT 2");
    expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_NOTNULL", "t.i", "INSERT INTO t(v) VALUES (1)");
    expect_failure(OUTCOME_DEAD, "SQLITE_CONSTRAINT_DATATYPE", "INTEGER",
                   "INSERT INTO t VALUES (?, 'x')", "many");
    expect_failure(OUTCOME_DEAD, "SQLITE_AUTH", "BEGIN is not allowed", "BEGIN");
    expect_failure(OUTCOME_DEAD, "RESULTTOOBIG", "2000 bytes", "SELECT hex(zeroblob(2000))");
    expect_failure(OUTCOME_DEAD, "RESULTTOOBIG", "2000 bytes",
                   "INSERT INTO t VALUES (1, hex(zeroblob(2000))) RETURNING v");
    expect_rows("*2\r\n*1\r\n$1\r\nn\r\n*1\r\n$1\r\n0\r\n", "SELECT count(*) AS n FROM t");

    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(20));
    expect_failure(OUTCOME_STOPPED, "TIMEOUT", "interrupted", "SELECT sleep(?)", "60000");
    aw_scope_leave(&scope);
    cr_expect(target.up);
    cr_expect_eq(changes, 0);
    finish();
    return 0;
}

Test(target_sqlite, failures)
{
    cr_assert_eq(aw_run(failures_body, NULL), 0);
}

static int down_body(void *argument)
{
    (void)argument;
    begin("folder/local.db");
    expect_failure(OUTCOME_UNAVAILABLE, "SQLITE_CANTOPEN", "folder/local.db", "SELECT 1");
    cr_expect_not(target.up);
    cr_expect(strstr(target.down_reason, "No such file"), "%s", target.down_reason);
    cr_expect_eq(mkdir("folder", 0700), 0);
    for (int i = 0; i < 6000 && !target.up; i++)
        cr_assert_eq(aw_sleep(10), 0);
    cr_expect(target.up, "the probe finds out by itself");
    cr_expect_eq(changes, 2);
    expect_rows("*2\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\n1\r\n", "SELECT 1 AS a");
    finish();
    return 0;
}

Test(target_sqlite, goes_down_and_comes_back)
{
    cr_assert_eq(aw_run(down_body, NULL), 0);
}

static int corrupt_body(void *argument)
{
    (void)argument;
    FILE *file = fopen("text.db", "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    begin("text.db");
    expect_failure(OUTCOME_UNAVAILABLE, "SQLITE_NOTADB", "not a database", "SELECT 1");
    cr_expect_not(target.up);
    finish();
    return 0;
}

Test(target_sqlite, a_file_that_is_no_database)
{
    cr_assert_eq(aw_run(corrupt_body, NULL), 0);
}

Test(target_sqlite, command_tags)
{
    static const char *const pairs[][2] = {
        { "insert or ignore into t values (1)", "INSERT 0 4" },
        { "REPLACE INTO t VALUES (1)", "INSERT 0 4" },
        { "WITH a AS (SELECT ')' , \"update\") , b AS (SELECT 1) DELETE FROM t", "DELETE 4" },
        { "-- x\n create temp table t(v)", "CREATE TABLE" },
        { "CREATE VIRTUAL TABLE f USING fts5(x)", "CREATE TABLE" },
        { "ALTER TABLE t RENAME TO u", "ALTER TABLE" },
        { "vacuum", "VACUUM" },
        { "ANALYZE t", "ANALYZE" },
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char tag[64];
        sqlite_command_tag(pairs[i][0], strlen(pairs[i][0]), 4, tag, sizeof(tag));
        cr_expect_str_eq(tag, pairs[i][1]);
    }
}
