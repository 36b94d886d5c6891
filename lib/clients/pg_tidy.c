/* pg_tidy.c - what one run leaves in its session does not reach the next.
 *
 * What a statement says openly (BEGIN, SET, LISTEN ...) is refused before it is sent (pg_sql.c).
 * The rest are functions: set_config(), session advisory locks, temporary tables, cursors WITH
 * HOLD, roles. So right behind a statement that may have called one (pg_tidy_text.c) the cleaning
 * is sent, as a transaction of its own: who comes next on the connection comes behind it.
 *
 * Whether a table has triggers, or a view or default calls functions, no text says. So a session in
 * which anything ran is also cleaned once it has been idle for PG_TIDY_NS, or, when it is never
 * idle, in front of the first run after that time: what a trigger leaves can be seen that long. On
 * the hot path this costs a comparison of two times.
 *
 * DISCARD ALL is not sent: it would drop what the pool has prepared. What a function has PREPAREd
 * cannot be told apart by name, so such a session is replaced. A cleaning that fails has its
 * connection replaced too. */
#include "clients/pg_internal.h"

#include <errno.h>
#include <string.h>

/* The session's user and role first: they may lack the right to the rest. */
static const char *const texts[] = {
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    "CLOSE ALL",
    "UNLISTEN *",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
    /* the function, not the view around it: that took a fifth of the whole cleaning */
    "SELECT pg_catalog.pg_advisory_unlock_all(), EXISTS (SELECT FROM "
    "pg_catalog.pg_prepared_statement() WHERE from_sql)",
};

#define TEXTS (sizeof texts / sizeof texts[0])

bool pg_tidy_is_due(const struct pg_connection *connection, uint64_t now_ns)
{
    return connection->untidy_since_ns != 0 &&
           (now_ns - connection->untidy_since_ns >= PG_TIDY_NS || connection->lease != NULL);
}

uint64_t pg_tidy_at_ns(const struct pg_connection *connection)
{
    return connection->untidy_since_ns != 0 ? connection->untidy_since_ns + PG_TIDY_NS : AW_NEVER;
}

void pg_tidy_send(struct pg_connection *connection)
{
    struct aw_pg_statement statements[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        statements[i] = (struct aw_pg_statement){.sql = texts[i], .sql_size = strlen(texts[i])};
    }
    const struct aw_pg_run run = {.statements = statements, .statement_count = TEXTS};
    struct pg_request *request = NULL;
    if (pg_request_new(&request, &run, true) < 0) {
        connection->retiring = true;
        return;
    }
    request->tidies = true;
    connection->untidy_since_ns = 0;
    pg_connection_send(connection, request);
}

void pg_tidy_received(struct pg_connection *connection, const struct pg_request *request,
                      int number)
{
    if (number == -ERESTART && !connection->broken) {
        pg_tidy_send(connection); /* a cancel meant for the run before has hit it */
        return;
    }
    struct aw_pg_value prepared = aw_pg_value_at(request->results, TEXTS - 1, 0, 1);
    if (number != 0 || prepared.size != 1 || prepared.data[0] != 'f') {
        connection->retiring = true;
    }
}
