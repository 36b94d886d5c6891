/* store_copy.h - the mark of a copy that BACKUP made, until it is a queue of its own.
 *
 * A copy that takes the place of queue.db must not meet the queue.db-wal of its predecessor: SQLite
 * would put those newer pages over the older ones of the copy, and neither queue would be left. So
 * a copy carries another application id in its first page. A store that finds it refuses while a
 * WAL lies beside, and otherwise makes the file an ordinary queue before SQLite opens it. */
#ifndef QUEUE_STORE_COPY_H
#define QUEUE_STORE_COPY_H

#include <await.h>

/* Marks the finished copy at `path`, which has no WAL, and syncs it.
 * 0, or the errno of open, write or sync with the reason in *reterr. */
AW_MUST_CHECK AW_SUSPENDS int store_copy_mark(const char *path, struct aw_error *reterr);

/* Before SQLite opens `path`: takes the mark away where there is one. 0 also without a file;
 * -EINVAL when it is a copy and a WAL with content lies beside it: nothing is changed then. */
AW_MUST_CHECK AW_SUSPENDS int store_copy_accept(const char *path, struct aw_error *reterr);

#endif
