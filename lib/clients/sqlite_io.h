/* sqlite_io.h - the ring operations the VFS needs, each carried to its end: interruptions of the
 * task do not reach them (SQLite must never see half a transaction's I/O fail because somebody
 * lost patience), short reads and writes are continued, EINTR and EAGAIN repeated.
 *
 * Results are 0 or positive, or negative errno; -EPERM outside aw_run. */
#ifndef CLIENTS_SQLITE_IO_H
#define CLIENTS_SQLITE_IO_H

#include "clients/sqlite_gather.h"

#include <sys/stat.h>

/* Reads until `size` bytes or the end of the file: how many there were. */
AW_MUST_CHECK AW_SUSPENDS long sqlite_io_read(int fd, void *buffer, size_t size, uint64_t offset);

/* Writes all of it. With `durable` it is on the device before this returns (RWF_DSYNC). */
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_write(int fd, const void *data, size_t size,
                                              uint64_t offset, bool durable);

/* Writes all extents, up to 64 at a time in parallel. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_write_extents(int fd, const struct gather_extent *extents,
                                                      unsigned count);

/* One extent and then fdatasync, linked, so that one turn of the loop does both. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_write_and_sync(int fd, const struct gather_extent *extent);

AW_MUST_CHECK AW_SUSPENDS int sqlite_io_sync(int fd);
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_sync_directory_of(const char *path);
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_open(const char *path, int flags, mode_t mode);
AW_SUSPENDS void sqlite_io_close(int fd);
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_unlink(const char *path);
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_allocate(int fd, int mode, uint64_t offset,
                                                 uint64_t length);

struct sqlite_io_stat {
    uint64_t size;
    uint64_t inode;
    uint64_t device;
    mode_t mode;
    uid_t owner;
    gid_t group;
    uint32_t links;
};
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_stat(int fd, struct sqlite_io_stat *ret_stat);
AW_MUST_CHECK AW_SUSPENDS int sqlite_io_stat_path(const char *path,
                                                  struct sqlite_io_stat *ret_stat);

#endif
