/* sqlite_file.c - reading, writing and syncing one of SQLite's files; see sqlite_file.h. */
#include "clients/sqlite_file.h"

#include "clients/sqlite_io.h"
#include "ring/system.h"

#include <await/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A write to it that fails leaves unknown what is stored. */
static bool is_vital(const struct sqlite_file *file)
{
    return file->kind == FILE_DATABASE || file->kind == FILE_WAL;
}

void sqlite_file_fail(struct sqlite_file *file, int number)
{
    struct sqlite_file *database = file->database ? file->database : file;
    database->last_errno = -number;
    file->last_errno = -number;
    if (database->failed)
        return;
    database->failed = true;
    if (database->on_failure)
        database->on_failure(database->on_failure_context);
}

static int file_close(sqlite3_file *base)
{
    struct sqlite_file *file = sqlite_file_of(base);
    /* Whatever was committed has been synced; the rest goes out for the sake of order, and if that
     * fails recovery does without it. */
    if (!sqlite_file_failed(file))
        (void)!sqlite_file_flush(file);
    gather_free(&file->gather);
    sqlite_direct_close(file);
    if (file->kind == FILE_WAL && file->database)
        file->database->wal = NULL;
    if (file->shm)
        (void)!sqlite_file_shm_unmap(base, 0);
    sqlite_io_close(file->fd);
    free(file->path);
    file->base.pMethods = NULL;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *buffer, int size, sqlite3_int64 offset)
{
    struct sqlite_file *file = sqlite_file_of(base);
    if (sqlite_file_failed(file))
        return SQLITE_IOERR_READ;

    size_t wanted = (size_t)size;
    uint64_t start = (uint64_t)offset;
    if (gather_covers(&file->gather, wanted, start)) {
        gather_overlay(&file->gather, buffer, wanted, start);
        return SQLITE_OK;
    }
    long length = sqlite_direct_read(file, buffer, wanted, start)
                      ? size
                      : sqlite_io_read(file->fd, buffer, wanted, start);
    if (length < 0) {
        file->last_errno = (int)-length;
        return SQLITE_IOERR_READ;
    }
    if ((size_t)length < wanted)
        memset((char *)buffer + length, 0, wanted - (size_t)length);
    gather_overlay(&file->gather, buffer, wanted, start);

    if ((size_t)length < wanted && gather_end(&file->gather) < start + wanted)
        return SQLITE_IOERR_SHORT_READ;
    return SQLITE_OK;
}

int sqlite_file_flush(struct sqlite_file *file)
{
    if (file->gather.count == 0)
        return SQLITE_OK;
    sqlite_direct_forget(file);
    int result = sqlite_io_write_extents(file->fd, file->gather.extents, file->gather.count);
    if (result < 0) {
        sqlite_file_fail(file, result);
        return SQLITE_IOERR_WRITE;
    }
    file->unsynced = true;
    gather_clear(&file->gather);
    return SQLITE_OK;
}

static int write_at_once(struct sqlite_file *file, const void *data, size_t size, uint64_t offset)
{
    file->unsynced = true;
    sqlite_direct_forget(file);
    int result = sqlite_io_write(file->fd, data, size, offset, false);
    if (result == 0)
        return SQLITE_OK;
    file->last_errno = -result;
    if (is_vital(file)) {
        sqlite_file_fail(file, result);
        return SQLITE_IOERR_WRITE;
    }
    /* The database has not been touched yet: SQLite rolls back and the outcome is known. */
    return result == -ENOSPC || result == -EDQUOT || result == -EFBIG ? SQLITE_FULL
                                                                      : SQLITE_IOERR_WRITE;
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset)
{
    struct sqlite_file *file = sqlite_file_of(base);
    if (sqlite_file_failed(file))
        return SQLITE_IOERR_WRITE;
    if (file->kind == FILE_WAL && offset == 0 && !sqlite_file_is_ours_alone(file))
        file->reserved_known = false; /* a WAL that begins anew may have been cut by others */
    int result = sqlite_file_reserve(file, (uint64_t)offset + (uint64_t)size);
    if (result != SQLITE_OK)
        return result;

    bool gathers = file->kind == FILE_WAL ||
                   (file->kind == FILE_DATABASE && sqlite_file_is_ours_alone(file));
    if (!gathers)
        return write_at_once(file, data, (size_t)size, (uint64_t)offset);
    if (gather_write(&file->gather, data, (size_t)size, (uint64_t)offset) < 0)
        return SQLITE_IOERR_NOMEM;
    if (file->gather.size_bytes > GATHER_BYTES_MAX)
        return sqlite_file_flush(file);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct sqlite_file *file = sqlite_file_of(base);
    if (sqlite_file_failed(file))
        return SQLITE_IOERR_TRUNCATE;

    struct sqlite_io_stat now;
    int result = sqlite_io_stat(file->fd, &now);
    if (result == 0) {
        uint64_t wanted = (uint64_t)size;
        sqlite_direct_forget(file);
        file->direct.filled_end = 0;
        gather_truncate(&file->gather, wanted);
        /* Growing is left to the gathered writes where they reach that far, since a truncate to a
         * larger or equal size would give back the space reserved for them. */
        if (now.size > wanted || (now.size < wanted && gather_end(&file->gather) < wanted)) {
            result = system_truncate(file->fd, wanted);
            file->reserved_known = false;
            file->unsynced = true;
        }
    }
    if (result < 0) {
        file->last_errno = -result;
        return SQLITE_IOERR_TRUNCATE;
    }
    return SQLITE_OK;
}

