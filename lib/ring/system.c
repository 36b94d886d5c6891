/* system.c - the real half of system.h: plain system calls, negative errno. */
#include "ring/system.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int negative_errno(int result)
{
    return result < 0 ? -errno : result;
}

int system_socket(int domain, int type, int protocol)
{
    return negative_errno(socket(domain, type, protocol));
}

int system_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return negative_errno(bind(fd, address, length));
}

int system_listen(int fd, int backlog)
{
    return negative_errno(listen(fd, backlog));
}

int system_set_option(int fd, int level, int name, const void *value, socklen_t length)
{
    return negative_errno(setsockopt(fd, level, name, value, length));
}

int system_get_option(int fd, int level, int name, void *value, socklen_t *length)
{
    return negative_errno(getsockopt(fd, level, name, value, length));
}

int system_local_address(int fd, struct sockaddr *address, socklen_t *length)
{
    return negative_errno(getsockname(fd, address, length));
}

int system_close(int fd)
{
    return negative_errno(close(fd));
}

int system_truncate(int fd, uint64_t size)
{
    if (size > INT64_MAX)
        return -EFBIG;
    return negative_errno(ftruncate(fd, (off_t)size));
}

int system_statvfs(const char *path, struct statvfs *ret_stat)
{
    struct statvfs status;
    int result = negative_errno(statvfs(path, &status));
    if (result < 0)
        return result;
    *ret_stat = status;
    return 0;
}

int system_chmod(const char *path, mode_t mode)
{
    return negative_errno(chmod(path, mode));
}

int system_chown(const char *path, uid_t uid, gid_t gid)
{
    return negative_errno(chown(path, uid, gid));
}

int system_realpath(const char *path, char *ret_path, size_t size)
{
    char *resolved = realpath(path, NULL);
    if (resolved == NULL)
        return -errno;
    size_t length = strlen(resolved);
    int result = -ENAMETOOLONG;
    if (length < size) {
        memcpy(ret_path, resolved, length + 1);
        result = 0;
    }
    free(resolved);
    return result;
}

static int describe_lock(struct flock *lock, short type, uint64_t start, uint64_t length)
{
    if (start > INT64_MAX || length > INT64_MAX)
        return -EOVERFLOW;
    *lock = (struct flock){
        .l_type = type,
        .l_whence = SEEK_SET,
        .l_start = (off_t)start,
        .l_len = (off_t)length,
    };
    return 0;
}

int system_lock(int fd, short type, uint64_t start, uint64_t length)
{
    struct flock lock;
    int result = describe_lock(&lock, type, start, length);
    if (result < 0)
        return result;
    result = negative_errno(fcntl(fd, F_OFD_SETLK, &lock));
    return result == -EACCES ? -EAGAIN : result;
}

int system_lock_test(int fd, short type, uint64_t start, uint64_t length)
{
    struct flock lock;
    int result = describe_lock(&lock, type, start, length);
    if (result < 0)
        return result;
    result = negative_errno(fcntl(fd, F_OFD_GETLK, &lock));
    if (result < 0)
        return result;
    return lock.l_type != F_UNLCK;
}

int system_map(int fd, uint64_t offset, size_t size, void **ret_address)
{
    if (offset > INT64_MAX)
        return -EOVERFLOW;
    void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (address == MAP_FAILED)
        return -errno;
    *ret_address = address;
    return 0;
}

void system_unmap(void *address, size_t size)
{
    munmap(address, size);
}

int system_signalfd(const sigset_t *signals)
{
    return negative_errno(signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

int system_eventfd(void)
{
    return negative_errno(eventfd(0, EFD_CLOEXEC));
}

static int lookup_error(int code, int saved_errno)
{
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENOENT;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return saved_errno > 0 ? -saved_errno : -EIO;
    case EAI_AGAIN:
    case EAI_FAIL: /* the server refused or garbled the question: says nothing about the host */
        return -EAGAIN;
    default:
        return -EIO;
    }
}

int system_lookup(const char *host, struct sockaddr_storage *ret_addresses, int max)
{
    /* No AI_ADDRCONFIG: on a host that has only its loopback it hides names that do resolve. */
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int code = getaddrinfo(host, NULL, &hints, &list);
    if (code != 0)
        return lookup_error(code, errno);
    int count = 0;
    for (const struct addrinfo *entry = list; entry != NULL && count < max;
         entry = entry->ai_next) {
        if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6)
            continue;
        ret_addresses[count] = (struct sockaddr_storage){0};
        memcpy(&ret_addresses[count], entry->ai_addr, entry->ai_addrlen);
        count++;
    }
    freeaddrinfo(list);
    return count > 0 ? count : -ENOENT;
}
