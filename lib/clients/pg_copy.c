/* pg_copy.c - COPY in and out on a session of its own.
 *
 * In: running -> ending -> ended. What fails before the end is announced cannot last: the server
 * commits only after it. So every failure of a write is final and the session is simply closed. */
#include "clients/pg_session.h"

#include <await/pg_copy.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_SIZE ((size_t)65536) /* the most that waits in libpq for the socket */

struct aw_pg_copy {
    struct pg_session session;
    bool is_in;
    bool has_ended;
    int failed;  /* of the call that ended it */
    size_t kept; /* bytes given to libpq since the last flush */
    char *data;  /* what the last read gave */
    struct aw_error error;
};

/* --- starting -------------------------------------------------------------------------- */

static int check_copy(const char *sql, struct aw_error *reterr)
{
    char word[AW_PG_WORD_SIZE];
    aw_pg_first_word(sql, strlen(sql), word);
    return strcmp(word, "COPY") == 0 ? 0
                                     : aw_error_set(reterr, -EINVAL, "the statement is not a COPY");
}

static int start(struct aw_pg_copy *copy, const char *sql, struct aw_error *reterr)
{
    const struct aw_pg_statement statement = {.sql = sql, .sql_size = strlen(sql)};
    PGresult *result = NULL;
    int status = pg_session_run(&copy->session, &statement, false, &result, reterr);
    if (status == -ETIME || status == -ECANCELED) {
        int stopped = pg_session_stop(&copy->session, status, reterr);
        status = stopped == 0 ? pg_session_interrupted(status, reterr) : stopped;
    }
    if (status < 0) {
        return status;
    }
    ExecStatusType expected = copy->is_in ? PGRES_COPY_IN : PGRES_COPY_OUT;
    if (PQresultStatus(result) != expected) {
        status = aw_error_set(reterr, -EINVAL, "the statement is not a COPY ... %s",
                              copy->is_in ? "FROM STDIN" : "TO STDOUT");
    }
    PQclear(result);
    return status;
}

static int open_copy(struct aw_pg_copy **ret_copy, struct aw_pg_pool *pool, const char *sql,
                     bool is_in, struct aw_error *reterr)
{
    int status = check_copy(sql, reterr);
    if (status < 0) {
        return status;
    }
    struct aw_pg_copy *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    copy->is_in = is_in;
    status = pg_session_open(&copy->session, pool, reterr);
    if (status == 0) {
        status = start(copy, sql, reterr);
    }
    if (status < 0) {
        aw_pg_copy_close(copy);
        return status;
    }
    *ret_copy = copy;
    return 0;
}

int aw_pg_copy_in(struct aw_pg_copy **ret_copy, struct aw_pg_pool *pool, const char *sql,
                  struct aw_error *reterr)
{
    return open_copy(ret_copy, pool, sql, true, reterr);
}

int aw_pg_copy_out(struct aw_pg_copy **ret_copy, struct aw_pg_pool *pool, const char *sql,
                   struct aw_error *reterr)
{
    return open_copy(ret_copy, pool, sql, false, reterr);
}

/* --- in -------------------------------------------------------------------------------- */

/* Ends the copy with what copy->error says. */
static int end(struct aw_pg_copy *copy, int number, struct aw_error *reterr)
{
    copy->has_ended = true;
    copy->failed = number;
    if (number < 0 && reterr != NULL) {
        *reterr = copy->error;
    }
    return number;
}

static int check_direction(struct aw_pg_copy *copy, bool is_in, struct aw_error *reterr)
{
    if (copy->is_in != is_in) {
        return aw_error_set(reterr, -EINVAL, "the COPY goes the other way");
    }
    if (copy->has_ended && copy->failed < 0 && reterr != NULL) {
        *reterr = copy->error;
    }
    return copy->has_ended ? copy->failed : 0;
}

