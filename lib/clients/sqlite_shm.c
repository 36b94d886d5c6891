/* sqlite_shm.c - the wal-index: memory that all connections of a WAL database share, in this
 * process and in others, as the "-shm" file mapped by each.
 *
 * Each connection has its own descriptor, mapping and open-file-description locks, so connections
 * of one process are to each other what processes are. The layout is that of os_unix.c: eight
 * lock slots at byte 120, and byte 128, the "dead man's switch": each user holds a read lock on
 * it, and whoever can get a write lock knows that nobody uses the file, and empties it, since
 * after a crash its content means nothing. */
#include "clients/sqlite_file.h"
#include "clients/sqlite_io.h"
#include "ring/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHM_LOCK_FIRST UINT64_C(120)
#define SHM_SWITCH (SHM_LOCK_FIRST + SQLITE_SHM_NLOCK)
#define ALLOCATION_UNIT 4096u
#define WRITE_LOCK_SLOT 0 /* the right to append to the WAL */

/* The WAL of a database that nobody has open. */
static int renew_wal(const struct sqlite_file *file)
{
    size_t size = strlen(file->path) + sizeof("-wal");
    char *path = malloc(size);
    if (!path)
        return -ENOMEM;
    memcpy(path, file->path, size - sizeof("-wal"));
    memcpy(path + size - sizeof("-wal"), "-wal", sizeof("-wal"));
    int result = sqlite_renew_path(path);
    free(path);
    return result == -EACCES || result == -EROFS ? 0 : result; /* a reader will not copy it */
}

static int take_switch(const struct sqlite_file *file, int fd)
{
    int result = system_lock(fd, F_WRLCK, SHM_SWITCH, 1);
    if (result == 0) {
        if (renew_wal(file) < 0)
            return SQLITE_IOERR_SHMOPEN;
        result = system_truncate(fd, 3); /* as os_unix.c: too short to be a wal-index */
        if (result < 0)
            return SQLITE_IOERR_SHMOPEN;
    } else if (result != -EAGAIN && result != -EACCES) {
        return SQLITE_IOERR_SHMLOCK;
    }
    result = system_lock(fd, F_RDLCK, SHM_SWITCH, 1);
    if (result == -EAGAIN || result == -EACCES)
        return SQLITE_BUSY; /* somebody is emptying it this very moment */
    return result < 0 ? SQLITE_IOERR_SHMLOCK : SQLITE_OK;
}

static void shm_free(struct sqlite_shm *shm)
{
    if (shm->fd >= 0)
        sqlite_io_close(shm->fd);
    free(shm->path);
    free(shm);
}

static int shm_open_file(struct sqlite_file *file, struct sqlite_shm *shm)
{
    struct sqlite_io_stat database;
    int result = sqlite_io_stat(file->fd, &database);
    if (result < 0)
        return SQLITE_IOERR_FSTAT;
    int flags = O_RDWR | O_CREAT | O_NOFOLLOW;
    shm->fd = sqlite_io_open(shm->path, flags, database.mode & 0777);
    if (shm->fd < 0) {
        file->last_errno = -shm->fd;
        return SQLITE_CANTOPEN;
    }
    if (geteuid() == 0) /* the database's owner must be able to use it later */
        (void)!system_chown(shm->path, database.owner, database.group);
    return take_switch(file, shm->fd);
}

static int shm_open(struct sqlite_file *file)
{
    struct sqlite_shm *shm = calloc(1, sizeof(*shm));
    if (!shm)
        return SQLITE_IOERR_NOMEM;
    shm->fd = -1;
    long page = sysconf(_SC_PAGESIZE);
    shm->map_regions = page > 32768 ? (unsigned)(page / 32768) : 1;
    size_t length = strlen(file->path) + sizeof("-shm");
    shm->path = malloc(length);
    if (!shm->path) {
        shm_free(shm);
        return SQLITE_IOERR_NOMEM;
    }
    memcpy(shm->path, file->path, length - sizeof("-shm"));
    memcpy(shm->path + length - sizeof("-shm"), "-shm", sizeof("-shm"));

    int result = shm_open_file(file, shm);
    if (result != SQLITE_OK) {
        shm_free(shm);
        return result;
    }
    file->shm = shm;
    return SQLITE_OK;
}

