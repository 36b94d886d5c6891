/* sqlite_reserve.c - a full disk must be a known outcome.
 *
 * The writes of a transaction reach the disk together, at xSync, where ENOSPC would leave unknown
 * how much of them did. So the blocks are reserved when xWrite accepts the bytes: on a full disk
 * xWrite itself gives SQLITE_FULL, nothing of the transaction is in the file, and SQLite rolls
 * back cleanly. Where the file system cannot reserve, a full disk is met at xSync and counts as a
 * failure. */
#include "clients/sqlite_file.h"
#include "clients/sqlite_io.h"

#include <errno.h>
#include <fcntl.h>

static bool is_full(int result)
{
    return result == -ENOSPC || result == -EDQUOT || result == -EFBIG;
}

int sqlite_file_reserve(struct sqlite_file *file, uint64_t end)
{
    if (file->reserve_unsupported || (file->reserved_known && end <= file->reserved_end))
        return SQLITE_OK;
    if (file->kind != FILE_DATABASE && file->kind != FILE_WAL)
        return SQLITE_OK;

    if (!file->reserved_known) {
        struct sqlite_io_stat now;
        if (sqlite_io_stat(file->fd, &now) < 0)
            return SQLITE_IOERR_FSTAT;
        file->reserved_end = now.size;
        file->reserved_known = true;
        if (end <= file->reserved_end)
            return SQLITE_OK;
    }

    uint64_t ahead = file->kind == FILE_WAL ? WAL_RESERVE_BYTES : DATABASE_RESERVE_BYTES;
    uint64_t wanted = end - file->reserved_end > ahead ? end - file->reserved_end : ahead;
    int result = sqlite_io_allocate(file->fd, FALLOC_FL_KEEP_SIZE, file->reserved_end, wanted);
    if (is_full(result) && wanted > end - file->reserved_end) {
        wanted = end - file->reserved_end;
        result = sqlite_io_allocate(file->fd, FALLOC_FL_KEEP_SIZE, file->reserved_end, wanted);
    }
    if (is_full(result)) {
        file->last_errno = -result;
        return SQLITE_FULL;
    }
    if (result < 0)
        file->reserve_unsupported = true; /* EOPNOTSUPP and kin: see the head */
    else
        file->reserved_end += wanted;
    return SQLITE_OK;
}
