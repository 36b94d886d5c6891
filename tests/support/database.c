/* database.c - see database.h. */
#include "support/database.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int database_patience_ms;

struct aw_sqlite *database_open(unsigned flags)
{
    struct aw_sqlite *database = NULL;
    struct aw_error error = { 0 };
    struct aw_sqlite_options options = { .flags = flags,
                                         .busy_timeout_ms = 200 + (uint32_t)database_patience_ms };
    int result = aw_sqlite_open(&database, "test.db", &options, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    return database;
}

void database_run(struct aw_sqlite *database, const char *sql)
{
    struct aw_error error = { 0 };
    int result = aw_sqlite_execute(database, sql, &error);
    cr_assert_eq(result, 0, "%s: %s %s", sql, error.code, error.message);
}

int64_t database_number(struct aw_sqlite *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    struct aw_error error = { 0 };
    int result = aw_sqlite_prepare(database, sql, strlen(sql), &statement, &error);
    cr_assert_eq(result, 0, "%s: %s", sql, error.message);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    aw_sqlite_done(database, statement);
    return number;
}

bool database_is_whole(struct aw_sqlite *database)
{
    sqlite3_stmt *statement = NULL;
    cr_assert_eq(aw_sqlite_prepare(database, "PRAGMA integrity_check", 22, &statement, NULL), 0);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    bool whole = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    aw_sqlite_done(database, statement);
    return whole;
}

/* What the stock unix VFS, in another process, says to `sql`: its first value, or the error. */
static void ask_stock(const char *sql, char *ret_answer, size_t size)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *handle = NULL;
        sqlite3_stmt *statement = NULL;
        const char *answer = "";
        int code = sqlite3_open_v2("test.db", &handle, SQLITE_OPEN_READWRITE, "unix");
        sqlite3_busy_timeout(handle, database_patience_ms);
        if (code == SQLITE_OK)
            code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
        if (code == SQLITE_OK)
            code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            answer = (const char *)sqlite3_column_text(statement, 0);
        else if (code != SQLITE_DONE)
            answer = sqlite3_errstr(code);
        ssize_t written = write(ends[1], answer, strlen(answer));
        sqlite3_finalize(statement);
        sqlite3_close(handle);
        _exit(written < 0);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], ret_answer, size - 1);
    ret_answer[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    waitpid(child, NULL, 0);
}

void stock_expect(const char *sql, const char *expected)
{
    char answer[200];
    ask_stock(sql, answer, sizeof(answer));
    cr_expect_str_eq(answer, expected, "%s gave %s", sql, answer);
}
