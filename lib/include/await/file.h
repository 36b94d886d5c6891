/* file.h - files on the ring: every call suspends the task, none blocks the loop.
 *
 * Buffers belong to the caller and must stay valid until the call returns, which is not before the
 * kernel has let go of them, also when the task was cancelled. Results are those of the system call
 * of the same name (read(2), openat(2), statx(2) ...); every errno it documents can be returned,
 * besides -ECANCELED and -ETIME. Offsets and sizes are in bytes. */
#ifndef AWAIT_FILE_H
#define AWAIT_FILE_H

#include <await/base.h>
#include <sys/stat.h>
#include <sys/types.h>

#define AW_AT_POSITION UINT64_MAX /* offset: the file's own position, for pipes and terminals */

/* Opens a file; `flags` are those of open(2), O_CLOEXEC is added. `mode` counts only with O_CREAT
 * or O_TMPFILE. Returns the descriptor, the caller's to aw_close; an open that had succeeded when
 * the task was interrupted delivers it. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_open(const char *path, int flags, mode_t mode);

/* Closes the descriptor, also when the task is cancelled. 0, or what close(2) says: with -EBADF it
 * was none, with -EIO or -ENOSPC what was written may be lost; it is closed all the same. */
AW_API AW_SUSPENDS int aw_close(int fd);

/* One read or write: how many bytes were moved, which may be less than `size` (sizes above
 * INT32_MAX are cut); a read gives 0 at the end of the file. Errors of pread(2) and pwrite(2). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_read(int fd, void *buffer, size_t size, uint64_t offset);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_write(int fd, const void *buffer, size_t size,
                                              uint64_t offset);

/* As aw_write, and the data (with the metadata needed to read it back) is on the device before it
 * returns: RWF_DSYNC of pwritev2(2). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_write_durable(int fd, const void *buffer, size_t size,
                                                      uint64_t offset);

/* Reads or writes it all: 0, or the first error; how much had moved by then is not told. -ENODATA:
 * the file ended first; -EIO: the kernel took nothing. Large sizes move in chunks of at most 1 MiB,
 * between which other tasks run. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_read_exactly(int fd, void *buffer, size_t size,
                                                     uint64_t offset);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_write_all(int fd, const void *buffer, size_t size,
                                                  uint64_t offset);

/* fsync(2), or fdatasync(2) when data_only. A failure means the data may or may not be stored. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sync(int fd, bool data_only);

/* fallocate(2) with FALLOC_FL_KEEP_SIZE: reserves space so that a later write cannot meet ENOSPC.
 * -EOPNOTSUPP where the file system has no such thing. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_reserve_space(int fd, uint64_t offset, uint64_t size);

/* ftruncate(2): cuts or extends the file to `size` bytes. Does not wait for the device. -EFBIG: the
 * size is above 2^63-1 or what the file system allows; -EBADF, -EINVAL: not a file open for
 * writing. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_truncate(int fd, uint64_t size);

/* stat(2) and fstat(2), symbolic links followed: 0 and *ret_stat. -ENOENT: nothing is there. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stat(const char *path, struct stat *ret_stat);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stat_fd(int fd, struct stat *ret_stat);

/* rename(2): moves `from` to `to`, which it replaces in one step. Durable after
 * aw_sync_directory_of(to). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_rename(const char *from, const char *to);

/* unlink(2). Durable after aw_sync_directory_of(path). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_unlink(const char *path);

/* mkdir(2); -EEXIST when something is there. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_make_directory(const char *path, mode_t mode);

/* Opens and fsyncs the directory that holds `path`: makes a creation, rename or removal durable. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_sync_directory_of(const char *path);

/* Reads a whole file of at most size_max bytes into memory the caller frees with free(3); it ends
 * with a NUL that *ret_size does not count. -EFBIG above size_max; -ENOMEM; errors of open(2) and
 * read(2). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_read_file(const char *path, size_t size_max,
                                                  char **ret_data, size_t *ret_size);

/* Replaces the file's contents in one step: a new file beside it is written, synced and renamed
 * over it, and the directory synced. Whatever happens, `path` holds either the old contents or all
 * of the new, and the new file is gone after a failure (a crash may leave it: its name ends in
 * ".tmp"). `mode` is the new file's, less the umask. A symbolic link is replaced, not followed.
 * -ENAMETOOLONG: no room for the other name; errors of open(2), write(2), fsync(2), rename(2). When
 * only the last sync failed, `path` holds the new contents, and a power loss may bring back the
 * old. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_write_file(const char *path, const void *data, size_t size,
                                                   mode_t mode);

/* Copies a regular file's contents and permissions (less the umask), replacing `to` in one step as
 * aw_write_file does. The kernel moves the bytes where it can (sharing blocks on file systems that
 * do), in chunks that leave the loop free. -EINVAL: `from` is not a regular file. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_copy_file(const char *from, const char *to);

/* Makes and opens a new file, readable and writable by its owner alone, under a random name in
 * `directory`, and writes its path to ret_path (size_t `size`; -ENAMETOOLONG when it does not fit).
 * Returns the descriptor; closing and unlinking are the caller's. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_temporary_file(const char *directory, char *ret_path,
                                                       size_t size);

/* As aw_temporary_file, without a name (O_TMPFILE): it is gone when the descriptor is closed.
 * -EOPNOTSUPP where the file system cannot. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_temporary_unnamed(const char *directory);

/* Makes a directory of a random name in `directory`, for its owner alone, and writes its path to
 * ret_path (size_t `size`; -ENAMETOOLONG when it does not fit). 0; removing it is the caller's. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_temporary_directory(const char *directory, char *ret_path,
                                                            size_t size);

/* Bytes that an unprivileged process may still write to the file system of `path` (statvfs(3)). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_disk_free(const char *path, uint64_t *ret_bytes);

#endif
