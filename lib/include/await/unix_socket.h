/* unix_socket.h - messages over Unix sockets that carry descriptors and the sender's credentials.
 *
 * Bytes and descriptors of one message arrive together. On a stream socket the bytes of one message
 * may arrive in several receives, the descriptors with the first of them. */
#ifndef AWAIT_UNIX_SOCKET_H
#define AWAIT_UNIX_SOCKET_H

#include <await/base.h>
#include <await/socket.h>

#define AW_DESCRIPTORS_MAX 253 /* in one message: the kernel's own limit, SCM_MAX_FD */

struct aw_message { /* what came with the bytes */
    int descriptors[AW_DESCRIPTORS_MAX]; /* CLOEXEC; the caller's to aw_close */
    int descriptor_count;
    bool has_credentials; /* after aw_unix_ask_credentials: the kernel vouches for them */
    struct aw_peer credentials;
    bool truncated; /* a datagram was longer than the buffer: the rest is gone */
};

/* Sends bytes (at least one on a stream socket) and copies of `count` descriptors, which stay the
 * caller's. Returns how many bytes were sent (may be short on a stream; the descriptors have gone
 * with them). -EINVAL: count is not 0...AW_DESCRIPTORS_MAX. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_unix_send(int fd, const void *data, size_t size,
                                                  const int *descriptors, int count);

/* Receives bytes and at most descriptors_max descriptors: the number of bytes, 0 at the end of the
 * stream. -ETOOMANYREFS: more descriptors came, -EMFILE: the process could not hold them all. With
 * these two, and with every other error, all that came is closed again and *ret_message untouched;
 * the bytes are lost. -EINVAL: descriptors_max is not 0...AW_DESCRIPTORS_MAX. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_unix_receive(int fd, void *buffer, size_t size,
                                                     int descriptors_max,
                                                     struct aw_message *ret_message);

/* From now on each message received on fd says who sent it (SO_PASSCRED of unix(7)); who connected
 * is aw_peer_of. Never suspends. */
AW_API AW_MUST_CHECK int aw_unix_ask_credentials(int fd);

#endif
