/* pg_session.h - a connection outside the pool's pipelines, for what cannot travel there: COPY,
 * rows one by one, LISTEN.
 *
 * It belongs to one task, which sends, waits and reads by itself; it is opened for its purpose and
 * closed with it, so nothing of it can be left for anybody. A statement that is not over when its
 * owner loses interest is stopped on the server first (pg_session_stop). */
#ifndef CLIENTS_PG_SESSION_H
#define CLIENTS_PG_SESSION_H

#include "clients/pg_internal.h"

struct pg_session {
    struct aw_pg_pool *pool;
    PGconn *handle;
    bool has_place;  /* one of pool->sessions */
    bool is_running; /* a statement was sent whose end has not been seen */
    bool is_done;    /* the server has confirmed its success */
    uint64_t count;  /* the rows it says it treated */
};

/* Waits for one of the pool's places and connects. -ENOTCONN, -ETIME, -ECANCELED, -ENOMEM: nothing
 * is left open. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_open(struct pg_session *session, struct aw_pg_pool *pool,
                                              struct aw_error *reterr);
/* Only connects, for a session that lasts; `session` is zero but for `pool`. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_connect(struct pg_session *session,
                                                 struct aw_error *reterr);
/* Stops what still runs, closes and gives the place back. Not a cancellation point; at most about
 * five seconds. */
AW_SUSPENDS void pg_session_close(struct pg_session *session);

/* Sends a statement whole and waits for its first result, *ret_result, which the caller clears. An
 * error of the server is the function's result. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_run(struct pg_session *session,
                                             const struct aw_pg_statement *statement, bool by_row,
                                             PGresult **ret_result, struct aw_error *reterr);
/* Sends what libpq holds back. -ECONNRESET: the connection is lost. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_flush(struct pg_session *session, struct aw_error *reterr);
/* Waits for bytes and takes them in. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_receive(struct pg_session *session,
                                                 struct aw_error *reterr);
/* The next result: NULL when the statement is over. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_result(struct pg_session *session, PGresult **ret_result,
                                                struct aw_error *reterr);
/* Takes the rest of a statement's results: 0 once the server has confirmed its success. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_finish(struct pg_session *session,
                                                struct aw_error *reterr);

/* Stops the running statement on the server, for a caller who was interrupted with `number`. 0: it
 * had succeeded before; `number`: it came to nothing; -ECONNABORTED: not known within five
 * seconds. Not a cancellation point. */
AW_MUST_CHECK AW_SUSPENDS int pg_session_stop(struct pg_session *session, int number,
                                              struct aw_error *reterr);

/* What an error result means: -EREMOTEIO, -ESHUTDOWN or -ECONNRESET. */
AW_MUST_CHECK int pg_session_error(const PGresult *result, struct aw_error *reterr);
/* The connection is lost: -ECONNRESET with libpq's reason. */
AW_MUST_CHECK int pg_session_lost(const struct pg_session *session, struct aw_error *reterr);
AW_MUST_CHECK int pg_session_interrupted(int number, struct aw_error *reterr);

#endif
