/* disk.c - files and names as programs see them; see disk.h. */
#include "sim/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define CAPACITY_BYTES ((uint64_t)256 << 20)

uint64_t disk_memory_bytes(void)
{
    return DISK_INODES * 2 * DISK_IMAGE_BYTES + DISK_ARENA_BYTES +
           2 * (uint64_t)DISK_CHANGES * sizeof(struct change);
}

void disk_create(struct disk *disk, char *memory)
{
    for (uint32_t i = 0; i < DISK_INODES; i++) {
        disk->inodes[i].cached.data = memory;
        disk->inodes[i].durable.data = memory + DISK_IMAGE_BYTES;
        memory += 2 * DISK_IMAGE_BYTES;
    }
    disk->arena = memory;
    memory += DISK_ARENA_BYTES;
    disk->changes = (struct change *)(void *)memory;
    disk->spare = disk->changes + DISK_CHANGES;
    disk_reset(disk);
}

static void image_clear(struct image *image)
{
    memset(image->data, 0, image->touched);
    image->size = 0;
    image->touched = 0;
}

static void inode_clear(struct inode *inode)
{
    image_clear(&inode->cached);
    image_clear(&inode->durable);
    struct image cached = inode->cached;
    struct image durable = inode->durable;
    *inode = (struct inode){.cached = cached, .durable = durable};
}

void disk_reset(struct disk *disk)
{
    for (uint32_t i = 0; i < DISK_INODES; i++)
        inode_clear(&disk->inodes[i]);
    memset(disk->cached, 0, sizeof disk->cached);
    memset(disk->durable, 0, sizeof disk->durable);
    disk->name_change_count = 0;
    disk->change_count = 0;
    disk->arena_used = 0;
    disk->capacity = CAPACITY_BYTES;
    disk->inodes[DISK_ROOT].used = true;
    disk->inodes[DISK_ROOT].folder = true;
    disk->inodes[DISK_ROOT].mode = 0755;
}

static struct entry *find_entry(struct entry *entries, uint32_t folder, const char *name)
{
    for (uint32_t i = 0; i < DISK_ENTRIES; i++)
        if (entries[i].used && entries[i].folder == folder && strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

void names_apply(struct entry *entries, const struct name_change *change)
{
    struct entry *entry = find_entry(entries, change->folder, change->name);
    for (uint32_t i = 0; !entry && change->inode && i < DISK_ENTRIES; i++)
        if (!entries[i].used)
            entry = &entries[i];
    if (!entry)
        return;
    *entry = (struct entry){.used = change->inode != 0, .folder = change->folder,
                            .inode = change->inode};
    (void)snprintf(entry->name, sizeof entry->name, "%s", change->name);
}

static void change_name(struct disk *disk, uint32_t folder, const char *name, uint32_t inode,
                        bool joined)
{
    if (disk->name_change_count == DISK_ENTRIES)
        disk_write_back(disk);
    struct name_change *change = &disk->name_changes[disk->name_change_count++];
    *change = (struct name_change){.folder = folder, .inode = inode, .joined = joined};
    (void)snprintf(change->name, sizeof change->name, "%s", name);
    names_apply(disk->cached, change);
}

uint32_t disk_find(struct disk *disk, const char *path, uint32_t *ret_folder,
                   const char **ret_name)
{
    uint32_t inode = DISK_ROOT;
    uint32_t folder = 0;
    static char name[DISK_NAME_BYTES];
    name[0] = '\0';
    while (*path) {
        path += strspn(path, "/");
        size_t length = strcspn(path, "/");
        if (length == 0)
            break;
        folder = inode && disk->inodes[inode].folder ? inode : 0;
        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        const struct entry *entry = folder ? find_entry(disk->cached, folder, name) : NULL;
        inode = entry ? entry->inode : 0;
        path += length;
        if (!folder)
            break;
    }
    if (ret_folder)
        *ret_folder = folder;
    if (ret_name)
        *ret_name = name;
    return inode;
}

static bool is_named(const struct disk *disk, uint32_t inode)
{
    for (uint32_t i = 0; i < DISK_ENTRIES; i++)
        if ((disk->cached[i].used && disk->cached[i].inode == inode) ||
            (disk->durable[i].used && disk->durable[i].inode == inode))
            return true;
    for (uint32_t i = 0; i < disk->name_change_count; i++)
        if (disk->name_changes[i].inode == inode)
            return true;
    return false;
}

/* A folder that is gone takes its names along. */
static void forget_names(struct disk *disk, uint32_t folder)
{
    for (uint32_t i = 0; i < DISK_ENTRIES; i++) {
        if (disk->cached[i].folder == folder)
            disk->cached[i].used = false;
        if (disk->durable[i].folder == folder)
            disk->durable[i].used = false;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk->name_change_count; i++)
        if (disk->name_changes[i].folder != folder)
            disk->name_changes[kept++] = disk->name_changes[i];
    disk->name_change_count = kept;
}

static bool collect_one(struct disk *disk)
{
    for (uint32_t i = DISK_ROOT + 1; i < DISK_INODES; i++) {
        struct inode *inode = &disk->inodes[i];
        if (!inode->used || inode->opens > 0 || is_named(disk, i))
            continue;
        uint32_t kept = 0;
        for (uint32_t c = 0; c < disk->change_count; c++)
            if (disk->changes[c].inode != i)
                disk->changes[kept++] = disk->changes[c];
        disk->change_count = kept;
        if (inode->folder)
            forget_names(disk, i);
        inode_clear(inode);
        return true;
    }
    return false;
}

void disk_collect(struct disk *disk)
{
    while (collect_one(disk))
        ;
}

int disk_make(struct disk *disk, uint32_t folder, const char *name, bool is_folder, uint32_t mode,
              uint32_t *ret_inode)
{
    disk_collect(disk);
    for (uint32_t i = DISK_ROOT + 1; i < DISK_INODES; i++) {
        struct inode *inode = &disk->inodes[i];
        if (inode->used)
            continue;
        inode->used = true;
        inode->folder = is_folder;
        inode->mode = mode;
        size_t length = strlen(name);
        inode->is_wal = length > 4 && strcmp(name + length - 4, "-wal") == 0;
        change_name(disk, folder, name, i, false);
        *ret_inode = i;
        return 0;
    }
    return -ENOSPC;
}

int disk_unlink(struct disk *disk, const char *path, bool folder)
{
    uint32_t parent;
    const char *name;
    uint32_t inode = disk_find(disk, path, &parent, &name);
    if (!inode)
        return -ENOENT;
    if (disk->inodes[inode].folder != folder)
        return folder ? -ENOTDIR : -EISDIR;
    change_name(disk, parent, name, 0, false);
    return 0;
}

int disk_rename(struct disk *disk, const char *from, const char *to)
{
    uint32_t parent;
    const char *name;
    uint32_t inode = disk_find(disk, from, &parent, &name);
    if (!inode)
        return -ENOENT;
    char old_name[DISK_NAME_BYTES];
    uint32_t old_parent = parent;
    (void)snprintf(old_name, sizeof old_name, "%s", name);
    (void)disk_find(disk, to, &parent, &name);
    if (!parent)
        return -ENOENT;
    change_name(disk, parent, name, inode, false);
    change_name(disk, old_parent, old_name, 0, true);
    return 0;
}

void disk_close_all(struct disk *disk)
{
    for (uint32_t i = 0; i < DISK_INODES; i++)
        disk->inodes[i].opens = 0;
    disk_collect(disk);
}

uint64_t disk_free_bytes(const struct disk *disk)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < DISK_INODES; i++)
        used += disk->inodes[i].allocated;
    return disk->capacity > used ? disk->capacity - used : 0;
}

