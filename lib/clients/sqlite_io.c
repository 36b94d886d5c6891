/* sqlite_io.c - see sqlite_io.h. */
#include "clients/sqlite_io.h"

#include "ring/request.h"

#include <await/task.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#define BATCH_MAX 64u
#define ONE_WRITE_MAX ((size_t)1 << 30)

static int perform(struct ring_request *request)
{
    if (!aw_current())
        return -EPERM;
    request->shielded = true;
    return ring_perform(request);
}

long sqlite_io_read(int fd, void *buffer, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        struct ring_request request = { .kind = RING_READ,
                                        .fd = fd,
                                        .buffer = (char *)buffer + done,
                                        .size = size - done,
                                        .offset = offset + done };
        int result = perform(&request);
        if (result < 0)
            return result;
        if (result == 0)
            break;
        done += (size_t)result;
    }
    return (long)done;
}

static struct ring_request write_request(int fd, const void *data, size_t size, uint64_t offset)
{
    return (struct ring_request){ .kind = RING_WRITE,
                                  .fd = fd,
                                  .buffer = (void *)(uintptr_t)data, /* only read by the kernel */
                                  .size = size < ONE_WRITE_MAX ? size : ONE_WRITE_MAX,
                                  .offset = offset };
}

int sqlite_io_write(int fd, const void *data, size_t size, uint64_t offset, bool durable)
{
    size_t done = 0;
    while (done < size) {
        struct ring_request request =
            write_request(fd, (const char *)data + done, size - done, offset + done);
        request.flags = durable ? RWF_DSYNC : 0;
        int result = perform(&request);
        if (result < 0)
            return result;
        if (result == 0)
            return -EIO;
        done += (size_t)result;
    }
    return 0;
}

/* What is left of an extent after a first write that gave `result`. */
static int finish_extent(int fd, const struct gather_extent *extent, int result)
{
    if (result == -EINTR || result == -EAGAIN)
        result = 0;
    if (result < 0)
        return result;
    size_t done = (size_t)result;
    if (done >= extent->size)
        return 0;
    return sqlite_io_write(fd, extent->data + done, extent->size - done, extent->offset + done,
                           false);
}

int sqlite_io_write_extents(int fd, const struct gather_extent *extents, unsigned count)
{
    struct ring_request *requests = NULL;
    int *results = NULL;
    unsigned batch_max = count < BATCH_MAX ? count : BATCH_MAX;
    int result = 0;
    if (count > 1 && aw_current()) {
        requests = calloc(batch_max, sizeof(*requests));
        results = calloc(batch_max, sizeof(*results));
    }
    if (!requests || !results) { /* one after the other is slower, not wrong */
        for (unsigned i = 0; i < count && result == 0; i++)
            result = sqlite_io_write(fd, extents[i].data, extents[i].size, extents[i].offset,
                                     false);
        free(requests);
        free(results);
        return result;
    }

    for (unsigned start = 0; start < count && result == 0; start += batch_max) {
        unsigned batch = count - start < batch_max ? count - start : batch_max;
        for (unsigned i = 0; i < batch; i++) {
            const struct gather_extent *extent = &extents[start + i];
            requests[i] = write_request(fd, extent->data, extent->size, extent->offset);
            results[i] = -EINTR;
        }
        (void)!ring_perform_all(requests, batch, false, results); /* the results say it all */
        for (unsigned i = 0; i < batch && result == 0; i++)
            result = finish_extent(fd, &extents[start + i], results[i]);
    }
    free(requests);
    free(results);
    return result;
}

int sqlite_io_write_and_sync(int fd, const struct gather_extent *extent)
{
    struct ring_request requests[2] = {
        write_request(fd, extent->data, extent->size, extent->offset),
        { .kind = RING_FSYNC, .fd = fd, .flags = RING_FSYNC_DATA_ONLY },
    };
    int results[2] = { -EINTR, -ECANCELED };
    int result = aw_current() ? ring_perform_all(requests, 2, true, results) : -EPERM;
    if (result == 0 || result == -EPERM)
        return result;
    result = finish_extent(fd, extent, results[0]);
    if (result < 0)
        return result;
    /* The sync did not run (a short write broke the link), or it ran and failed: that is final. */
    if (results[1] < 0 && results[1] != -ECANCELED && results[1] != -EINTR)
        return results[1];
    return sqlite_io_sync(fd);
}

int sqlite_io_sync(int fd)
{
    struct ring_request request = { .kind = RING_FSYNC, .fd = fd, .flags = RING_FSYNC_DATA_ONLY };
    return perform(&request);
}

int sqlite_io_sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof(directory))
        return -ENAMETOOLONG;
    memcpy(directory, path, length);
    directory[length] = '\0';
    if (!slash)
        strcpy(directory, ".");
    else if (length == 0)
        strcpy(directory, "/");

    int fd = sqlite_io_open(directory, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    struct ring_request request = { .kind = RING_FSYNC, .fd = fd };
    int result = perform(&request);
    sqlite_io_close(fd);
    return result;
}

int sqlite_io_open(const char *path, int flags, mode_t mode)
{
    struct ring_request request = { .kind = RING_OPEN,
                                    .path = path,
                                    .flags = (uint32_t)(flags | O_CLOEXEC),
                                    .mode = mode };
    return perform(&request);
}

void sqlite_io_close(int fd)
{
    struct ring_request request = { .kind = RING_CLOSE, .fd = fd };
    /* The descriptor is gone whatever close says, and what it held was synced when it mattered. */
    (void)!perform(&request);
}

int sqlite_io_unlink(const char *path)
{
    struct ring_request request = { .kind = RING_UNLINK, .path = path };
    return perform(&request);
}

int sqlite_io_allocate(int fd, int mode, uint64_t offset, uint64_t length)
{
    struct ring_request request = { .kind = RING_FALLOCATE,
                                    .fd = fd,
                                    .flags = (uint32_t)mode,
                                    .offset = offset,
                                    .length = length };
    return perform(&request);
}

static int stat_either(int fd, const char *path, struct sqlite_io_stat *ret_stat)
{
    struct statx result_stat;
    struct ring_request request = { .kind = RING_STAT,
                                    .fd = fd,
                                    .path = path,
                                    .buffer = &result_stat,
                                    .flags = path ? 0 : AT_EMPTY_PATH,
                                    .mode = STATX_BASIC_STATS };
    int result = perform(&request);
    if (result < 0)
        return result;
    *ret_stat = (struct sqlite_io_stat){
        .size = result_stat.stx_size,
        .inode = result_stat.stx_ino,
        .device = makedev(result_stat.stx_dev_major, result_stat.stx_dev_minor),
        .mode = result_stat.stx_mode,
        .owner = result_stat.stx_uid,
        .group = result_stat.stx_gid,
        .links = result_stat.stx_nlink,
    };
    return 0;
}

int sqlite_io_stat(int fd, struct sqlite_io_stat *ret_stat)
{
    return stat_either(fd, NULL, ret_stat);
}

int sqlite_io_stat_path(const char *path, struct sqlite_io_stat *ret_stat)
{
    return stat_either(AT_FDCWD, path, ret_stat);
}
