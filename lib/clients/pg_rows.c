/* pg_rows.c - rows one by one: libpq's results of one row each.
 *
 * `head` is the first result: the columns, for as long as the rows are open. `result` is the one
 * the row at hand is in; it can be `head`. */
#include "clients/pg_session.h"

#include <await/pg_rows.h>

#include <errno.h>
#include <stdlib.h>

struct aw_pg_rows {
    struct pg_session session;
    PGresult *head;
    PGresult *result;
    int row;        /* in `result`; -1: before its first */
    bool has_ended; /* nothing more will come */
    int failed;     /* how it ended */
    struct aw_error error;
};

static void drop_result(struct aw_pg_rows *rows)
{
    if (rows->result != rows->head) {
        PQclear(rows->result);
    }
    rows->result = NULL;
    rows->row = -1;
}

static int end(struct aw_pg_rows *rows, int number)
{
    rows->has_ended = true;
    rows->failed = number;
    return number;
}

int aw_pg_rows_open(struct aw_pg_rows **ret_rows, struct aw_pg_pool *pool,
                    const struct aw_pg_statement *statement, struct aw_error *reterr)
{
    size_t size = 0;
    int status = pg_check_statement(statement, false, "", &size, reterr);
    if (status < 0) {
        return status;
    }
    struct aw_pg_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL) {
        return aw_error_set(reterr, -ENOMEM, "out of memory");
    }
    status = pg_session_open(&rows->session, pool, reterr);
    if (status == 0) {
        status = pg_session_run(&rows->session, statement, true, &rows->head, reterr);
        if (status == -ETIME || status == -ECANCELED) {
            int stopped = pg_session_stop(&rows->session, status, reterr);
            /* Done, but its rows were dropped. */
            status = stopped == 0 ? pg_session_interrupted(status, reterr) : stopped;
        }
    }
    if (status < 0) {
        pg_session_close(&rows->session);
        free(rows);
        return status;
    }
    rows->result = rows->head;
    rows->row = -1;
    *ret_rows = rows;
    return 0;
}

/* After the last row: the server's confirmation. */
static int finish(struct aw_pg_rows *rows, struct aw_error *reterr)
{
    int status = pg_session_finish(&rows->session, &rows->error);
    if (status == -ETIME || status == -ECANCELED) {
        *reterr = rows->error;
        return status;
    }
    return end(rows, status);
}

/* The next result, unless the one at hand is the last. */
static int next_result(struct aw_pg_rows *rows)
{
    PGresult *result = NULL;
    int status = pg_session_result(&rows->session, &result, &rows->error);
    if (status < 0) {
        return status;
    }
    if (result == NULL) { /* as after a lost connection */
        return end(rows, pg_session_lost(&rows->session, &rows->error));
    }
    if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
        int number = pg_session_error(result, &rows->error);
        PQclear(result);
        return end(rows, number);
    }
    drop_result(rows);
    rows->result = result;
    rows->session.is_done = PQresultStatus(result) == PGRES_TUPLES_OK;
    return 0;
}

static bool is_last(const struct aw_pg_rows *rows)
{
    ExecStatusType kind = PQresultStatus(rows->result);
    return kind == PGRES_TUPLES_OK || kind == PGRES_COMMAND_OK || kind == PGRES_EMPTY_QUERY;
}

static int advance(struct aw_pg_rows *rows, struct aw_error *reterr)
{
    for (;;) {
        if (rows->row + 1 < PQntuples(rows->result)) {
            rows->row++;
            return 1;
        }
        if (is_last(rows)) {
            rows->row = PQntuples(rows->result); /* no row is at hand */
            return finish(rows, reterr);
        }
        int status = next_result(rows);
        if (status < 0) {
            return status;
        }
    }
}

int aw_pg_rows_next(struct aw_pg_rows *rows, struct aw_error *reterr)
{
    struct aw_error error;
    struct aw_error *kept = reterr != NULL ? reterr : &error;
    int status = rows->has_ended ? rows->failed : advance(rows, kept);
    if (status < 0) {
        *kept = rows->error;
    }
    return status;
}

struct aw_pg_value aw_pg_rows_value(const struct aw_pg_rows *rows, uint32_t column)
{
    bool there = rows->result != NULL && rows->row >= 0 && rows->row < PQntuples(rows->result) &&
                 !rows->has_ended && column < aw_pg_rows_column_count(rows);
    if (!there || PQgetisnull(rows->result, rows->row, (int)column)) {
        return (struct aw_pg_value){.data = "", .null = true};
    }
    return (struct aw_pg_value){
        .data = PQgetvalue(rows->result, rows->row, (int)column),
        .size = (size_t)PQgetlength(rows->result, rows->row, (int)column),
    };
}

uint32_t aw_pg_rows_column_count(const struct aw_pg_rows *rows)
{
    return (uint32_t)PQnfields(rows->head);
}

const char *aw_pg_rows_column_name(const struct aw_pg_rows *rows, uint32_t column)
{
    return column < aw_pg_rows_column_count(rows) ? PQfname(rows->head, (int)column) : "";
}

uint32_t aw_pg_rows_column_type(const struct aw_pg_rows *rows, uint32_t column)
{
    return column < aw_pg_rows_column_count(rows) ? (uint32_t)PQftype(rows->head, (int)column) : 0;
}

void aw_pg_rows_close(struct aw_pg_rows *rows)
{
    if (rows == NULL) {
        return;
    }
    pg_session_close(&rows->session);
    drop_result(rows);
    PQclear(rows->head);
    free(rows);
}
