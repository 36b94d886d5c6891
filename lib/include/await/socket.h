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
 * -ENAMETOOLONG and -EINVAL (empty): the path; else what bind(2), listen(2), chmod(2), chown(2)
 * say. `options` may be NULL. Returns the descriptor; the file stays when it is closed. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_listen_unix(const char *path,
                                                    const struct aw_listen_options *options,
                                                    struct aw_error *reterr);

/* Listens on a numeric IPv4 or IPv6 address; port 0 picks a free one (see aw_local_port). `backlog`
 * is how many connections may wait for aw_accept, 0: 4,096 (the kernel cuts it to
 * net.core.somaxconn). Returns the descriptor. -EINVAL: `address` is not numeric; else what bind(2)
 * and listen(2) say, such as -EADDRINUSE and -EACCES. Never suspends. */
AW_API AW_MUST_CHECK int aw_listen_tcp(const char *address, uint16_t port, int backlog,
                                       struct aw_error *reterr);

/* The port of a bound socket's own end. -EAFNOSUPPORT: not an IPv4 or IPv6 socket; -ENOTSOCK and
 * -EBADF: not a socket. Never suspends. */
AW_API AW_MUST_CHECK int aw_local_port(int fd);

/* The next connection's descriptor (CLOEXEC), the caller's to aw_close. Connections that failed
 * before they were accepted are passed over. -EMFILE and -ENFILE mean: wait and try again.
 * -ECONNABORTED: 64 in a row had failed; -EINVAL: not listening; else what accept(2) says. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_accept(int listener);

/* Connects to a Unix path, or to a host (name or numeric; names are resolved off the loop, and the
 * addresses tried in turn). Returns the descriptor, with TCP_NODELAY set for TCP, or the errors of
 * connect(2): -ECONNREFUSED, -ENOENT (no such path, or as of aw_resolve), -ETIMEDOUT,
 * -EHOSTUNREACH ...; of several addresses, the last one's. -ENAMETOOLONG and -EINVAL: the path
 * (above 107 bytes, or empty) or the host; further errors as aw_resolve. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_connect_unix(const char *path, struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_connect_tcp(const char *host, uint16_t port,
                                                    struct aw_error *reterr);

/* One receive or send: how many bytes were moved, which may be less than `size`; receive gives 0 at
 * the end of the stream. Errors of recv(2) and send(2): -ECONNRESET, -EPIPE, -ENOTCONN ... */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_receive(int fd, void *buffer, size_t size);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_send(int fd, const void *buffer, size_t size);

/* Sends all of it: 0, or the first error (-EPIPE, -ECONNRESET ...). Never raises SIGPIPE. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_send_all(int fd, const void *buffer, size_t size);

struct aw_loan { /* private but for data */
    const void *data;
    uint32_t buffer;
};

/* Receives into a buffer the loop lends out, so that an idle connection holds no memory. The bytes
 * (ret_loan->data, as many as the result says) are valid until aw_receive_done, which every
 * positive result needs, soon: the buffers are few and shared, and who finds none waits in line. 0
 * at the end of the stream (no aw_receive_done then). Errors of recv(2). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_receive_loan(int fd, struct aw_loan *ret_loan);

/* Gives the buffer back; a second time does nothing. Never suspends. */
AW_API void aw_receive_done(struct aw_loan *loan);

/* Waits until one of `events` (POLLIN, POLLOUT, ... of poll(2)) or an error is there; returns the
 * events, POLLERR, POLLHUP and POLLNVAL among them unasked. Level-triggered at the call. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_poll(int fd, unsigned events);

/* shutdown(2); `how` is SHUT_RD, SHUT_WR or SHUT_RDWR. 0, -ENOTCONN, -EINVAL (how), -ENOTSOCK (not
 * a socket). */
AW_API AW_SUSPENDS int aw_shutdown(int fd, int how);

/* Who connected, as the kernel noted it at connect(2): 0. -ENOTCONN: not a Unix socket of a peer;
 * -ENOTSOCK and -EBADF: not a socket. Never suspends. */
AW_API AW_MUST_CHECK int aw_peer_of(int fd, struct aw_peer *ret_peer);

/* Its supplementary groups at that time: fills in at most `count` and returns how many. -ERANGE:
 * there are more than `count`; -ENOTCONN: not a Unix socket of a peer; further errors as
 * getsockopt(2). Never suspends. */
AW_API AW_MUST_CHECK int aw_peer_groups(int fd, gid_t *groups, int count);

#endif
