/* sqlite_reserve.c - a full disk must be a known outcome.
 *
 * The writes of a transaction reach the disk together, at xSync, where ENOSPC would leave unknown
 * how much of them did. So the blocks are reserved when xWrite accepts the bytes: on a full disk
 * xWrite itself gives SQLITE_FULL, nothing of the transaction is in the file, and SQLite rolls back
 * cleanly. Where the file system cannot reserve, a full disk is met at xSync and counts as a
 * failure.
 *
 * A WAL that is ours alone is filled with zeros as well, a MiB at a time: a durable write over
 * blocks that hold data already changes none of the file's metadata and takes half the time. SQLite
 * takes zeros behind the last frame for the end. (Beside other connections that would be wrong:
 * they may have put frames there since we looked.) */
#include "clients/sqlite_file.h"
#include "clients/sqlite_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static bool is_full(int result)
{
    return result == -ENOSPC || result == -EDQUOT || result == -EFBIG;
}

/* What cannot be written here is no loss: the bytes mean nothing yet. */
static void fill_with_zeros(struct sqlite_file *file, uint64_t offset, uint64_t size)
{
    char *zeros = calloc(1, (size_t)size);
    if (!zeros)
        return;
    if (sqlite_io_write(file->fd, zeros, (size_t)size, offset, false) == 0)
        file->direct.filled_end = offset + size;
    file->unsynced = true;
    free(zeros);
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
        file->direct.filled_end = now.size;
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
    if (result < 0) {
        file->reserve_unsupported = true; /* EOPNOTSUPP and kin: see the head */
        return SQLITE_OK;
    }
    if (file->kind == FILE_WAL && wanted == WAL_RESERVE_BYTES && sqlite_file_is_ours_alone(file))
        fill_with_zeros(file, file->reserved_end, wanted);
    file->reserved_end += wanted;
    return SQLITE_OK;
}
