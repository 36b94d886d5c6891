/* sqlite_memory.h - SQLite's allocator, which says no when the task's stack is nearly used up.
 *
 * SQLite recurses with what it is given (a chain of a thousand WITH clauses, views upon views),
 * and no limit of its own bounds that; on a coroutine's stack it would end the process. It
 * allocates at each step down, though, and copes with "out of memory" everywhere. */
#ifndef CLIENTS_SQLITE_MEMORY_H
#define CLIENTS_SQLITE_MEMORY_H

#include <await/base.h>

/* Before sqlite3_initialize. SQLITE_OK or why not. */
int sqlite_memory_install(void);

/* Whether an allocation has been refused for the stack's sake since this was last asked. */
bool sqlite_memory_stack_was_short(void);

#endif