static int write_piece(struct aw_pg_copy *copy, const char *data, size_t size)
{
    if (PQputCopyData(copy->session.handle, data, (int)size) != 1) {
        return pg_session_lost(&copy->session, &copy->error);
    }
    copy->kept += size;
    if (copy->kept < PIECE_SIZE) {
        return 0;
    }
    copy->kept = 0;
    return pg_session_flush(&copy->session, &copy->error);
}

int aw_pg_copy_write(struct aw_pg_copy *copy, const void *data, size_t size,
                     struct aw_error *reterr)
{
    int status = check_direction(copy, true, reterr);
    if (status < 0 || copy->has_ended) {
        return status < 0 ? status : aw_error_set(reterr, -EINVAL, "the COPY was ended before");
    }
    status = aw_interrupted();
    if (status < 0) {
        return end(copy, pg_session_interrupted(status, &copy->error), reterr);
    }
    for (size_t written = 0; written < size && status == 0;) {
        size_t piece = size - written < PIECE_SIZE ? size - written : PIECE_SIZE;
        status = write_piece(copy, (const char *)data + written, piece);
        written += piece;
    }
    return status < 0 ? end(copy, status, reterr) : 0;
}

static int finish_in(struct aw_pg_copy *copy)
{
    if (PQputCopyEnd(copy->session.handle, NULL) != 1) {
        return pg_session_lost(&copy->session, &copy->error);
    }
    int status = pg_session_flush(&copy->session, &copy->error);
    if (status == 0 || status == -ECONNRESET) { /* the server may have said why it closed */
        status = pg_session_finish(&copy->session, &copy->error);
    }
    if (status == -ETIME || status == -ECANCELED) {
        status = pg_session_stop(&copy->session, status, &copy->error);
    }
    return status;
}

int aw_pg_copy_end(struct aw_pg_copy *copy, uint64_t *ret_rows, struct aw_error *reterr)
{
    int status = check_direction(copy, true, reterr);
    if (status < 0 || copy->has_ended) {
        return status < 0 ? status : aw_error_set(reterr, -EINVAL, "the COPY was ended before");
    }
    status = aw_interrupted();
    if (status < 0) { /* nothing announced its end yet: closing rolls it back */
        return end(copy, pg_session_interrupted(status, &copy->error), reterr);
    }
    status = end(copy, finish_in(copy), reterr);
    if (status == 0 && ret_rows != NULL) {
        *ret_rows = copy->session.count;
    }
    return status;
}

/* --- out ------------------------------------------------------------------------------- */

static int finish_out(struct aw_pg_copy *copy, struct aw_error *reterr)
{
    int status = pg_session_finish(&copy->session, &copy->error);
    if (status == -ETIME || status == -ECANCELED) {
        if (reterr != NULL) {
            *reterr = copy->error;
        }
        return status;
    }
    return end(copy, status, reterr);
}

int aw_pg_copy_read(struct aw_pg_copy *copy, const char **ret_data, struct aw_error *reterr)
{
    int status = check_direction(copy, false, reterr);
    if (status < 0 || copy->has_ended) {
        return status;
    }
    PQfreemem(copy->data);
    copy->data = NULL;
    for (;;) {
        int size = PQgetCopyData(copy->session.handle, &copy->data, 1);
        if (size > 0) {
            *ret_data = copy->data;
            return size;
        }
        if (size < 0) {
            return finish_out(copy, reterr); /* the end, or the error that ended it */
        }
        status = pg_session_receive(&copy->session, &copy->error);
        if (status == -ECONNRESET) {
            return finish_out(copy, reterr);
        }
        if (status < 0) {
            if (reterr != NULL) {
                *reterr = copy->error;
            }
            return status;
        }
    }
}

void aw_pg_copy_close(struct aw_pg_copy *copy)
{
    if (copy == NULL) {
        return;
    }
    pg_session_close(&copy->session);
    PQfreemem(copy->data);
    free(copy);
}
