/* database.h - "test.db" in the current folder, for tests of the SQLite client: on our VFS, and as
 * another process with SQLite's own sees it. A call that cannot do its work fails the test. */
#ifndef SUPPORT_DATABASE_H
#define SUPPORT_DATABASE_H

#include <await/sqlite.h>

/* How much longer to wait for a lock: the ring of a process that was killed lets go of its files a
 * moment after the process is gone. */
extern int database_patience_ms;

/* Inside aw_run. `flags` are those of aw_sqlite_open. */
struct aw_sqlite *database_open(unsigned flags);
void database_run(struct aw_sqlite *database, const char *sql);
int64_t database_number(struct aw_sqlite *database, const char *sql);
bool database_is_whole(struct aw_sqlite *database); /* PRAGMA integrity_check */

/* What the stock unix VFS, in another process, answers: its first value, "", or the error. */
void stock_expect(const char *sql, const char *expected);

#endif
