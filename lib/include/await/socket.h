/* socket.h - Unix and TCP stream sockets on the ring.
 *
 * A socket is a plain descriptor, the caller's to aw_close. Buffers stay the caller's; a call does
 * not return before the kernel has let go of them. An accepted descriptor or received bytes are
 * never lost to a cancellation: if the operation had succeeded, its result is delivered. */
#ifndef AWAIT_SOCKET_H
#define AWAIT_SOCKET_H

#include <await/base.h>
#include <await/error.h>
#include <sys/socket.h>
#include <sys/types.h>

struct aw_peer { /* who is at the other end of a Unix socket: SO_PEERCRED of unix(7) */
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

struct aw_listen_options {
    mode_t mode;     /* of the socket's file; 0: what the umask leaves */
    bool set_owner;  /* change the file's owner to uid and gid */
    uid_t uid;
    gid_t gid;
    int backlog;     /* 0: 4096 (the kernel cuts it to net.core.somaxconn) */
};

/* Listens on a Unix socket at `path` (at most 107 bytes). A socket file nobody listens on is
 * replaced; -EADDRINUSE when somebody does, -EEXIST when something else than a socket is there.
 * `options` may be NULL. Returns the descriptor. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_listen_unix(const char *path,
                                                    const struct aw_listen_options *options,
                                                    struct aw_error *reterr);

/* Listens on a numeric IPv4 or IPv6 address; port 0 picks a free one (see aw_local_port). */
AW_API AW_MUST_CHECK int aw_listen_tcp(const char *address, uint16_t port, int backlog,
                                       struct aw_error *reterr);
AW_API AW_MUST_CHECK int aw_local_port(int fd);

/* The next connection's descriptor (CLOEXEC). -EMFILE and -ENFILE mean: wait and try again. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_accept(int listener);

/* Connects to a Unix path, or to a host (name or numeric; names are resolved off the loop, and the
 * addresses tried in turn). Returns the descriptor, with TCP_NODELAY set for TCP. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_connect_unix(const char *path, struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_connect_tcp(const char *host, uint16_t port,
                                                    struct aw_error *reterr);

/* One receive or send: may be short; receive gives 0 at the end of the stream. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_receive(int fd, void *buffer, size_t size);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_send(int fd, const void *buffer, size_t size);

/* Sends all of it: 0, or the first error (-EPIPE, -ECONNRESET ...). Never raises SIGPIPE. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_send_all(int fd, const void *buffer, size_t size);

/* Receives into a buffer the loop lends out, so that an idle connection holds no memory. The bytes
 * (*ret_data, `result` of them) are valid until aw_receive_done, which every positive result needs,
 * soon: the buffers are few and shared. 0 at the end of the stream (no aw_receive_done then). */
struct aw_loan { /* private but for data */
    const void *data;
    uint32_t buffer;
};
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_receive_loan(int fd, struct aw_loan *ret_loan);
AW_API void aw_receive_done(struct aw_loan *loan);

/* Waits until one of `events` (POLLIN, POLLOUT, ... of poll(2)) or an error is there; returns the
 * events. Level-triggered at the call. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_poll(int fd, unsigned events);

/* shutdown(2); `how` is SHUT_RD, SHUT_WR or SHUT_RDWR. */
AW_API AW_SUSPENDS int aw_shutdown(int fd, int how);

/* Who connected, as the kernel noted it at connect(2). -ENOTCONN: not a Unix socket of a peer. */
AW_API AW_MUST_CHECK int aw_peer_of(int fd, struct aw_peer *ret_peer);

/* Its supplementary groups at that time: fills them in and returns how many. -ERANGE: there are
 * more than `count`. Errors as above. */
AW_API AW_MUST_CHECK int aw_peer_groups(int fd, gid_t *groups, int count);

#endif
