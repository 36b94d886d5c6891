/* sqlite_vfs.c - opening, deleting and naming files for SQLite; see sqlite_vfs.h.
 *
 * Its calls are made inside a task, by the one that owns the connection, and may suspend it.
 * Those that SQLite makes while it is in no position to wait (randomness, time, a sleep of 0) do
 * not. */
#include "clients/sqlite_vfs.h"

#include "clients/sqlite_file.h"
#include "clients/sqlite_io.h"
#include "clients/sqlite_memory.h"
#include "ring/system.h"

#include <await/clock.h>
#include <await/task.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMPORARY_NAME_TRIES 10

static enum file_kind kind_of(int flags)
{
    if (flags & SQLITE_OPEN_MAIN_DB)
        return FILE_DATABASE;
    if (flags & SQLITE_OPEN_WAL)
        return FILE_WAL;
    if (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL))
        return FILE_JOURNAL;
    return FILE_TEMPORARY;
}

/* A temporary file without a name: gone with its descriptor, also after a crash. */
static int open_temporary(void)
{
    const char *const folders[] = { secure_getenv("SQLITE_TMPDIR"), secure_getenv("TMPDIR"),
                                    "/var/tmp", "/tmp", "." };
    int result = -ENOENT;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        if (!folders[i] || !folders[i][0])
            continue;
        result = sqlite_io_open(folders[i], O_RDWR | O_TMPFILE | O_EXCL, 0600);
        for (int tries = 0; tries < TEMPORARY_NAME_TRIES &&
                            (result == -EOPNOTSUPP || result == -EISDIR || result == -EEXIST);
             tries++) {
            char path[PATH_MAX];
            uint64_t number;
            aw_random_bytes(&number, sizeof(number));
            int length = snprintf(path, sizeof(path), "%s/etilqs_%016llx", folders[i],
                                  (unsigned long long)number);
            if (length < 0 || (size_t)length >= sizeof(path))
                break;
            result = sqlite_io_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
            if (result >= 0)
                (void)!sqlite_io_unlink(path);
        }
        if (result >= 0)
            return result;
    }
    return result;
}

/* A WAL or journal has the permissions and the owner of its database, so that whoever may write the
 * one may also recover it. */
static int open_beside(const char *name, int open_flags, const struct sqlite_file *database)
{
    struct sqlite_io_stat like = { .mode = 0644 };
    bool known = database && sqlite_io_stat(database->fd, &like) == 0;
    int fd = sqlite_io_open(name, open_flags, like.mode & 0777);
    if (fd >= 0 && known && (open_flags & O_CREAT) && geteuid() == 0)
        (void)!system_chown(name, like.owner, like.group);
    return fd;
}

static int open_named(const char *name, int *flags, const struct sqlite_file *database)
{
    int open_flags = *flags & SQLITE_OPEN_READWRITE ? O_RDWR : O_RDONLY;
    if (*flags & SQLITE_OPEN_CREATE)
        open_flags |= O_CREAT;
    if (*flags & SQLITE_OPEN_EXCLUSIVE)
        open_flags |= O_EXCL | O_NOFOLLOW;

    int fd = open_beside(name, open_flags, database);
    bool refused = fd == -EACCES || fd == -EROFS || fd == -EPERM;
    if (refused && (open_flags & O_RDWR) && !(*flags & SQLITE_OPEN_EXCLUSIVE)) {
        int reason = fd;
        fd = sqlite_io_open(name, O_RDONLY, 0);
        if (fd < 0)
            return reason;
        *flags &= ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
        *flags |= SQLITE_OPEN_READONLY;
    }
    return fd;
}

static int last_open_errno;

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *base, int flags,
                    int *ret_flags)
{
    (void)vfs;
    struct sqlite_file *file = sqlite_file_of(base);
    *file = (struct sqlite_file){ .fd = -1, .kind = (uint8_t)kind_of(flags) };
    if (!aw_current())
        return SQLITE_MISUSE; /* this VFS waits on the ring: only inside aw_run */

    if (file->kind == FILE_WAL || (flags & SQLITE_OPEN_MAIN_JOURNAL))
        file->database = sqlite_file_of(sqlite3_database_file_object(name));
    if (name) {
        file->path = strdup(name);
        if (!file->path)
            return SQLITE_NOMEM;
    }
    int fd = name ? open_named(name, &flags, file->database) : open_temporary();
    if (fd >= 0 && fd <= STDERR_FILENO) {
        /* With a standard stream closed, a message printed later would overwrite the database. */
        sqlite_io_close(fd);
        fd = -EBADF;
    }
    if (fd < 0) {
        last_open_errno = -fd;
        free(file->path);
        return SQLITE_CANTOPEN;
    }
    if (file->kind == FILE_WAL && (flags & SQLITE_OPEN_READWRITE) &&
        sqlite_file_is_ours_alone(file)) {
        int renewed = sqlite_renew(fd);
        if (renewed < 0) {
            last_open_errno = -renewed;
            sqlite_io_close(fd);
            free(file->path);
            return renewed == -ENOMEM ? SQLITE_NOMEM : SQLITE_IOERR;
        }
    }
    if (name && (flags & SQLITE_OPEN_DELETEONCLOSE))
        (void)!sqlite_io_unlink(name);

    file->fd = fd;
    file->unsynced = true; /* what a process that crashed left behind may be in no sync */
    file->directory_sync = (flags & SQLITE_OPEN_CREATE) &&
                           (file->kind == FILE_WAL || file->kind == FILE_JOURNAL);
    file->powersafe_overwrite = file->kind != FILE_DATABASE || !name ||
                                sqlite3_uri_boolean(name, "psow", 1);
    if (file->kind == FILE_WAL)
        file->gather.first_bytes = (size_t)64 << 10;
    if (file->kind == FILE_WAL && file->database)
        file->database->wal = file;
    file->base.pMethods = &sqlite_file_methods;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    (void)vfs;
    int result = sqlite_io_unlink(name);
    if (result == -ENOENT)
        return SQLITE_IOERR_DELETE_NOENT;
    if (result < 0)
        return SQLITE_IOERR_DELETE;
    if (sync_directory && sqlite_io_sync_directory_of(name) < 0)
        return SQLITE_IOERR_DIR_FSYNC;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int what, int *ret_answer)
{
    (void)vfs;
    *ret_answer = 0;
    if (what == SQLITE_ACCESS_EXISTS) {
        /* An empty WAL or journal means nothing: it counts as absent, as in os_unix.c. */
        struct sqlite_io_stat found;
        int result = sqlite_io_stat_path(name, &found);
        if (result < 0 && result != -ENOENT && result != -ENOTDIR && result != -EACCES)
            return SQLITE_IOERR_ACCESS;
        *ret_answer = result == 0 && (!S_ISREG(found.mode) || found.size > 0);
        return SQLITE_OK;
    }
    int fd = sqlite_io_open(name, what == SQLITE_ACCESS_READ ? O_RDONLY : O_RDWR, 0);
    *ret_answer = fd >= 0 || fd == -EISDIR;
    if (fd >= 0)
        sqlite_io_close(fd);
    return SQLITE_OK;
}

