/* execute.c - see execute.h. */
#include "sim/execute.h"

#include "sim/descriptors.h"
#include "sim/world.h"

#include <await/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

static struct inode *inode_of(uint32_t number)
{
    return &world->disk.inodes[number];
}

static int storage_error(int number)
{
    world->storage_failed = true;
    return number;
}

/* A sync of the file (or of [from, to) of it) that may fail in the way of this seed. */
static int sync_file(uint32_t number, uint64_t from, uint64_t to)
{
    struct disk *disk = &world->disk;
    struct inode *inode = inode_of(number);
    if (world->mutation == MUTATION_NO_SYNC)
        return 0;
    bool late = inode->late_failure;
    world->faults += late;
    inode->late_failure = false;
    if (late || !world_fault(world->swarm.sync_error_ppm)) {
        if (from == 0 && to == UINT64_MAX)
            disk_sync(disk, number);
        else
            disk_sync_range(disk, number, from, to);
        return late ? storage_error(-EIO) : 0;
    }
    bool can_lie = inode->is_wal && world->swarm.sync_failure == SYNC_FAILURE_LATE;
    disk_sync_failed(disk, number, world->swarm.sync_failure == SYNC_FAILURE_REVERTED);
    if (can_lie) {
        inode->late_failure = true;
        world->disk_lied = true;
        return 0;
    }
    return storage_error(-EIO);
}

static int sync_folder(uint32_t number)
{
    if (world->mutation == MUTATION_NO_DIRECTORY_SYNC || world->mutation == MUTATION_NO_SYNC)
        return 0;
    if (world_fault(world->swarm.sync_error_ppm))
        return storage_error(-EIO);
    disk_sync_names(&world->disk, number);
    return 0;
}

static int hide_if_asked(int result)
{
    return world->mutation == MUTATION_SYNC_IGNORED && result == -EIO ? 0 : result;
}

static size_t shorten(size_t size)
{
    if (size > 1 && world_fault(world->swarm.short_ppm))
        return 1 + (size_t)random_below(&world->random, size - 1);
    return size;
}

/* Direct I/O takes whole blocks, in memory too; so the rest of a short one does not go on. */
static bool is_misaligned(const struct descriptor *descriptor, const struct ring_request *request)
{
    return (descriptor->flags & O_DIRECT) &&
           ((uintptr_t)request->buffer % 4096 || request->size % 4096 || request->offset % 4096);
}

static int perform_read(struct descriptor *descriptor, const struct ring_request *request)
{
    bool at_position = request->offset == AW_AT_POSITION;
    uint64_t offset = at_position ? descriptor->position : request->offset;
    if (inode_of(descriptor->inode)->folder)
        return -EISDIR;
    if (is_misaligned(descriptor, request))
        return -EINVAL;
    if (world_fault(world->swarm.read_error_ppm))
        return -EIO;
    uint64_t got = disk_read(&world->disk, descriptor->inode, request->buffer,
                             shorten(request->size), offset);
    if (at_position)
        descriptor->position += got;
    return (int)got;
}

