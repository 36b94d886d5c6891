/* transport.h - what carries a stream's bytes: descriptors, or TLS on top of another transport.
 *
 * A transport buffers nothing that the stream must know of, except that `send` may keep bytes it
 * has taken (an encrypted record) until `flush`. An interrupted call has either done something, and
 * then says how much, or nothing. */
#ifndef IO_TRANSPORT_H
#define IO_TRANSPORT_H

#include <await/base.h>

struct transport;

struct transport_type {
    /* Bytes received, 0 at the end, negative errno. */
    int (*receive)(struct transport *transport, void *buffer, size_t size);
    /* Bytes taken (above 0), negative errno. */
    int (*send)(struct transport *transport, const void *data, size_t size);
    int (*flush)(struct transport *transport); /* NULL: send keeps nothing */
    int (*end)(struct transport *transport);   /* no more will be sent */
    int (*descriptor)(const struct transport *transport);
    void (*close)(struct transport *transport); /* and free; shielded */
};

struct transport {
    const struct transport_type *type;
};

/* Takes the descriptors (either may be -1) on success. -ENOMEM, -EBADF. */
AW_MUST_CHECK int transport_open_descriptors(int read_fd, int write_fd,
                                             struct transport **ret_transport);

#endif
