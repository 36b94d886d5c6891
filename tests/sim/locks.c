/* locks.c - open files and open-file-description locks; see descriptors.h. */
#include "sim/descriptors.h"
#include "sim/world.h"

#include <errno.h>
#include <fcntl.h>

#define DESCRIPTORS 256
#define DESCRIPTOR_FIRST 100 /* never a standard stream */
#define LOCKS 512

static struct descriptor descriptors[DESCRIPTORS];

struct lock {
    int fd; /* 0: free */
    uint32_t inode;
    short type;
    uint64_t start;
    uint64_t end;
};

static struct lock locks[LOCKS];

struct descriptor *descriptor_of(int fd)
{
    if (fd < DESCRIPTOR_FIRST || fd >= DESCRIPTOR_FIRST + DESCRIPTORS)
        return NULL;
    struct descriptor *descriptor = &descriptors[fd - DESCRIPTOR_FIRST];
    return descriptor->inode ? descriptor : NULL;
}

int descriptor_open(uint32_t inode, int flags)
{
    for (int i = 0; i < DESCRIPTORS; i++) {
        if (descriptors[i].inode)
            continue;
        descriptors[i] = (struct descriptor){.inode = inode, .flags = flags};
        world->disk.inodes[inode].opens++;
        return i + DESCRIPTOR_FIRST;
    }
    return -EMFILE;
}

int descriptor_close(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor)
        return -EBADF;
    locks_drop(fd);
    world->disk.inodes[descriptor->inode].opens--;
    descriptor->inode = 0;
    return 0;
}

static bool conflicts(const struct lock *lock, int fd, uint32_t inode, short type, uint64_t start,
                      uint64_t end)
{
    return lock->fd && lock->fd != fd && lock->inode == inode && lock->start < end &&
           start < lock->end && (type == F_WRLCK || lock->type == F_WRLCK);
}

int locks_test(int fd, uint32_t inode, short type, uint64_t start, uint64_t length)
{
    uint64_t end = length ? start + length : UINT64_MAX;
    for (int i = 0; i < LOCKS; i++)
        if (conflicts(&locks[i], fd, inode, type, start, end))
            return 1;
    return 0;
}

static int add_lock(int fd, uint32_t inode, short type, uint64_t start, uint64_t end)
{
    for (int i = 0; i < LOCKS; i++)
        if (!locks[i].fd) {
            locks[i] = (struct lock){fd, inode, type, start, end};
            return 0;
        }
    return -ENOLCK;
}

int locks_set(int fd, uint32_t inode, short type, uint64_t start, uint64_t length)
{
    uint64_t end = length ? start + length : UINT64_MAX;
    if (type != F_UNLCK && locks_test(fd, inode, type, start, length))
        return -EAGAIN;
    for (int i = 0; i < LOCKS; i++) {
        struct lock old = locks[i];
        if (old.fd != fd || old.inode != inode || old.start >= end || start >= old.end)
            continue;
        locks[i].fd = 0;
        if (old.start < start && add_lock(fd, inode, old.type, old.start, start) < 0)
            return -ENOLCK;
        if (old.end > end && add_lock(fd, inode, old.type, end, old.end) < 0)
            return -ENOLCK;
    }
    return type == F_UNLCK ? 0 : add_lock(fd, inode, type, start, end);
}

void locks_drop(int fd)
{
    for (int i = 0; i < LOCKS; i++)
        if (locks[i].fd == fd)
            locks[i].fd = 0;
}
