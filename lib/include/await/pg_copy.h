/* pg_copy.h - PostgreSQL: COPY, bytes in and out of a table as a stream.
 *
 *     struct aw_pg_copy *copy;
 *     int result = aw_pg_copy_in(&copy, pool, "COPY points FROM STDIN", &error);
 *     if (result < 0)
 *         return result;
 *     while (result == 0 && more)
 *         result = aw_pg_copy_write(copy, line, line_size, &error);
 *     if (result == 0)
 *         result = aw_pg_copy_end(copy, &rows, &error);
 *     aw_pg_copy_close(copy);                          not ended: nothing of it lasts
 *
 * The bytes are what the statement's FORMAT says (text, csv, binary). A COPY runs on a connection
 * of its own, in a transaction of its own; the connection is opened for it and closed with it,
 * whatever happened. A pool has at most session_connections of them (pg.h), others wait their turn.
 *
 * One task uses it at a time. Link with libpq to use this header. */
#ifndef AWAIT_PG_COPY_H
#define AWAIT_PG_COPY_H

#include <await/pg.h>

struct aw_pg_copy;

/* Starts COPY ... FROM STDIN, or COPY ... TO STDOUT, and waits until the server has agreed. `sql`
 * ends with a NUL and is not needed afterwards.
 *   -EINVAL        not such a statement
 *   -ENOTCONN      no connection could be had
 *   -EREMOTEIO, -ESHUTDOWN  the server's error (error.code is the SQLSTATE)
 *   -ETIME, -ECANCELED, -ECONNRESET, -ECONNABORTED, -ENOMEM
 * After a failure nothing has been copied. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_copy_in(struct aw_pg_copy **ret_copy,
                                                   struct aw_pg_pool *pool, const char *sql,
                                                   struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_copy_out(struct aw_pg_copy **ret_copy,
                                                    struct aw_pg_pool *pool, const char *sql,
                                                    struct aw_error *reterr);

/* Hands over `size` bytes, cut anywhere. Suspends while the server is behind by more than 64 KiB.
 * 0, or: -ECONNRESET: the connection is lost; -ETIME, -ECANCELED: interrupted, how much was taken
 * is not known. After a failure nothing of the COPY lasts and every later call gives the same. The
 * server's own objection (a bad line, a constraint) comes with aw_pg_copy_end: libpq hands it over
 * only then. -EINVAL: not a COPY ... FROM. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_copy_write(struct aw_pg_copy *copy, const void *data,
                                                      size_t size, struct aw_error *reterr);

/* Ends a COPY ... FROM and waits for the server's confirmation: the number of rows goes to
 * *ret_rows (may be NULL).
 *   0              done, even if interrupted just then
 *   -EREMOTEIO, -ESHUTDOWN  the server's error: nothing was copied
 *   -ETIME, -ECANCELED  interrupted and stopped on the server: nothing was copied
 *   -ECONNRESET, -ECONNABORTED  lost, or not stopped within five seconds: unknown
 *   -EINVAL        not a COPY ... FROM, or ended already; or what aw_pg_copy_write had failed with
 */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_copy_end(struct aw_pg_copy *copy, uint64_t *ret_rows,
                                                    struct aw_error *reterr);

/* The next bytes of a COPY ... TO, a row in the formats text and csv: their number, in memory of
 * the copy's at *ret_data, valid until the next call. 0: the end, and the server has confirmed that
 * it was all. A reader that stops reading stops the server.
 * -EREMOTEIO, -ESHUTDOWN, -ECONNRESET: it is over, what came before is incomplete. -ETIME,
 * -ECANCELED: nothing is lost, a later call goes on. -EINVAL: not a COPY ... TO. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_pg_copy_read(struct aw_pg_copy *copy, const char **ret_data,
                                                     struct aw_error *reterr);

/* Frees it and closes the connection. A COPY that has not ended is stopped on the server, which
 * takes at most about five seconds; of a COPY ... FROM nothing lasts. NULL does nothing. Not a
 * cancellation point. */
AW_API AW_SUSPENDS void aw_pg_copy_close(struct aw_pg_copy *copy);

#endif
