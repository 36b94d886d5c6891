/* disk.h - the simulated disk: what programs see (the cache) and what survives a power loss.
 *
 * Each file has two images. A write changes the cached one and is kept as a change until a sync
 * copies it to the durable one. A power loss applies any part of the changes left, in sectors of
 * 512 bytes, then the durable image is all there is. Names work the same: a folder's entries are
 * durable only after that folder was synced. This is more hostile than journalling file systems
 * are, and not more than POSIX allows. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <await/base.h>

#define DISK_INODES 64u
#define DISK_IMAGE_BYTES ((uint64_t)48 << 20)
#define DISK_ENTRIES 128u
#define DISK_CHANGES 65536u
#define DISK_ARENA_BYTES ((uint64_t)192 << 20)
#define DISK_NAME_BYTES 64u
#define DISK_SECTOR 512u
#define DISK_ROOT 1u /* inode 0 is none */

/* What a failed fsync leaves behind. */
enum sync_failure {
    SYNC_FAILURE_KEPT,     /* the cache keeps the data, calls it clean, never writes it */
    SYNC_FAILURE_REVERTED, /* the cache shows again what is on the disk */
    SYNC_FAILURE_LATE,     /* this sync says yes, only the next one reports it */
    SYNC_FAILURES,
};

/* How a power loss picks among what was not synced. */
enum tear { TEAR_NOTHING, TEAR_PREFIX, TEAR_WRITES, TEAR_SECTORS, TEAR_EVERYTHING, TEARS };

struct image {
    char *data; /* bytes beyond `size` are zero */
    uint64_t size;
    uint64_t touched; /* the largest size so far */
};

struct inode {
    bool used;
    bool folder;
    bool late_failure; /* SYNC_FAILURE_LATE: the next sync reports */
    bool is_wal;
    uint32_t mode;
    uint32_t opens;
    uint64_t allocated; /* bytes that have blocks */
    struct image cached;
    struct image durable;
};

struct entry {
    bool used;
    uint32_t folder;
    uint32_t inode;
    char name[DISK_NAME_BYTES];
};

/* A write, or (data NULL) a truncation, that no sync has covered. */
struct change {
    uint32_t inode;
    uint64_t offset; /* of a truncation: the new size */
    uint64_t size;
    const char *data;
};

struct name_change {
    uint32_t folder;
    uint32_t inode; /* 0: the name goes away */
    bool joined;    /* happens together with the one before (rename) */
    char name[DISK_NAME_BYTES];
};

struct disk {
    struct inode inodes[DISK_INODES];
    struct entry cached[DISK_ENTRIES];
    struct entry durable[DISK_ENTRIES];
    struct name_change name_changes[DISK_ENTRIES];
    uint32_t name_change_count;
    struct change *changes;
    struct change *spare; /* of the same size, for rewriting the list */
    uint32_t change_count;
    char *arena;
    uint64_t arena_used;
    uint64_t capacity; /* bytes of blocks the disk has */
};

void disk_create(struct disk *disk, char *memory);
uint64_t disk_memory_bytes(void);
void disk_reset(struct disk *disk);

/* Inode of an absolute path; 0 and *ret_folder (0 when that is missing too) and *ret_name when
 * absent. */
uint32_t disk_find(struct disk *disk, const char *path, uint32_t *ret_folder,
                   const char **ret_name);
AW_MUST_CHECK int disk_make(struct disk *disk, uint32_t folder, const char *name, bool is_folder,
                            uint32_t mode, uint32_t *ret_inode);
AW_MUST_CHECK int disk_unlink(struct disk *disk, const char *path, bool folder);
AW_MUST_CHECK int disk_rename(struct disk *disk, const char *from, const char *to);

/* What a crash of the process leaves open nowhere. */
void disk_close_all(struct disk *disk);

uint64_t disk_free_bytes(const struct disk *disk);
/* Gives the file blocks up to `end`; -ENOSPC or -EFBIG. */
AW_MUST_CHECK int disk_allocate(struct disk *disk, uint32_t inode, uint64_t end);
AW_MUST_CHECK int disk_write(struct disk *disk, uint32_t inode, const void *data, uint64_t size,
                             uint64_t offset);
uint64_t disk_read(struct disk *disk, uint32_t inode, void *data, uint64_t size, uint64_t offset);
AW_MUST_CHECK int disk_truncate(struct disk *disk, uint32_t inode, uint64_t size);

/* disk_sync.c: makes the whole file, or that range of it, or the folder's names durable. */
void disk_sync(struct disk *disk, uint32_t inode);
void disk_sync_range(struct disk *disk, uint32_t inode, uint64_t from, uint64_t to);
void disk_sync_names(struct disk *disk, uint32_t folder);
/* A sync of the file fails: some of it is durable, and nothing is left to try again. */
void disk_sync_failed(struct disk *disk, uint32_t inode, bool revert);
void disk_write_back(struct disk *disk);
void disk_power_loss(struct disk *disk);

/* Shared by the two files. */
void image_write(struct image *image, const char *data, uint64_t size, uint64_t offset);
void image_truncate(struct image *image, uint64_t size);
void names_apply(struct entry *entries, const struct name_change *change);
void disk_collect(struct disk *disk);

#endif
