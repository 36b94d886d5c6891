/* request.h - what lib/io and lib/clients ask of the ring: perform one operation, or several linked
 * ones, and come back when the kernel has finished with them.
 *
 * ring_perform suspends the task. It returns what the completion said (>= 0, or negative errno), or
 * -ECANCELED / -ETIME when the task was interrupted *and* the operation did not succeed. It never
 * returns before the terminal completion: until then the buffer belongs to the kernel. */
#ifndef RING_REQUEST_H
#define RING_REQUEST_H

#include <await/base.h>
#include <sys/types.h>

enum ring_kind {
    RING_NOP,
    RING_READ,      /* fd buffer size offset */
    RING_WRITE,     /* fd buffer size offset; flags: RWF_DSYNC or 0 */
    RING_FSYNC,     /* fd; flags: 0 or IORING_FSYNC_DATASYNC as RING_FSYNC_DATA_ONLY */
    RING_FALLOCATE, /* fd offset length; flags: mode */
    RING_OPEN,      /* path flags mode -> fd */
    RING_CLOSE,     /* fd */
    RING_STAT,    /* path, or fd (path NULL), statx buffer in `buffer`; flags: AT_*; mask in mode */
    RING_RENAME,  /* path path2 */
    RING_UNLINK,  /* path; flags: 0 or AT_REMOVEDIR */
    RING_MKDIR,   /* path mode */
    RING_CONNECT, /* fd, sockaddr in `buffer`, its length in `size` */
    RING_ACCEPT,  /* fd -> fd; flags: SOCK_* */
    RING_RECEIVE, /* fd buffer size; flags: MSG_* */
    RING_RECEIVE_LOAN, /* fd; the ring picks a buffer: see loan.h */
    RING_SEND,         /* fd buffer size; flags: MSG_* (MSG_NOSIGNAL is added) */
    RING_POLL,         /* fd; flags: POLL* -> events */
    RING_SHUTDOWN,     /* fd; flags: SHUT_* */
    RING_SEND_MESSAGE,    /* fd, struct msghdr in `buffer`; flags: MSG_* (MSG_NOSIGNAL is added) */
    RING_RECEIVE_MESSAGE, /* fd, struct msghdr in `buffer`; flags: MSG_* */
};

#define RING_FSYNC_DATA_ONLY 1u

struct ring_request {
    uint8_t kind;
    bool shielded; /* do not send a cancel when the task is interrupted: let it finish (writes of a
                      database). The result is then the operation's own. */
    int fd;
    uint32_t flags;
    uint32_t mode;
    size_t size;
    uint64_t offset; /* AW_AT_POSITION: the descriptor's own position */
    uint64_t length; /* of RING_FALLOCATE */
    void *buffer;
    const char *path;
    const char *path2;
};

AW_MUST_CHECK AW_SUSPENDS int ring_perform(const struct ring_request *request);

/* Performs `count` (1...64) independent requests at once and waits for all of them, in any
 * order of execution; results[i] is request i's. With `linked` each starts only after the one
 * before succeeded (a failed one cancels the rest: -ECANCELED in their results); a short write
 * counts as failed. The requests count as shielded. Returns 0, or the first negative result in
 * order of index. */
AW_MUST_CHECK AW_SUSPENDS int ring_perform_all(const struct ring_request *requests, unsigned count,
                                               bool linked, int *results);

#endif
