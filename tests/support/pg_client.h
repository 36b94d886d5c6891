/* pg_client.h - a PostgreSQL pool and one-line checks for the tests of the client. */
#ifndef SUPPORT_PG_CLIENT_H
#define SUPPORT_PG_CLIENT_H

#include <await/pg.h>

extern struct aw_pg_pool *pg_client_pool;
extern struct aw_error pg_client_error; /* of the last pg_client_query */

/* Runs the body as the first task of a loop, with a pool on the shared server (postgres.h) or on
 * another uri. The body returns 0, or what fails the test. */
void pg_client_run(uint32_t connections, uint32_t pipeline, int (*body)(void));
void pg_client_run_on(const char *uri, uint32_t connections, uint32_t pipeline, int (*body)(void));

/* On a database of this test's own, so that tests of one binary that run at once do not meet. */
void pg_client_run_apart(uint32_t connections, uint32_t pipeline, int (*body)(void));

/* Runs a statement; its first value goes to `text` (may be NULL). */
int pg_client_query(const char *sql, char *text, size_t size);

/* Cancels a statement on the server: afterwards the loop has opened what it needs for that. */
void pg_client_cancel_once(void);

/* The statement's first value is `expected`. */
void pg_client_expect(const char *sql, const char *expected);

#define PG_EXPECT_OK(sql)                                                                          \
    do {                                                                                           \
        int expected_status = pg_client_query(sql, NULL, 0);                                       \
        cr_expect_eq(expected_status, 0, "%s: %s %s", sql, pg_client_error.code,                   \
                     pg_client_error.message);                                                     \
    } while (0)

#define PG_EXPECT_CODE(sql, sqlstate)                                                              \
    do {                                                                                           \
        cr_expect_eq(pg_client_query(sql, NULL, 0), -EREMOTEIO, "%s", sql);                        \
        cr_expect_str_eq(pg_client_error.code, sqlstate, "%s: %s", sql, pg_client_error.message);  \
    } while (0)

#endif