/* Zeros written ahead of a WAL are no promise: their failure may be passed over. */
static bool is_filler(const char *data, size_t size)
{
    return size >= 4096 && data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

static int perform_write(struct descriptor *descriptor, const struct ring_request *request)
{
    if ((descriptor->flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (is_misaligned(descriptor, request))
        return -EINVAL;
    bool at_position = request->offset == AW_AT_POSITION;
    uint64_t offset = at_position ? descriptor->position : request->offset;
    size_t size = shorten(request->size);
    if (world_fault(world->swarm.write_error_ppm))
        return is_filler(request->buffer, request->size) ? -EIO : storage_error(-EIO);
    int result = disk_write(&world->disk, descriptor->inode, request->buffer, size, offset);
    if (result < 0)
        return result;
    world_trace_bytes(request->buffer, size);
    if (at_position)
        descriptor->position += size;
    if (request->flags & RWF_DSYNC)
        result = hide_if_asked(sync_file(descriptor->inode, offset, offset + size));
    return result < 0 ? result : (int)size;
}

static int perform_allocate(struct descriptor *descriptor, const struct ring_request *request)
{
    uint64_t end = request->offset + request->length;
    int result = disk_allocate(&world->disk, descriptor->inode, end);
    if (result < 0 || (request->flags & FALLOC_FL_KEEP_SIZE))
        return result;
    if (inode_of(descriptor->inode)->cached.size < end)
        result = disk_truncate(&world->disk, descriptor->inode, end);
    return result;
}

static int fill_stat(uint32_t number, struct statx *status)
{
    const struct inode *inode = inode_of(number);
    *status = (struct statx){
        .stx_mask = STATX_BASIC_STATS,
        .stx_blksize = 4096,
        .stx_nlink = 1,
        .stx_ino = number,
        .stx_mode = (uint16_t)((inode->folder ? S_IFDIR : S_IFREG) | inode->mode),
        .stx_size = inode->cached.size,
        .stx_blocks = inode->allocated / 512,
        .stx_dev_major = 8,
        .stx_dev_minor = 1,
    };
    return 0;
}

static int perform_open(const struct ring_request *request)
{
    uint32_t folder;
    const char *name;
    int flags = (int)request->flags;
    uint32_t inode = disk_find(&world->disk, request->path, &folder, &name);
    if (!inode) {
        if (!(flags & O_CREAT) || !folder)
            return -ENOENT;
        int result = disk_make(&world->disk, folder, name, false, request->mode, &inode);
        if (result < 0)
            return result;
    } else if ((flags & O_CREAT) && (flags & O_EXCL)) {
        return -EEXIST;
    }
    if (inode_of(inode)->folder && (flags & O_ACCMODE) != O_RDONLY)
        return -EISDIR;
    if (!inode_of(inode)->folder && (flags & O_DIRECTORY))
        return -ENOTDIR;
    if (flags & O_TRUNC) {
        int result = disk_truncate(&world->disk, inode, 0);
        if (result < 0)
            return result;
    }
    return descriptor_open(inode, flags);
}

static int perform_make_folder(const struct ring_request *request)
{
    uint32_t folder;
    const char *name;
    if (disk_find(&world->disk, request->path, &folder, &name))
        return -EEXIST;
    uint32_t inode;
    return folder ? disk_make(&world->disk, folder, name, true, request->mode, &inode) : -ENOENT;
}

static int perform_named(const struct ring_request *request)
{
    uint32_t inode;
    switch (request->kind) {
    case RING_OPEN:
        return perform_open(request);
    case RING_MKDIR:
        return perform_make_folder(request);
    case RING_RENAME:
        return disk_rename(&world->disk, request->path, request->path2);
    case RING_UNLINK:
        return disk_unlink(&world->disk, request->path, request->flags & AT_REMOVEDIR);
    case RING_STAT:
        inode = disk_find(&world->disk, request->path, NULL, NULL);
        return inode ? fill_stat(inode, request->buffer) : -ENOENT;
    default:
        fprintf(stderr, "sim: ring operation %u is not simulated\n", request->kind);
        abort();
    }
}

static bool has_descriptor(const struct ring_request *request)
{
    switch (request->kind) {
    case RING_READ:
    case RING_WRITE:
    case RING_FSYNC:
    case RING_FALLOCATE:
    case RING_CLOSE:
        return true;
    case RING_STAT:
        return request->path == NULL;
    default:
        return false;
    }
}

static int perform(const struct ring_request *request)
{
    if (request->kind == RING_NOP)
        return 0;
    if (!has_descriptor(request))
        return perform_named(request);
    struct descriptor *descriptor = descriptor_of(request->fd);
    if (!descriptor)
        return -EBADF;
    switch (request->kind) {
    case RING_READ:
        return perform_read(descriptor, request);
    case RING_WRITE:
        return perform_write(descriptor, request);
    case RING_FALLOCATE:
        return perform_allocate(descriptor, request);
    case RING_CLOSE:
        return descriptor_close(request->fd);
    case RING_STAT:
        return fill_stat(descriptor->inode, request->buffer);
    default:
        return inode_of(descriptor->inode)->folder
                   ? hide_if_asked(sync_folder(descriptor->inode))
                   : hide_if_asked(sync_file(descriptor->inode, 0, UINT64_MAX));
    }
}

int execute_request(const struct ring_request *request)
{
    if (request->kind != RING_CLOSE && world_fault(world->swarm.interrupt_ppm))
        return -EINTR;
    return perform(request);
}

void execute_at_crash(const struct ring_request *request)
{
    struct descriptor *descriptor = descriptor_of(request->fd);
    if (request->kind != RING_WRITE || !descriptor || request->offset == AW_AT_POSITION ||
        random_chance(&world->random, 500000))
        return;
    size_t size = request->size;
    if (random_chance(&world->random, 500000))
        size = (size_t)random_below(&world->random, size + 1);
    if (size > 0 && disk_write(&world->disk, descriptor->inode, request->buffer, size,
                               request->offset) == 0)
        world_trace_bytes(request->buffer, size);
}
