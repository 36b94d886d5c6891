/* datagram.h - UDP over IPv4 and IPv6, and Unix datagrams. A socket is a plain descriptor, the
 * caller's to aw_close; aw_local_port tells the port it was given. Buffers stay the caller's, a
 * call does not return before the kernel has let go of them. */
#ifndef AWAIT_DATAGRAM_H
#define AWAIT_DATAGRAM_H

#include <await/base.h>
#include <await/error.h>
#include <await/resolve.h>

struct aw_datagram { /* what came with the bytes */
    struct aw_address from;
    size_t size;    /* of the datagram as it was sent */
    bool truncated; /* it was longer than the buffer: the rest is gone */
};

/* A UDP socket at a numeric IPv4 or IPv6 address; port 0 picks a free one. Returns the descriptor.
 * -EINVAL: `address` is not numeric; else what socket(2) and bind(2) say, such as -EADDRINUSE,
 * -EADDRNOTAVAIL and -EACCES. Never suspends. */
AW_API AW_MUST_CHECK int aw_datagram_bind(const char *address, uint16_t port,
                                          struct aw_error *reterr);

/* A UDP socket that talks to one peer only: aw_datagram_send goes there, and nobody else's
 * datagrams come. A name of several addresses is the first of them that can be connected to.
 * Returns the descriptor, or the errors of aw_resolve and connect(2). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_datagram_connect(const char *host, uint16_t port,
                                                         struct aw_error *reterr);

/* A Unix datagram socket at `path` (at most 107 bytes; the file is the caller's to unlink), or
 * without a name when path is NULL. Returns the descriptor. -EINVAL: `path` is empty;
 * -ENAMETOOLONG: it has more than 107 bytes; -EADDRINUSE: something is there; else what bind(2)
 * says. Never suspends. */
AW_API AW_MUST_CHECK int aw_datagram_bind_unix(const char *path, struct aw_error *reterr);

/* Fills *ret_address from a numeric IPv4 or IPv6 address: 0. -EINVAL: it is none. Never suspends.
 */
AW_API AW_MUST_CHECK int aw_address_numeric(const char *address, uint16_t port,
                                            struct aw_address *ret_address);

/* Sends one datagram whole, to an address, to a Unix path or to the connected peer: 0, or -EMSGSIZE
 * (too large), -ECONNREFUSED (an earlier one was refused, or nobody is at the path) and what else
 * sendmsg(2) says. The path: -ENAMETOOLONG (above 107 bytes), -EINVAL (empty). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_datagram_send_to(int fd, const void *data, size_t size,
                                                         const struct aw_address *to);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_datagram_send_unix(int fd, const void *data, size_t size,
                                                           const char *path);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_datagram_send(int fd, const void *data, size_t size);

/* Waits for one datagram and returns how many of its bytes are in the buffer; an empty datagram
 * gives 0. *ret_datagram (may be NULL) says where it came from, and whether it was cut. A datagram
 * that had come before an interruption is delivered. Errors of recvmsg(2), such as -ECONNREFUSED
 * when one sent earlier on a connected socket was refused. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_datagram_receive(int fd, void *buffer, size_t size,
                                                         struct aw_datagram *ret_datagram);

#endif