int disk_allocate(struct disk *disk, uint32_t number, uint64_t end)
{
    struct inode *inode = &disk->inodes[number];
    end = (end + BLOCK - 1) / BLOCK * BLOCK;
    if (end <= inode->allocated)
        return 0;
    if (end - inode->allocated > disk_free_bytes(disk) || end > DISK_IMAGE_BYTES)
        return -ENOSPC;
    inode->allocated = end;
    return 0;
}

void image_write(struct image *image, const char *data, uint64_t size, uint64_t offset)
{
    memcpy(image->data + offset, data, size);
    if (offset + size > image->size)
        image->size = offset + size;
    if (image->size > image->touched)
        image->touched = image->size;
}

void image_truncate(struct image *image, uint64_t size)
{
    if (size < image->size)
        memset(image->data + size, 0, image->size - size);
    image->size = size;
    if (size > image->touched)
        image->touched = size;
}

static struct change *add_change(struct disk *disk, uint64_t bytes)
{
    if (disk->change_count == 0)
        disk->arena_used = 0;
    if (disk->change_count == DISK_CHANGES || disk->arena_used + bytes > DISK_ARENA_BYTES)
        disk_write_back(disk); /* the kernel is always free to do that */
    return &disk->changes[disk->change_count++];
}

int disk_write(struct disk *disk, uint32_t number, const void *data, uint64_t size,
               uint64_t offset)
{
    int result = disk_allocate(disk, number, offset + size);
    if (result < 0)
        return result;
    struct change *change = add_change(disk, size);
    char *copy = disk->arena + disk->arena_used;
    disk->arena_used += size;
    memcpy(copy, data, size);
    *change = (struct change){.inode = number, .offset = offset, .size = size, .data = copy};
    image_write(&disk->inodes[number].cached, copy, size, offset);
    return 0;
}

uint64_t disk_read(struct disk *disk, uint32_t number, void *data, uint64_t size, uint64_t offset)
{
    const struct image *image = &disk->inodes[number].cached;
    if (offset >= image->size)
        return 0;
    if (size > image->size - offset)
        size = image->size - offset;
    memcpy(data, image->data + offset, size);
    return size;
}

int disk_truncate(struct disk *disk, uint32_t number, uint64_t size)
{
    struct inode *inode = &disk->inodes[number];
    if (size > DISK_IMAGE_BYTES)
        return -EFBIG;
    *add_change(disk, 0) = (struct change){.inode = number, .offset = size};
    image_truncate(&inode->cached, size);
    inode->allocated = (size + BLOCK - 1) / BLOCK * BLOCK;
    return 0;
}