/* One durable write where the gathered bytes are one extent and nothing else can be in the file
 * that needs a sync, past the page cache if it is a WAL; a write linked to fdatasync where others
 * may have written; else all extents in parallel, then fdatasync. */
static int write_and_sync(struct sqlite_file *file)
{
    const struct gather *gather = &file->gather;
    const struct gather_extent *first = gather->extents;
    bool alone = sqlite_file_is_ours_alone(file);
    if (gather->count == 1 && alone)
        sqlite_direct_keep(file, first);
    else if (gather->count > 0)
        sqlite_direct_forget(file);
    if (gather->count == 1 && alone && !file->unsynced) {
        int result = sqlite_direct_write(file, first);
        return result != -EOPNOTSUPP
                   ? result
                   : sqlite_io_write(file->fd, first->data, first->size, first->offset, true);
    }
    if (gather->count == 1)
        return sqlite_io_write_and_sync(file->fd, first);
    int result = sqlite_io_write_extents(file->fd, gather->extents, gather->count);
    return result < 0 ? result : sqlite_io_sync(file->fd);
}

static int file_sync(sqlite3_file *base, int flags)
{
    (void)flags; /* fdatasync keeps what is needed to read the data back, as os_unix.c relies on */
    struct sqlite_file *file = sqlite_file_of(base);
    if (sqlite_file_failed(file))
        return SQLITE_IOERR_FSYNC;

    uint64_t began_ns = aw_now_ns();
    int result = write_and_sync(file);
    if (result == 0 && file->directory_sync)
        result = sqlite_io_sync_directory_of(file->path);
    file->sync_ns += aw_now_ns() - began_ns;
    if (result < 0) {
        file->last_errno = -result;
        if (is_vital(file))
            sqlite_file_fail(file, result);
        return SQLITE_IOERR_FSYNC;
    }
    file->directory_sync = false;
    file->unsynced = false;
    gather_clear(&file->gather);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
    struct sqlite_file *file = sqlite_file_of(base);
    struct sqlite_io_stat now;
    int result = sqlite_file_failed(file) ? -EIO : sqlite_io_stat(file->fd, &now);
    if (result < 0) {
        file->last_errno = -result;
        return SQLITE_IOERR_FSTAT;
    }
    uint64_t end = gather_end(&file->gather);
    *ret_size = (sqlite3_int64)(now.size > end ? now.size : end);
    return SQLITE_OK;
}

/* Durability is this VFS's promise: nobody may turn it down below. */
static int refuse_weaker_sync(char **arguments)
{
    if (sqlite3_stricmp(arguments[1], "synchronous") != 0 || !arguments[2])
        return SQLITE_NOTFOUND;
    static const char *const allowed[] = { "full", "2", "extra", "3", "on", "true", "yes" };
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        if (sqlite3_stricmp(arguments[2], allowed[i]) == 0)
            return SQLITE_NOTFOUND; /* SQLite goes on and sets it */
    arguments[0] = sqlite3_mprintf("synchronous=%s is not available: commits are durable here",
                                   arguments[2]);
    return SQLITE_ERROR;
}

static void get_or_set(bool *flag, int *argument)
{
    if (*argument < 0)
        *argument = *flag;
    else
        *flag = *argument != 0;
}

static int file_has_moved(struct sqlite_file *file, int *ret_moved)
{
    struct sqlite_io_stat here;
    struct sqlite_io_stat there;
    *ret_moved = file->path && (sqlite_io_stat(file->fd, &here) < 0 ||
                                sqlite_io_stat_path(file->path, &there) < 0 ||
                                here.inode != there.inode || here.device != there.device);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument)
{
    struct sqlite_file *file = sqlite_file_of(base);
    switch (operation) {
    case SQLITE_FCNTL_LOCKSTATE:
        *(int *)argument = file->lock;
        return SQLITE_OK;
    case SQLITE_FCNTL_LAST_ERRNO:
        *(int *)argument = file->last_errno;
        return SQLITE_OK;
    case SQLITE_FCNTL_SIZE_HINT:
        return sqlite_file_reserve(file, (uint64_t)*(sqlite3_int64 *)argument);
    case SQLITE_FCNTL_CKPT_START:
        if (!sqlite_file_is_ours_alone(file))
            file->reserved_known = false;
        return SQLITE_NOTFOUND;
    case SQLITE_FCNTL_CKPT_DONE:
        if (file->wal)
            sqlite_direct_forget(file->wal);
        return SQLITE_NOTFOUND;
    case SQLITE_FCNTL_PERSIST_WAL:
        get_or_set(&file->persist_wal, argument);
        return SQLITE_OK;
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
        get_or_set(&file->powersafe_overwrite, argument);
        return SQLITE_OK;
    case SQLITE_FCNTL_VFSNAME:
        *(char **)argument = sqlite3_mprintf("await");
        return SQLITE_OK;
    case SQLITE_FCNTL_HAS_MOVED:
        return file_has_moved(file, argument);
    case SQLITE_FCNTL_PRAGMA:
        return refuse_weaker_sync(argument);
    default:
        return SQLITE_NOTFOUND;
    }
}

static int file_sector_size(sqlite3_file *base)
{
    (void)base;
    return 4096;
}

static int file_characteristics(sqlite3_file *base)
{
    return sqlite_file_of(base)->powersafe_overwrite ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

const sqlite3_io_methods sqlite_file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = sqlite_file_lock,
    .xUnlock = sqlite_file_unlock,
    .xCheckReservedLock = sqlite_file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = sqlite_file_shm_map,
    .xShmLock = sqlite_file_shm_lock,
    .xShmBarrier = sqlite_file_shm_barrier,
    .xShmUnmap = sqlite_file_shm_unmap,
};
