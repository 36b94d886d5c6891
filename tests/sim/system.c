/* system.c - the seam's other side: lib/ring/system.h on the simulated disk; no sockets. */
#include "ring/system.h"

#include "sim/descriptors.h"
#include "sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT_SIMULATED() not_simulated(__func__)

/* A missing operation must not pass for a failure of the product's. */
static int not_simulated(const char *name)
{
    fprintf(stderr, "sim: %s is not simulated\n", name);
    abort();
    return -ENOSYS;
}

int system_socket(int domain, int type, int protocol)
{
    (void)domain, (void)type, (void)protocol;
    return NOT_SIMULATED();
}

int system_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    (void)fd, (void)address, (void)length;
    return NOT_SIMULATED();
}

int system_listen(int fd, int backlog)
{
    (void)fd, (void)backlog;
    return NOT_SIMULATED();
}

int system_set_option(int fd, int level, int name, const void *value, socklen_t length)
{
    (void)fd, (void)level, (void)name, (void)value, (void)length;
    return NOT_SIMULATED();
}

int system_get_option(int fd, int level, int name, void *value, socklen_t *length)
{
    (void)fd, (void)level, (void)name, (void)value, (void)length;
    return NOT_SIMULATED();
}

int system_local_address(int fd, struct sockaddr *address, socklen_t *length)
{
    (void)fd, (void)address, (void)length;
    return NOT_SIMULATED();
}

int system_signalfd(const sigset_t *signals)
{
    (void)signals;
    return NOT_SIMULATED();
}

int system_eventfd(void)
{
    return NOT_SIMULATED();
}

int system_lookup(const char *host, struct sockaddr_storage *ret_addresses, int max)
{
    (void)host, (void)ret_addresses, (void)max;
    return NOT_SIMULATED();
}

int system_close(int fd)
{
    return descriptor_close(fd);
}

int system_truncate(int fd, uint64_t size)
{
    const struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor)
        return -EBADF;
    if (world_fault(world->swarm.write_error_ppm)) {
        world->storage_failed = true;
        return -EIO;
    }
    world_trace("truncate", descriptor->inode, size);
    return disk_truncate(&world->disk, descriptor->inode, size);
}

int system_statvfs(const char *path, struct statvfs *ret_stat)
{
    if (!disk_find(&world->disk, path, NULL, NULL))
        return -ENOENT;
    uint64_t blocks = disk_free_bytes(&world->disk) / 4096;
    *ret_stat = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_bavail = blocks,
                                 .f_bfree = blocks, .f_blocks = world->disk.capacity / 4096};
    return 0;
}

int system_chmod(const char *path, mode_t mode)
{
    uint32_t inode = disk_find(&world->disk, path, NULL, NULL);
    if (!inode)
        return -ENOENT;
    world->disk.inodes[inode].mode = mode & 07777;
    return 0;
}

int system_chown(const char *path, uid_t uid, gid_t gid)
{
    (void)uid, (void)gid;
    return disk_find(&world->disk, path, NULL, NULL) ? 0 : -ENOENT;
}

int system_realpath(const char *path, char *ret_path, size_t size)
{
    if (path[0] != '/' || !disk_find(&world->disk, path, NULL, NULL))
        return -ENOENT;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(ret_path, path, length);
    ret_path[length] = '\0';
    return 0;
}

int system_lock(int fd, short type, uint64_t start, uint64_t length)
{
    const struct descriptor *descriptor = descriptor_of(fd);
    return descriptor ? locks_set(fd, descriptor->inode, type, start, length) : -EBADF;
}

int system_lock_test(int fd, short type, uint64_t start, uint64_t length)
{
    const struct descriptor *descriptor = descriptor_of(fd);
    return descriptor ? locks_test(fd, descriptor->inode, type, start, length) : -EBADF;
}

/* The page cache itself. Stores through it are no changes that a power loss could keep: the wal-
 * index that it is used for means nothing after one. */
int system_map(int fd, uint64_t offset, size_t size, void **ret_address)
{
    const struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor)
        return -EBADF;
    if (offset + size > DISK_IMAGE_BYTES)
        return -EOVERFLOW;
    *ret_address = world->disk.inodes[descriptor->inode].cached.data + offset;
    return 0;
}

void system_unmap(void *address, size_t size)
{
    (void)address, (void)size;
}