/* Absolute and free of links, so that all users of a database agree where its WAL is. */
static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *ret_path)
{
    (void)vfs;
    size_t room = size > 0 ? (size_t)size : 0;
    int result = system_realpath(name, ret_path, room);
    if (result != -ENOENT)
        return result < 0 ? SQLITE_CANTOPEN : SQLITE_OK;

    /* It does not exist yet: its folder must. */
    char folder[PATH_MAX];
    char resolved[PATH_MAX];
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name;
    size_t length = (size_t)(last - name);
    if (length >= sizeof(folder))
        return SQLITE_CANTOPEN;
    memcpy(folder, name, length);
    folder[length] = '\0';
    result = system_realpath(length > 0 ? folder : ".", resolved, sizeof(resolved));
    if (result < 0) {
        last_open_errno = -result;
        return SQLITE_CANTOPEN;
    }
    const char *separator = strcmp(resolved, "/") == 0 ? "" : "/";
    int written = snprintf(ret_path, room, "%s%s%s", resolved, separator, last);
    return written < 0 || (size_t)written >= room ? SQLITE_CANTOPEN : SQLITE_OK;
}

static void *vfs_load(sqlite3_vfs *vfs, const char *name)
{
    (void)vfs;
    (void)name;
    return NULL;
}

static void vfs_load_error(sqlite3_vfs *vfs, int size, char *ret_message)
{
    (void)vfs;
    snprintf(ret_message, (size_t)size, "extensions cannot be loaded here");
}

static void (*vfs_load_symbol(sqlite3_vfs *vfs, void *library, const char *name))(void)
{
    (void)vfs;
    (void)library;
    (void)name;
    return NULL;
}

static void vfs_unload(sqlite3_vfs *vfs, void *library)
{
    (void)vfs;
    (void)library;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *ret_bytes)
{
    (void)vfs;
    aw_random_bytes(ret_bytes, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    if (microseconds <= 0 || !aw_current())
        return 0;
    (void)aw_sleep(((uint64_t)microseconds + 999) / 1000);
    return microseconds;
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
    (void)vfs;
    *ret_ms = (sqlite3_int64)aw_wall_ms() + INT64_C(210866760000000); /* Julian day of 1970 */
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *ret_days)
{
    sqlite3_int64 ms;
    vfs_time_ms(vfs, &ms);
    *ret_days = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *ret_text)
{
    (void)vfs;
    (void)size;
    (void)ret_text;
    return last_open_errno;
}

static sqlite3_vfs await_vfs = {
    .iVersion = 2,
    .szOsFile = sizeof(struct sqlite_file),
    .mxPathname = PATH_MAX,
    .zName = SQLITE_VFS_NAME,
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xDlOpen = vfs_load,
    .xDlError = vfs_load_error,
    .xDlSym = vfs_load_symbol,
    .xDlClose = vfs_unload,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xGetLastError = vfs_last_error,
    .xCurrentTimeInt64 = vfs_time_ms,
};

int sqlite_vfs_register(struct aw_error *reterr)
{
    static __thread char this_thread;
    static const char *owner;
    if (owner == &this_thread)
        return 0;
    if (owner)
        return aw_error_set(reterr, -EPERM,
                            "cannot use SQLite on a second thread: it is set up for one");

    /* Without this SQLite's mutexes are recursive by thread: a second task would walk straight
     * through them, or stop the loop for good. */
    int result = sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    if (result != SQLITE_OK && sqlite3_threadsafe() != 0)
        return aw_error_set(reterr, -EBUSY,
                            "cannot set up SQLite: it is already in use in this process; open the "
                            "first database with aw_sqlite_open");
    result = sqlite_memory_install();
    /* SQLite seeds its random numbers (WAL salts, random()) once, from the default VFS: for that
     * moment it is ours, so that they come from the ring's source like all others. */
    if (result == SQLITE_OK)
        result = sqlite3_vfs_register(&await_vfs, 1);
    if (result == SQLITE_OK) {
        char number;
        sqlite3_randomness(0, NULL);
        sqlite3_randomness(sizeof(number), &number);
        result = sqlite3_vfs_register(&await_vfs, 0);
    }
    if (result != SQLITE_OK)
        return aw_error_set_code(reterr, -ENOMEM, "", "cannot set up SQLite: %s",
                                 sqlite3_errstr(result));
    owner = &this_thread;
    return 0;
}
