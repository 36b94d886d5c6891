/* sqlite_file.h - one open file of SQLite's: the database, its WAL, a rollback journal or a
 * temporary file. Shared by the parts of the VFS (sqlite_vfs.c opens files, sqlite_file.c reads
 * and writes them, sqlite_lock.c locks, sqlite_shm.c holds the wal-index).
 *
 * Writes gather in memory only while nobody else may look at what they will be: those to a WAL
 * while the connection holds the right to write to it, those to a database under its EXCLUSIVE
 * lock. They reach the file at xSync, when more than GATHER_BYTES_MAX has gathered, before that
 * lock is given up, and at xClose. Everything else is written at once: the pages of a checkpoint
 * beside other connections (SQLite lets those read them from the file without a sync when a
 * reader stops it halfway), and a rollback journal, which must be in the file before the database
 * changes.
 *
 * A write or sync of a database or WAL that fails leaves unknown what is on the disk (the kernel
 * drops the pages it could not write and reports that once), so the database is marked failed for
 * good: every later call on it or its WAL gives SQLITE_IOERR until all is closed and recovered. */
#ifndef CLIENTS_SQLITE_FILE_H
#define CLIENTS_SQLITE_FILE_H

#include "clients/sqlite_direct.h"
#include "clients/sqlite_gather.h"

#include <sqlite3.h>

/* Bounds of one file's memory and of what is reserved ahead. */
#define GATHER_BYTES_MAX ((size_t)8 << 20)
#define WAL_RESERVE_BYTES ((uint64_t)1 << 20)
#define DATABASE_RESERVE_BYTES ((uint64_t)256 << 10)

#define SQLITE_SHM_REGIONS_MAX 65536u /* of 32 KiB: a WAL of 268 million frames */

enum file_kind { FILE_DATABASE, FILE_WAL, FILE_JOURNAL, FILE_TEMPORARY };

struct sqlite_shm { /* the "-shm" file of one connection */
    int fd;
    char *path;
    void **maps;          /* each of map_regions regions */
    unsigned map_count;
    unsigned map_regions; /* regions in one map: more than 1 where pages exceed 32 KiB */
    uint16_t shared_mask; /* the locks this connection holds */
    uint16_t exclusive_mask;
};

struct sqlite_file {
    sqlite3_file base; /* first: SQLite's view of it */
    int fd;
    uint8_t kind;      /* enum file_kind */
    uint8_t lock;      /* SQLITE_LOCK_NONE ... SQLITE_LOCK_EXCLUSIVE */
    bool directory_sync; /* created: the first sync must also make the name durable */
    bool unsynced;     /* something may be in the file that no sync has covered */
    bool persist_wal;
    bool powersafe_overwrite;
    bool reserve_unsupported;
    bool reserved_known; /* whether reserved_end below is right */
    uint64_t sync_ns; /* time spent in syncs, with the writes they carry */
    uint64_t reserved_end; /* blocks up to here are allocated: a write below cannot meet ENOSPC */
    int last_errno;
    char *path;        /* NULL for an unnamed temporary file */
    struct gather gather;
    struct sqlite_direct direct; /* of a WAL */
    struct sqlite_file *database; /* whose failure this file shares; itself for a database */
    struct sqlite_file *wal;      /* of a database: its WAL, if open */
    struct sqlite_shm *shm;

    bool failed;
    void (*on_failure)(void *context); /* called once, when `failed` becomes true */
    void *on_failure_context;
};

extern const sqlite3_io_methods sqlite_file_methods;

static inline struct sqlite_file *sqlite_file_of(sqlite3_file *file)
{
    return (struct sqlite_file *)file;
}

/* Whether the file's outcome is unknown (see the head). */
static inline bool sqlite_file_failed(const struct sqlite_file *file)
{
    return file->database ? file->database->failed : file->failed;
}

/* Whether nobody else can read or write the database and its WAL now. */
static inline bool sqlite_file_is_ours_alone(const struct sqlite_file *file)
{
    const struct sqlite_file *database = file->database ? file->database : file;
    return database->lock == SQLITE_LOCK_EXCLUSIVE;
}

/* Marks it so, and tells the owner. */
void sqlite_file_fail(struct sqlite_file *file, int number);

/* Writes out what has gathered, without a sync. 0 or SQLITE_IOERR_WRITE. */
AW_SUSPENDS int sqlite_file_flush(struct sqlite_file *file);

/* sqlite_reserve.c: makes sure that writing up to `end` cannot meet a full disk. SQLITE_OK, or
 * SQLITE_FULL with nothing changed. */
AW_SUSPENDS int sqlite_file_reserve(struct sqlite_file *file, uint64_t end);

/* sqlite_renew.c: makes a WAL that may be in the page cache only durable. 0 or negative errno. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_renew(int fd);
AW_MUST_CHECK AW_SUSPENDS int sqlite_renew_path(const char *path); /* absent: 0 */

/* sqlite_lock.c */
int sqlite_file_lock(sqlite3_file *file, int level);
AW_SUSPENDS int sqlite_file_unlock(sqlite3_file *file, int level);
int sqlite_file_check_reserved(sqlite3_file *file, int *ret_reserved);

/* sqlite_shm.c */
AW_SUSPENDS int sqlite_file_shm_map(sqlite3_file *file, int region, int region_size, int extend,
                                    void volatile **ret_address);
AW_SUSPENDS int sqlite_file_shm_lock(sqlite3_file *file, int offset, int count, int flags);
void sqlite_file_shm_barrier(sqlite3_file *file);
AW_SUSPENDS int sqlite_file_shm_unmap(sqlite3_file *file, int delete_it);

#endif