/* Allocates blocks up to `size`: a hole in a mapped file would be a SIGBUS on a full disk. */
static int shm_grow(struct sqlite_shm *shm, uint64_t old_size, uint64_t size)
{
    int result = sqlite_io_allocate(shm->fd, 0, 0, size);
    if (result != -EOPNOTSUPP && result != -ENOSYS && result != -EINVAL)
        return result;
    for (uint64_t at = old_size / ALLOCATION_UNIT; at < size / ALLOCATION_UNIT; at++) {
        result = sqlite_io_write(shm->fd, "", 1, at * ALLOCATION_UNIT + ALLOCATION_UNIT - 1, false);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Maps until `region` is there; leaves it unmapped when the file is too short and `extend` is
 * off. */
static int shm_extend_maps(struct sqlite_shm *shm, unsigned region, size_t region_size, bool extend)
{
    size_t map_size = region_size * shm->map_regions;
    unsigned maps = region / shm->map_regions + 1;
    uint64_t size = (uint64_t)maps * map_size;

    struct sqlite_io_stat now;
    if (sqlite_io_stat(shm->fd, &now) < 0)
        return SQLITE_IOERR_SHMSIZE;
    if (now.size < size) {
        if (!extend)
            return SQLITE_OK;
        if (shm_grow(shm, now.size, size) < 0)
            return SQLITE_IOERR_SHMSIZE;
    }

    void **grown = realloc(shm->maps, maps * sizeof(*grown));
    if (!grown)
        return SQLITE_IOERR_NOMEM;
    shm->maps = grown;
    while (shm->map_count < maps) {
        uint64_t offset = (uint64_t)shm->map_count * map_size;
        if (system_map(shm->fd, offset, map_size, &shm->maps[shm->map_count]) < 0)
            return SQLITE_IOERR_SHMMAP;
        shm->map_count++;
    }
    return SQLITE_OK;
}

int sqlite_file_shm_map(sqlite3_file *base, int region, int region_size, int extend,
                        void volatile **ret_address)
{
    struct sqlite_file *file = sqlite_file_of(base);
    *ret_address = NULL;
    if (region_size != 32768 || (unsigned)region >= SQLITE_SHM_REGIONS_MAX)
        return SQLITE_IOERR_SHMMAP;
    if (!file->shm) {
        int result = shm_open(file);
        if (result != SQLITE_OK)
            return result;
    }
    struct sqlite_shm *shm = file->shm;
    unsigned map = (unsigned)region / shm->map_regions;
    if (map >= shm->map_count) {
        int result = shm_extend_maps(shm, (unsigned)region, (size_t)region_size, extend != 0);
        if (result != SQLITE_OK)
            return result;
    }
    if (map < shm->map_count)
        *ret_address = (char *)shm->maps[map] +
                       (size_t)region_size * ((unsigned)region % shm->map_regions);
    return SQLITE_OK;
}

int sqlite_file_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    struct sqlite_file *file = sqlite_file_of(base);
    struct sqlite_shm *shm = file->shm;
    if (!shm)
        return SQLITE_IOERR_SHMLOCK;
    uint16_t mask = (uint16_t)(((1u << count) - 1) << offset);
    bool shared = (flags & SQLITE_SHM_SHARED) != 0;

    short type = shared ? F_RDLCK : F_WRLCK;
    if (flags & SQLITE_SHM_UNLOCK) {
        if (!((shm->shared_mask | shm->exclusive_mask) & mask))
            return SQLITE_OK;
        /* What a transaction that was rolled back has left in memory must not lie over, nor later
         * overwrite, the frames that the next writer puts in the same place. */
        if (offset == WRITE_LOCK_SLOT && !shared && file->wal && !sqlite_file_failed(file))
            (void)!sqlite_file_flush(file->wal);
        type = F_UNLCK;
    } else if (shared && (shm->shared_mask & mask) == mask) {
        return SQLITE_OK;
    }

    int result = system_lock(shm->fd, type, SHM_LOCK_FIRST + (uint64_t)offset, (uint64_t)count);
    if (result == -EAGAIN || result == -EACCES)
        return SQLITE_BUSY;
    if (result < 0) {
        file->last_errno = -result;
        return SQLITE_IOERR_SHMLOCK;
    }
    shm->shared_mask &= (uint16_t)~mask;
    shm->exclusive_mask &= (uint16_t)~mask;
    if (type == F_RDLCK)
        shm->shared_mask |= mask;
    else if (type == F_WRLCK)
        shm->exclusive_mask |= mask;
    return SQLITE_OK;
}

void sqlite_file_shm_barrier(sqlite3_file *base)
{
    (void)base;
    __sync_synchronize(); /* against the other processes that map the file */
}

int sqlite_file_shm_unmap(sqlite3_file *base, int delete_it)
{
    struct sqlite_file *file = sqlite_file_of(base);
    struct sqlite_shm *shm = file->shm;
    if (!shm)
        return SQLITE_OK;
    file->shm = NULL;
    for (unsigned i = 0; i < shm->map_count; i++)
        system_unmap(shm->maps[i], (size_t)32768 * shm->map_regions);
    free(shm->maps);
    if (delete_it)
        (void)!sqlite_io_unlink(shm->path);
    shm_free(shm);
    return SQLITE_OK;
}
