/* sqlite_vfs.h - the VFS "await": SQLite's files on the ring. */
#ifndef CLIENTS_SQLITE_VFS_H
#define CLIENTS_SQLITE_VFS_H

#include <await/error.h>

#define SQLITE_VFS_NAME "await"

/* Configures SQLite for one thread and registers the VFS, once a process. -EBUSY when SQLite was
 * already initialised in another mode, -EPERM on another thread than the first caller's. */
AW_MUST_CHECK int sqlite_vfs_register(struct aw_error *reterr);

#endif
