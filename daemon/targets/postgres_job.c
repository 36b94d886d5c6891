/* postgres_job.c - reading the arguments, and refusing at SUBMIT what could only fail later. */
#include "targets/postgres_job.h"

#include "protocol/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char usage[] =
    "needs <sql> [param ...] or TX <n-statements> <sql> <n-params> [param ...] ...";

#define STATEMENTS_MAX 10000u

struct reader {
    const struct argument *arguments;
    uint32_t count;
    uint32_t at;
};

static int check_statement(const struct postgres_job *job, const struct argument *sql,
                           const struct argument *parameters, uint32_t parameter_count,
                           struct aw_error *reterr)
{
    if (sql->null) {
        return aw_error_set(reterr, -EINVAL, "statement %u is NULL", job->statement_count + 1);
    }
    const char *refusal = job->leased ? aw_pg_lease_refusal(sql->data, sql->size)
                                      : aw_pg_refusal(sql->data, sql->size);
    if (refusal != NULL) {
        char word[AW_PG_WORD_SIZE];
        aw_pg_first_word(sql->data, sql->size, word);
        return aw_error_set(reterr, -EINVAL, "%s%s%s", word, word[0] != '\0' ? " is refused: " : "",
                            refusal);
    }
    for (uint32_t i = 0; i < parameter_count; i++) {
        const struct argument *parameter = &parameters[i];
        if (!parameter->null && parameter->size > 0 &&
            memchr(parameter->data, '\0', parameter->size) != NULL) {
            return aw_error_set(reterr, -EINVAL,
                                "parameter %u holds a NUL byte, which PostgreSQL text cannot; send "
                                "bytea as hex ('\\x00...')",
                                i + 1);
        }
    }
    return 0;
}

/* Adds the statement and its parameters, which come next. A value has its argument's place. */
static int add_statement(struct postgres_job *job, struct reader *reader,
                         const struct argument *sql, uint32_t parameter_count,
                         struct aw_error *reterr)
{
    const struct argument *parameters = reader->arguments + reader->at;
    struct aw_pg_value *values = job->values + reader->at;
    int status = check_statement(job, sql, parameters, parameter_count, reterr);
    if (status < 0) {
        return status;
    }
    for (uint32_t i = 0; i < parameter_count; i++) {
        values[i] =
            (struct aw_pg_value){parameters[i].data, parameters[i].size, parameters[i].null};
    }
    reader->at += parameter_count;
    job->statements[job->statement_count++] = (struct aw_pg_statement){
        .sql = sql->data,
        .sql_size = sql->size,
        .parameters = values,
        .parameter_count = parameter_count,
    };
    return 0;
}

static int take_number(struct reader *reader, uint64_t min, uint64_t max, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (reader->at == reader->count || reader->arguments[reader->at].null) {
        return -EINVAL;
    }
    const struct argument *argument = &reader->arguments[reader->at++];
    int status = number_parse_unsigned(argument->data, argument->size, min, max, &number);
    *ret_number = (uint32_t)number;
    return status;
}

static int parse_several(struct postgres_job *job, struct reader *reader, struct aw_error *reterr)
{
    uint32_t count = 0;
    if (take_number(reader, 1, STATEMENTS_MAX, &count) < 0) {
        return aw_error_set(reterr, -EINVAL, "TX needs the number of statements, 1 to %u",
                            STATEMENTS_MAX);
    }
    if (count > (reader->count - reader->at) / 2) { /* before anything is reserved for them */
        return aw_error_set(reterr, -EINVAL, "TX says %u statements, but fewer follow", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t parameters = 0;
        if (reader->at == reader->count) {
            return aw_error_set(reterr, -EINVAL, "TX says %u statements, but %u follow", count, i);
        }
        const struct argument *sql = &reader->arguments[reader->at++];
        if (take_number(reader, 0, reader->count, &parameters) < 0 ||
            parameters > reader->count - reader->at) {
            return aw_error_set(reterr, -EINVAL,
                                "statement %u of TX needs its number of parameters, and them",
                                i + 1);
        }
        int status = add_statement(job, reader, sql, parameters, reterr);
        if (status < 0) {
            return status;
        }
    }
    if (reader->at != reader->count) {
        return aw_error_set(reterr, -EINVAL, "%u arguments follow the %u statements of TX",
                            reader->count - reader->at, count);
    }
    return 0;
}

static void judge(struct postgres_job *job)
{
    bool plain = true;
    for (uint32_t i = 0; i < job->statement_count; i++) {
        plain = plain && aw_pg_is_plain(job->statements[i].sql, job->statements[i].sql_size);
    }
    job->explicit_transaction = job->several && !plain;
    job->atomic = plain || job->explicit_transaction;
}

/* False: no memory. */
static bool make_place(struct postgres_job *job, uint32_t count)
{
    job->statements = &job->first;
    job->values = job->few;
    if (job->several) {
        job->statements = calloc(count / 2 + 1, sizeof *job->statements);
    }
    if (count > POSTGRES_JOB_VALUES) {
        job->values = calloc(count, sizeof *job->values);
    }
    return job->statements != NULL && job->values != NULL;
}

static int parse(struct postgres_job *job, bool leased, const struct argument *arguments,
                 uint32_t count, struct aw_error *reterr)
{
    if (count == 0) {
        return aw_error_set(reterr, -EINVAL, "%s", usage);
    }
    struct reader reader = {arguments, count, 1};
    job->leased = leased;
    job->statement_count = 0;
    job->several = !arguments[0].null && arguments[0].size == 2 &&
                   strncasecmp(arguments[0].data, "TX", 2) == 0;
    if (job->several && leased) {
        return aw_error_set(reterr, -EINVAL, "TX is not for a leased connection: send BEGIN, the "
                            "statements and COMMIT");
    }
    int status = make_place(job, count) ? 0 : aw_error_set(reterr, -ENOMEM, "out of memory");
    if (status == 0) {
        status = job->several ? parse_several(job, &reader, reterr)
                              : add_statement(job, &reader, &arguments[0], count - 1, reterr);
    }
    if (status < 0) {
        postgres_job_free(job);
        return status;
    }
    judge(job);
    return 0;
}

int postgres_job_parse(struct postgres_job *ret_job, const struct argument *arguments,
                       uint32_t count, struct aw_error *reterr)
{
    return parse(ret_job, false, arguments, count, reterr);
}

int postgres_job_parse_leased(struct postgres_job *ret_job, const struct argument *arguments,
                              uint32_t count, struct aw_error *reterr)
{
    return parse(ret_job, true, arguments, count, reterr);
}

void postgres_job_free(struct postgres_job *job)
{
    if (job->statements != &job->first) {
        free(job->statements);
    }
    if (job->values != job->few) {
        free(job->values);
    }
    job->statements = NULL;
    job->values = NULL;
}
