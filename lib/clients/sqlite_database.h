/* sqlite_database.h - the inside of struct aw_sqlite, for the parts of this client.
 *
 * One connection, one owner at a time. sqlite_database.c opens and closes it, sqlite_statement.c
 * keeps its statements, sqlite_wait.c decides what happens when it must wait or runs long,
 * sqlite_limits.c what users may do, sqlite_error.c names what went wrong. */
#ifndef CLIENTS_SQLITE_DATABASE_H
#define CLIENTS_SQLITE_DATABASE_H

#include "clients/sqlite_file.h"

#include <await/sqlite.h>

#define STATEMENT_CACHE_MAX 64u
#define STATEMENT_CACHED_SQL_MAX 16384u /* longer ones are not kept */
#define REFUSAL_SIZE 160

struct cached_statement {
    sqlite3_stmt *statement;
    uint64_t used; /* the order of last use */
};

struct aw_sqlite {
    sqlite3 *handle;
    struct sqlite_file *file; /* the main database's; NULL before it is open */
    unsigned flags;
    uint32_t busy_timeout_ms;
    bool failed;
    void (*on_failure)(void *context);
    void *on_failure_context;

    uint64_t busy_since_ns;  /* of the wait for a lock that goes on */
    uint32_t wal_frames;     /* as of the last commit or checkpoint */
    uint32_t page_size;
    bool sleeping;           /* suspended in the SQL function sleep() */

    bool session;            /* a session's: transactions are the user's own */
    bool trusted;            /* what is prepared now is our own SQL, not a user's */
    char refusal[REFUSAL_SIZE]; /* why the authorizer said no, for the error message */

    struct cached_statement statements[STATEMENT_CACHE_MAX];
    unsigned statement_count;
    uint64_t statement_clock;
};

/* sqlite_wait.c: busy and progress handlers, sleep(). SQLITE_OK or an error. */
int sqlite_wait_install(struct aw_sqlite *database);

/* sqlite_limits.c */
void sqlite_limits_install(struct aw_sqlite *database, uint32_t length_max);

/* sqlite_statement.c */
AW_SUSPENDS void sqlite_statements_free(struct aw_sqlite *database);

#endif
