/* sqlite_lock.c - the locks on the database file, byte for byte where every other program that
 * uses SQLite looks for them (os_unix.c), so that we and they keep out of each other's way.
 *
 * They are open-file-description locks: they belong to this connection's descriptor, conflict
 * with those of other connections in this process and with the POSIX locks of other processes,
 * and go away only with this descriptor. (POSIX locks would all be dropped as soon as anything in
 * this process closed any descriptor of the file.) Taking one never waits.
 *
 *     SHARED      read lock on 510 bytes        RESERVED  write lock on one byte
 *     PENDING     write lock on one byte        EXCLUSIVE write lock on the 510 bytes */
#include "clients/sqlite_file.h"
#include "ring/system.h"

#include <errno.h>
#include <fcntl.h>

#define PENDING_LOCK_BYTE UINT64_C(0x40000000)
#define RESERVED_LOCK_BYTE (PENDING_LOCK_BYTE + 1)
#define SHARED_LOCK_FIRST (PENDING_LOCK_BYTE + 2)
#define SHARED_LOCK_SIZE UINT64_C(510)

#define LOCK_PENDING 3 /* between RESERVED (2) and EXCLUSIVE (4); sqlite3.h has it too */

static int lock_result(struct sqlite_file *file, int result)
{
    if (result >= 0)
        return SQLITE_OK;
    if (result == -EAGAIN || result == -EACCES)
        return SQLITE_BUSY;
    file->last_errno = -result;
    return SQLITE_IOERR_LOCK;
}

static int take(struct sqlite_file *file, short type, uint64_t start, uint64_t length)
{
    return lock_result(file, system_lock(file->fd, type, start, length));
}

static int lock_shared(struct sqlite_file *file)
{
    /* PENDING is held for a moment, so that a waiting writer keeps new readers out. */
    int result = take(file, F_RDLCK, PENDING_LOCK_BYTE, 1);
    if (result != SQLITE_OK)
        return result;
    result = take(file, F_RDLCK, SHARED_LOCK_FIRST, SHARED_LOCK_SIZE);
    int unlocked = take(file, F_UNLCK, PENDING_LOCK_BYTE, 1);
    if (result == SQLITE_OK && unlocked != SQLITE_OK)
        result = SQLITE_IOERR_UNLOCK;
    return result;
}

int sqlite_file_lock(sqlite3_file *base, int level)
{
    struct sqlite_file *file = sqlite_file_of(base);
    if (file->lock >= level)
        return SQLITE_OK;

    int result;
    if (level == SQLITE_LOCK_SHARED) {
        result = lock_shared(file);
    } else if (level == SQLITE_LOCK_RESERVED) {
        result = take(file, F_WRLCK, RESERVED_LOCK_BYTE, 1);
    } else {
        if (file->lock < LOCK_PENDING) {
            result = take(file, F_WRLCK, PENDING_LOCK_BYTE, 1);
            if (result != SQLITE_OK)
                return result;
            file->lock = LOCK_PENDING; /* kept if the next step fails: readers drain meanwhile */
        }
        result = take(file, F_WRLCK, SHARED_LOCK_FIRST, SHARED_LOCK_SIZE);
    }
    if (result == SQLITE_OK)
        file->lock = (uint8_t)level;
    return result;
}

int sqlite_file_unlock(sqlite3_file *base, int level)
{
    struct sqlite_file *file = sqlite_file_of(base);
    if (file->lock <= level)
        return SQLITE_OK;

    /* Whoever gets the lock next must find in the file what was written under it. */
    int flushed = SQLITE_OK;
    if (file->lock > SQLITE_LOCK_SHARED && !sqlite_file_failed(file))
        flushed = sqlite_file_flush(file);
    file->reserved_known = false;
    if (file->wal) {
        sqlite_direct_forget(file->wal);
        file->wal->direct.filled_end = 0;
    }

    int result = SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED) {
        if (file->lock == SQLITE_LOCK_EXCLUSIVE)
            result = take(file, F_RDLCK, SHARED_LOCK_FIRST, SHARED_LOCK_SIZE);
        int unlocked = take(file, F_UNLCK, PENDING_LOCK_BYTE, 2);
        if (result == SQLITE_OK)
            result = unlocked;
    } else {
        result = take(file, F_UNLCK, PENDING_LOCK_BYTE, 2 + SHARED_LOCK_SIZE);
    }
    if (result != SQLITE_OK)
        return SQLITE_IOERR_UNLOCK;
    file->lock = (uint8_t)level;
    return flushed;
}

int sqlite_file_check_reserved(sqlite3_file *base, int *ret_reserved)
{
    struct sqlite_file *file = sqlite_file_of(base);
    if (file->lock > SQLITE_LOCK_SHARED) {
        *ret_reserved = 1;
        return SQLITE_OK;
    }
    int result = system_lock_test(file->fd, F_WRLCK, RESERVED_LOCK_BYTE, 1);
    if (result < 0) {
        file->last_errno = -result;
        return SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    *ret_reserved = result > 0;
    return SQLITE_OK;
}
