/* file_replace.c - writing and copying whole files, replacing the old one in one step.
 *
 * WRITING (a temporary file beside the target) -> SYNCED -> RENAMED -> durable (directory synced).
 * Until RENAMED every failure, cancellation included, removes the temporary file. The order is what
 * the promise rests on: a rename before the sync could survive a crash that the contents do not. */
#include <await/file.h>

#include "io/file_chunk.h"
#include "io/file_temporary.h"
#include "ring/system_file.h"

#include <await/offload.h>
#include <await/scope.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096u
/* One stay on the pool's thread: short enough for a cancellation to be heard. */
#define RANGE_BYTES ((size_t)16 << 20)

static int open_beside(const char *path, mode_t mode, char **ret_temporary)
{
    char *temporary = malloc(PATH_BYTES);
    if (temporary == NULL)
        return -ENOMEM;
    int fd = temporary_open(path, mode, temporary, PATH_BYTES);
    if (fd < 0) {
        free(temporary);
        return fd;
    }
    *ret_temporary = temporary;
    return fd;
}

static void unlink_shielded(const char *path)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    AW_IGNORE(aw_unlink(path)); /* the caller already has the error that matters */
    aw_scope_leave(&shield);
}

/* Ends what open_beside began: `result` is how the writing went. Frees `temporary`. */
static int put_in_place(int fd, int result, char *temporary, const char *path)
{
    if (result >= 0)
        result = aw_sync(fd, false);
    int closed = aw_close(fd);
    if (result >= 0)
        result = closed;
    if (result >= 0)
        result = aw_rename(temporary, path);
    if (result < 0)
        unlink_shielded(temporary);
    free(temporary);
    return result < 0 ? result : aw_sync_directory_of(path);
}

int aw_write_file(const char *path, const void *data, size_t size, mode_t mode)
{
    char *temporary;
    int fd = open_beside(path, mode, &temporary);
    if (fd < 0)
        return fd;
    return put_in_place(fd, aw_write_all(fd, data, size, 0), temporary, path);
}

/* --- copying --------------------------------------------------------------------------------- */
struct range {
    int from;
    int to;
    uint64_t offset;
};

static int copy_range_on_thread(void *argument)
{
    const struct range *range = argument;
    return system_copy_range(range->from, range->to, range->offset, RANGE_BYTES);
}

/* The kernel says so of file systems it cannot copy between. */
static bool cannot_copy(int result)
{
    return result == -EXDEV || result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL ||
           result == -EBADF;
}

static int copy_by_kernel(struct range *range)
{
    int result;
    while ((result = aw_to_thread(copy_range_on_thread, range)) > 0)
        range->offset += (uint64_t)result;
    return result;
}

static int copy_by_hand(struct range *range)
{
    char *chunk = malloc(FILE_CHUNK_BYTES);
    if (chunk == NULL)
        return -ENOMEM;
    int result;
    while ((result = aw_read(range->from, chunk, FILE_CHUNK_BYTES, range->offset)) > 0) {
        size_t size = (size_t)result;
        result = aw_write_all(range->to, chunk, size, range->offset);
        if (result < 0)
            break;
        range->offset += size;
    }
    free(chunk);
    return result;
}

static int copy_contents(int from, int to)
{
    struct range range = {from, to, 0};
    int result = copy_by_kernel(&range);
    /* Some report 0 for files they cannot copy (/proc): reading on finds the end, or the rest. */
    return result == 0 || cannot_copy(result) ? copy_by_hand(&range) : result;
}

static int copy_to(int from, const char *to)
{
    struct stat status;
    int result = aw_stat_fd(from, &status);
    if (result < 0)
        return result;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    char *temporary;
    int fd = open_beside(to, status.st_mode & 0777, &temporary);
    if (fd < 0)
        return fd;
    return put_in_place(fd, copy_contents(from, fd), temporary, to);
}

int aw_copy_file(const char *from, const char *to)
{
    int fd = aw_open(from, O_RDONLY | O_NONBLOCK, 0); /* opening a fifo must not wait */
    if (fd < 0)
        return fd;
    int result = copy_to(fd, to);
    (void)aw_close(fd);
    return result;
}
