/* sqlite_statement.c - preparing statements, and keeping the last used ones prepared.
 *
 * A statement in the cache is idle and has no parameters bound; while a task uses it, it is not
 * in the cache, so the same text can be prepared twice at once. */
#include "clients/sqlite_database.h"

#include <errno.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == ';';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* Skips one comment: where it ends, or NULL when none begins here. */
static const char *skip_comment(const char *at, const char *end)
{
    if (end - at < 2)
        return NULL;
    if (at[0] == '-' && at[1] == '-') {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        return newline ? newline : end;
    }
    if (at[0] == '/' && at[1] == '*') {
        const char *close = memmem(at + 2, (size_t)(end - at - 2), "*/", 2);
        return close ? close + 2 : end;
    }
    return NULL;
}

const char *aw_sqlite_next_word(const char **cursor, const char *end, size_t *ret_length)
{
    const char *at = *cursor;
    while (at < end) {
        const char *behind = skip_comment(at, end);
        if (behind)
            at = behind;
        else if (is_blank(*at))
            at++;
        else
            break;
    }
    const char *word = at;
    while (at < end && is_word(*at))
        at++;
    *cursor = at;
    *ret_length = (size_t)(at - word);
    return word;
}

static sqlite3_stmt *take_cached(struct aw_sqlite *database, const char *sql, size_t sql_size)
{
    for (unsigned i = 0; i < database->statement_count; i++) {
        sqlite3_stmt *statement = database->statements[i].statement;
        const char *text = sqlite3_sql(statement);
        if (strncmp(text, sql, sql_size) != 0 || text[sql_size] != '\0')
            continue;
        database->statements[i] = database->statements[--database->statement_count];
        return statement;
    }
    return NULL;
}

static int check_text(const char *sql, size_t sql_size, struct aw_error *reterr)
{
    if (sql_size > INT32_MAX)
        return aw_error_set_code(reterr, -E2BIG, "SQLITE_TOOBIG", "the statement is too long");
    if (memchr(sql, '\0', sql_size))
        return aw_error_set_code(reterr, -EINVAL, "SQLITE_ERROR",
                                 "the statement holds a NUL byte: pass binary data as a parameter");
    return 0;
}

int aw_sqlite_prepare(struct aw_sqlite *database, const char *sql, size_t sql_size,
                      sqlite3_stmt **ret_statement, struct aw_error *reterr)
{
    int result = check_text(sql, sql_size, reterr);
    if (result < 0)
        return result;
    sqlite3_stmt *statement = take_cached(database, sql, sql_size);
    if (statement) {
        *ret_statement = statement;
        return 0;
    }

    database->refusal[0] = '\0';
    const char *tail = sql;
    result = sqlite3_prepare_v3(database->handle, sql, (int)sql_size, SQLITE_PREPARE_PERSISTENT,
                                &statement, &tail);
    if (result != SQLITE_OK)
        return aw_sqlite_error(database, result, reterr);
    if (!statement)
        return aw_error_set_code(reterr, -EINVAL, "SQLITE_ERROR", "there is no statement");

    size_t length;
    const char *end = sql + sql_size;
    aw_sqlite_next_word(&tail, end, &length);
    if (length > 0 || tail < end) {
        sqlite3_finalize(statement);
        return aw_error_set_code(reterr, -ENOTSUP, "SQLITE_ERROR",
                                 "there is more than one statement");
    }
    *ret_statement = statement;
    return 0;
}

void aw_sqlite_done(struct aw_sqlite *database, sqlite3_stmt *statement)
{
    if (!statement)
        return;
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    const char *text = sqlite3_sql(statement);
    if (!text || strlen(text) > STATEMENT_CACHED_SQL_MAX) {
        sqlite3_finalize(statement);
        return;
    }

    unsigned index = database->statement_count;
    if (index == STATEMENT_CACHE_MAX) {
        index = 0;
        for (unsigned i = 1; i < STATEMENT_CACHE_MAX; i++)
            if (database->statements[i].used < database->statements[index].used)
                index = i;
        sqlite3_finalize(database->statements[index].statement);
    } else {
        database->statement_count++;
    }
    database->statements[index] =
        (struct cached_statement){ .statement = statement, .used = ++database->statement_clock };
}

void sqlite_statements_free(struct aw_sqlite *database)
{
    for (unsigned i = 0; i < database->statement_count; i++)
        sqlite3_finalize(database->statements[i].statement);
    database->statement_count = 0;
}
