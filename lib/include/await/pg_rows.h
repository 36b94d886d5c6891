/* pg_rows.h - PostgreSQL: the rows of one statement one by one, however many there are.
 *
 *     struct aw_pg_rows *rows;
 *     int result = aw_pg_rows_open(&rows, pool, &statement, &error);
 *     if (result < 0)
 *         return result;
 *     while ((result = aw_pg_rows_next(rows, &error)) > 0)
 *         use(aw_pg_rows_value(rows, 0));
 *     aw_pg_rows_close(rows);
 *
 * The statement runs on a connection of its own, which is opened for it and closed with it; a pool
 * has at most session_connections of them (pg.h), others wait their turn. Only the row at hand is
 * in memory, beside what libpq has read ahead (tens of KiB, or one large row); a reader that stops
 * reading stops the server. It runs in a transaction of its own: inside a larger one use DECLARE
 * CURSOR and FETCH with aw_pg_transaction_query.
 *
 * One task uses it at a time. Link with libpq to use this header. */
#ifndef AWAIT_PG_ROWS_H
#define AWAIT_PG_ROWS_H

#include <await/pg.h>

struct aw_pg_rows;

/* Starts the statement and waits until its first row or its end is there. What `statement` points
 * at is not needed afterwards.
 *   -EINVAL        the statement cannot be sent, or not here (aw_pg_refusal)
 *   -ENOTCONN      no connection could be had: not executed
 *   -EREMOTEIO, -ESHUTDOWN  the server's error (error.code is the SQLSTATE): rolled back
 *   -ETIME, -ECANCELED  interrupted: not executed, or stopped on the server and rolled back
 *   -ECONNRESET, -ECONNABORTED  lost, or not stopped in time: unknown whether it changed anything
 *   -ENOMEM */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_rows_open(struct aw_pg_rows **ret_rows,
                                                     struct aw_pg_pool *pool,
                                                     const struct aw_pg_statement *statement,
                                                     struct aw_error *reterr);

/* Goes on to the next row: 1, or 0 when there is none and the server has confirmed the statement's
 * success. -EREMOTEIO, -ESHUTDOWN, -ECONNRESET as above: it is over. -ETIME, -ECANCELED: nothing is
 * lost, a later call goes on; closing stops it. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_rows_next(struct aw_pg_rows *rows,
                                                     struct aw_error *reterr);

/* Of the row at hand, columns counted from 0; the bytes are valid until the next call of
 * aw_pg_rows_next or aw_pg_rows_close, and followed by a NUL. NULL past the last column, or when no
 * row is at hand. */
AW_API struct aw_pg_value aw_pg_rows_value(const struct aw_pg_rows *rows, uint32_t column);

/* Known as soon as it is open. The name is valid until aw_pg_rows_close; "" and 0 past the last
 * column. The type is an oid, as in pg_type. */
AW_API uint32_t aw_pg_rows_column_count(const struct aw_pg_rows *rows);
AW_API const char *aw_pg_rows_column_name(const struct aw_pg_rows *rows, uint32_t column);
AW_API uint32_t aw_pg_rows_column_type(const struct aw_pg_rows *rows, uint32_t column);

/* Frees it and closes the connection. Before the end the statement is stopped on the server, which
 * takes at most about five seconds; what it changed is then rolled back, unless it had just ended.
 * NULL does nothing. Not a cancellation point. */
AW_API AW_SUSPENDS void aw_pg_rows_close(struct aw_pg_rows *rows);

#endif
