/* file.c - one ring operation at a time on a file; see await/file.h for the contract.
 *
 * Nothing here keeps state: descriptors, paths and buffers are the caller's, and ring_perform
 * returns only after the kernel has let go of them. */
#include <await/file.h>
#include <await/scope.h>

#include "io/file_chunk.h"
#include "io/source.h"
#include "ring/request.h"
#include "ring/system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

int aw_open(const char *path, int flags, mode_t mode)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_OPEN,
        .fd = AT_FDCWD,
        .path = path,
        .flags = (uint32_t)(flags | O_CLOEXEC),
        .mode = mode,
    });
}

int aw_close(int fd)
{
    /* The shield: an interrupted task would otherwise not even start the close, and leak. */
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    int result = ring_perform(&(struct ring_request){
        .kind = RING_CLOSE,
        .shielded = true,
        .fd = fd,
    });
    aw_scope_leave(&shield);
    return result;
}

static int transfer_at(uint8_t kind, int fd, void *buffer, size_t size, uint64_t offset,
                       uint32_t flags)
{
    return ring_perform(&(struct ring_request){
        .kind = kind,
        .fd = fd,
        .flags = flags,
        .size = size,
        .offset = offset,
        .buffer = buffer,
    });
}

int aw_read(int fd, void *buffer, size_t size, uint64_t offset)
{
    return transfer_at(RING_READ, fd, buffer, size, offset, 0);
}

int aw_write(int fd, const void *buffer, size_t size, uint64_t offset)
{
    return transfer_at(RING_WRITE, fd, source_buffer(buffer), size, offset, 0);
}

int aw_write_durable(int fd, const void *buffer, size_t size, uint64_t offset)
{
    return transfer_at(RING_WRITE, fd, source_buffer(buffer), size, offset, RWF_DSYNC);
}

static size_t chunk(size_t left)
{
    return left < FILE_CHUNK_BYTES ? left : FILE_CHUNK_BYTES;
}

static uint64_t advance(uint64_t offset, size_t done)
{
    return offset == AW_AT_POSITION ? offset : offset + done;
}

int aw_read_exactly(int fd, void *buffer, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        int result = aw_read(fd, (char *)buffer + done, chunk(size - done),
                             advance(offset, done));
        if (result < 0)
            return result;
        if (result == 0)
            return -ENODATA;
        done += (size_t)result;
    }
    return 0;
}

int aw_write_all(int fd, const void *buffer, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        int result = aw_write(fd, (const char *)buffer + done, chunk(size - done),
                              advance(offset, done));
        if (result < 0)
            return result;
        if (result == 0)
            return -EIO;
        done += (size_t)result;
    }
    return 0;
}

int aw_sync(int fd, bool data_only)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_FSYNC,
        .fd = fd,
        .flags = data_only ? RING_FSYNC_DATA_ONLY : 0,
    });
}

int aw_reserve_space(int fd, uint64_t offset, uint64_t size)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_FALLOCATE,
        .fd = fd,
        .flags = FALLOC_FL_KEEP_SIZE,
        .offset = offset,
        .length = size,
    });
}

int aw_truncate(int fd, uint64_t size)
{
    int result = aw_interrupted();
    return result < 0 ? result : system_truncate(fd, size);
}

static struct timespec to_timespec(const struct statx_timestamp *time)
{
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

static int stat_of(int fd, const char *path, uint32_t flags, struct stat *ret_stat)
{
    struct statx status = {0};
    int result = ring_perform(&(struct ring_request){
        .kind = RING_STAT,
        .fd = fd,
        .flags = flags,
        .mode = STATX_BASIC_STATS,
        .buffer = &status,
        .path = path,
    });
    if (result < 0)
        return result;
    *ret_stat = (struct stat){
        .st_dev = makedev(status.stx_dev_major, status.stx_dev_minor),
        .st_ino = status.stx_ino,
        .st_mode = status.stx_mode,
        .st_nlink = status.stx_nlink,
        .st_uid = status.stx_uid,
        .st_gid = status.stx_gid,
        .st_rdev = makedev(status.stx_rdev_major, status.stx_rdev_minor),
        .st_size = (off_t)status.stx_size,
        .st_blksize = (blksize_t)status.stx_blksize,
        .st_blocks = (blkcnt_t)status.stx_blocks,
        .st_atim = to_timespec(&status.stx_atime),
        .st_mtim = to_timespec(&status.stx_mtime),
        .st_ctim = to_timespec(&status.stx_ctime),
    };
    return 0;
}

int aw_stat(const char *path, struct stat *ret_stat)
{
    return stat_of(AT_FDCWD, path, 0, ret_stat);
}

int aw_stat_fd(int fd, struct stat *ret_stat)
{
    return stat_of(fd, NULL, AT_EMPTY_PATH, ret_stat);
}

int aw_rename(const char *from, const char *to)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_RENAME,
        .fd = AT_FDCWD,
        .path = from,
        .path2 = to,
    });
}

int aw_unlink(const char *path)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_UNLINK,
        .fd = AT_FDCWD,
        .path = path,
    });
}

int aw_make_directory(const char *path, mode_t mode)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_MKDIR,
        .fd = AT_FDCWD,
        .path = path,
        .mode = mode,
    });
}

int aw_disk_free(const char *path, uint64_t *ret_bytes)
{
    int result = aw_interrupted();
    if (result < 0)
        return result;
    struct statvfs status;
    result = system_statvfs(path, &status);
    if (result < 0)
        return result;
    uint64_t bytes;
    if (__builtin_mul_overflow((uint64_t)status.f_bavail, (uint64_t)status.f_frsize, &bytes))
        bytes = UINT64_MAX;
    *ret_bytes = bytes;
    return 0;
}
