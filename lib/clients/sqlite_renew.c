/* sqlite_renew.c - makes sure that a WAL found at opening is on the disk, not only in the page
 * cache.
 *
 * After a failed sync the kernel keeps the pages and calls them clean: they can be read, and no
 * later sync writes them. A WAL like that must not be recovered from. If its newest frames are
 * copied into the database and then the power fails, the disk holds an older WAL than the database,
 * and the next recovery lays old pages over new ones. Writing the same bytes again makes them
 * dirty, and so part of the next sync.
 *
 * Only for a WAL that nobody else can be writing to. */
#include "clients/sqlite_file.h"
#include "clients/sqlite_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define PIECE_BYTES ((size_t)1 << 20)

int sqlite_renew(int fd)
{
    struct sqlite_io_stat now;
    int result = sqlite_io_stat(fd, &now);
    if (result < 0 || now.size == 0)
        return result;
    size_t piece = now.size < PIECE_BYTES ? (size_t)now.size : PIECE_BYTES;
    char *bytes = malloc(piece);
    if (!bytes)
        return -ENOMEM;
    for (uint64_t at = 0; at < now.size && result == 0;) {
        long length = sqlite_io_read(fd, bytes, piece, at);
        if (length <= 0) {
            result = length < 0 ? (int)length : -EIO;
            break;
        }
        result = sqlite_io_write(fd, bytes, (size_t)length, at, false);
        at += (uint64_t)length;
    }
    free(bytes);
    return result < 0 ? result : sqlite_io_sync(fd);
}

int sqlite_renew_path(const char *path)
{
    int fd = sqlite_io_open(path, O_RDWR, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int result = sqlite_renew(fd);
    sqlite_io_close(fd);
    return result;
}
