/* system.h - the system calls that have no ring operation (or not on the oldest kernel we support)
 * and never wait: part of the seam, so that a simulator can answer them. All return 0 or positive,
 * or negative errno; parameters are those of the system call. */
#ifndef RING_SYSTEM_H
#define RING_SYSTEM_H

#include <await/base.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/types.h>

AW_MUST_CHECK int system_socket(int domain, int type, int protocol);
AW_MUST_CHECK int system_bind(int fd, const struct sockaddr *address, socklen_t length);
AW_MUST_CHECK int system_listen(int fd, int backlog);
AW_MUST_CHECK int system_set_option(int fd, int level, int name, const void *value,
                                    socklen_t length);
AW_MUST_CHECK int system_get_option(int fd, int level, int name, void *value, socklen_t *length);
AW_MUST_CHECK int system_local_address(int fd, struct sockaddr *address, socklen_t *length);
/* For descriptors that no operation of the ring uses, where a task cannot suspend. */
int system_close(int fd);
AW_MUST_CHECK int system_truncate(int fd, uint64_t size);
AW_MUST_CHECK int system_statvfs(const char *path, struct statvfs *ret_stat);
AW_MUST_CHECK int system_chmod(const char *path, mode_t mode);
AW_MUST_CHECK int system_chown(const char *path, uid_t uid, gid_t gid);
AW_MUST_CHECK int system_realpath(const char *path, char *ret_path, size_t size);

/* Open-file-description locks, never waiting: type F_RDLCK, F_WRLCK or F_UNLCK; -EAGAIN when
 * another description holds a conflicting one. system_lock_test tells whether one would conflict
 * (1) or not. */
AW_MUST_CHECK int system_lock(int fd, short type, uint64_t start, uint64_t length);
AW_MUST_CHECK int system_lock_test(int fd, short type, uint64_t start, uint64_t length);

/* Maps a shared, writable stretch of a file (SQLite's wal-index). */
AW_MUST_CHECK int system_map(int fd, uint64_t offset, size_t size, void **ret_address);
void system_unmap(void *address, size_t size);

AW_MUST_CHECK int system_signalfd(const sigset_t *signals);
AW_MUST_CHECK int system_eventfd(void);

/* getaddrinfo(3) for stream sockets, in its order: the only function here that waits, so only a
 * thread of the offload pool calls it. Fills at most `max` addresses (port 0) and returns how many.
 * -ENOENT: no such host, or none of its addresses is IPv4 or IPv6; -EAGAIN: the resolver did not
 * answer; -ENOMEM. */
AW_MUST_CHECK int system_lookup(const char *host, struct sockaddr_storage *ret_addresses, int max);

#endif
