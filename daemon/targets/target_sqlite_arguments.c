/* target_sqlite_arguments.c - `<sql> [param ...]` and `TX <n> <sql> <n-params> param ... ...`.
 *
 * How a parameter is bound. Arguments are bytes; SQLite has types. The rule:
 *   - the canonical decimal form of a 64-bit integer (`42`, `-7`; not `042`, `+7`) binds as
 *     INTEGER, that of a real with a point (`1.5`; not `1.50`, `1e3`) as REAL: so `LIMIT ?`,
 *     `length(v) > ?` and INTEGER columns work;
 *   - bytes that are no UTF-8 or hold a NUL bind as BLOB;
 *   - everything else binds as TEXT, and `NULL n` as NULL. A column with TEXT affinity turns a
 *     number back into exactly the text that was given. Where the type matters and no column
 *     decides, say so: CAST(? AS TEXT), CAST(? AS BLOB). */
#include "targets/target_sqlite.h"

#include "protocol/number.h"
#include "protocol/word.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REAL_DIGITS_MAX 24u

static bool is_real(const char *data, size_t size, double *ret_real)
{
    char text[REAL_DIGITS_MAX + 1];
    if (size == 0 || size > REAL_DIGITS_MAX || !memchr(data, '.', size))
        return false;
    for (size_t i = 0; i < size; i++)
        if ((data[i] < '0' || data[i] > '9') && data[i] != '.' && (i > 0 || data[i] != '-'))
            return false;
    memcpy(text, data, size);
    text[size] = '\0';

    char *end;
    double real = strtod(text, &end);
    if (*end)
        return false;
    char canonical[64];
    sqlite3_snprintf(sizeof(canonical), canonical, "%!.15g", real); /* as SQLite prints a REAL */
    if (strcmp(canonical, text) != 0)
        return false;
    *ret_real = real;
    return true;
}

/* Strict UTF-8 without NULs. */
static bool is_text(const char *data, size_t size)
{
    const unsigned char *at = (const unsigned char *)data;
    const unsigned char *end = at + size;
    while (at < end) {
        unsigned char first = *at++;
        if (first == 0)
            return false;
        if (first < 0x80)
            continue;
        unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || (size_t)(end - at) < more)
            return false;
        bool overlong = (first == 0xe0 && at[0] < 0xa0) || (first == 0xf0 && at[0] < 0x90);
        bool beyond = (first == 0xed && at[0] > 0x9f) || (first == 0xf4 && at[0] > 0x8f);
        if (overlong || beyond)
            return false;
        for (; more > 0; more--)
            if ((*at++ & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static struct aw_sqlite_value value_of(const struct argument *argument)
{
    struct aw_sqlite_value value = { .data = argument->data, .size = argument->size };
    if (argument->null)
        value.type = SQLITE_NULL;
    else if (number_parse_signed(argument->data, argument->size, INT64_MIN, INT64_MAX,
                                 &value.integer) == 0)
        value.type = SQLITE_INTEGER;
    else if (is_real(argument->data, argument->size, &value.real))
        value.type = SQLITE_FLOAT;
    else
        value.type = is_text(argument->data, argument->size) ? SQLITE_TEXT : SQLITE_BLOB;
    return value;
}

static int check_sql(const struct argument *argument, struct aw_error *reterr)
{
    if (argument->null || argument->size == 0)
        return aw_error_set(reterr, -EINVAL, "the SQL is empty");
    return 0;
}

/* Adds one statement to the job, or only checks when job->statements is NULL. */
static int add_statement(struct sqlite_job *job, const struct argument *sql,
                         const struct argument *values, uint32_t count, uint32_t *used,
                         struct aw_error *reterr)
{
    int result = check_sql(sql, reterr);
    if (result < 0)
        return result;
    if (job->statements) {
        job->statements[job->count] = (struct aw_sqlite_statement){
            .sql = sql->data,
            .sql_size = sql->size,
            .values = job->values + *used,
            .value_count = count,
        };
        for (uint32_t i = 0; i < count; i++)
            job->values[*used + i] = value_of(&values[i]);
    }
    *used += count;
    job->count++;
    return 0;
}

static int walk_transaction(const struct argument *arguments, uint32_t count,
                            struct sqlite_job *job, struct aw_error *reterr)
{
    uint64_t statements;
    uint32_t used = 0;
    if (count < 2 || number_parse_unsigned(arguments[1].data, arguments[1].size, 1,
                                           SQLITE_STATEMENTS_MAX, &statements) < 0)
        return aw_error_set(reterr, -EINVAL, "needs TX <number of statements, 1 to %u> <sql> "
                            "<number of params> [param ...] ...", SQLITE_STATEMENTS_MAX);
    uint32_t at = 2;
    for (uint64_t i = 0; i < statements; i++) {
        uint64_t values;
        if (count - at < 2 || number_parse_unsigned(arguments[at + 1].data, arguments[at + 1].size,
                                                    0, UINT32_MAX, &values) < 0)
            return aw_error_set(reterr, -EINVAL,
                                "statement %u of TX needs <sql> <number of params>",
                                (unsigned)i + 1);
        if (values > count - at - 2)
            return aw_error_set(reterr, -EINVAL,
                                "statement %u of TX says %llu params, %u are left",
                                (unsigned)i + 1, (unsigned long long)values, count - at - 2);
        int result = add_statement(job, &arguments[at], &arguments[at + 2], (uint32_t)values,
                                   &used, reterr);
        if (result < 0)
            return result;
        at += 2 + (uint32_t)values;
    }
    if (at != count)
        return aw_error_set(reterr, -EINVAL, "%u arguments are left after the last of TX's %u "
                            "statements", count - at, (unsigned)statements);
    return 0;
}

static int walk(const struct argument *arguments, uint32_t count, struct sqlite_job *job,
                struct aw_error *reterr)
{
    if (count == 0)
        return aw_error_set(reterr, -EINVAL, "needs <sql> [param ...] or TX <n> <sql> <n-params> "
                            "[param ...] ...");
    job->count = 0;
    job->transaction = word_equal(arguments[0].data, arguments[0].size, "TX");
    if (job->transaction)
        return walk_transaction(arguments, count, job, reterr);
    uint32_t used = 0;
    return add_statement(job, &arguments[0], arguments + 1, count - 1, &used, reterr);
}

int sqlite_job_check(const struct argument *arguments, uint32_t count, struct aw_error *reterr)
{
    struct sqlite_job job = { 0 };
    return walk(arguments, count, &job, reterr);
}

int sqlite_job_parse(const struct argument *arguments, uint32_t count, struct sqlite_job *ret_job,
                     struct aw_error *reterr)
{
    struct sqlite_job job = { 0 };
    int result = walk(arguments, count, &job, reterr);
    if (result < 0)
        return result;
    job.statements = calloc(job.count, sizeof(*job.statements));
    job.values = calloc(count, sizeof(*job.values));
    if (!job.statements || !job.values) {
        sqlite_job_free(&job);
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    result = walk(arguments, count, &job, reterr);
    if (result < 0) {
        sqlite_job_free(&job);
        return result;
    }
    *ret_job = job;
    return 0;
}

void sqlite_job_free(struct sqlite_job *job)
{
    free(job->statements);
    free(job->values);
    *job = (struct sqlite_job){ 0 };
}
