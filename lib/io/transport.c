/* transport.c - the plain transport: a socket, or one or two descriptors of another kind.
 *
 * What is not a socket is polled first: on older kernels a read that must wait would hold one of
 * the kernel's worker threads, and one set not to block would fail. */
#include "io/transport.h"

#include "io/pipe_signal.h"
#include "ring/system.h"

#include <await/file.h>
#include <await/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

struct descriptors {
    struct transport transport;
    int read_fd;
    int write_fd;
    bool is_socket;
};

static int receive(struct transport *transport, void *buffer, size_t size)
{
    const struct descriptors *own = (const struct descriptors *)transport;
    if (own->read_fd < 0)
        return -EBADF;
    if (own->is_socket)
        return aw_receive(own->read_fd, buffer, size);
    int result = aw_poll(own->read_fd, POLLIN);
    return result < 0 ? result : aw_read(own->read_fd, buffer, size, AW_AT_POSITION);
}

static int send_bytes(struct transport *transport, const void *data, size_t size)
{
    const struct descriptors *own = (const struct descriptors *)transport;
    if (own->write_fd < 0)
        return -EBADF;
    int result;
    if (own->is_socket) {
        result = aw_send(own->write_fd, data, size);
    } else {
        result = aw_poll(own->write_fd, POLLOUT);
        if (result >= 0)
            result = aw_write(own->write_fd, data, size, AW_AT_POSITION);
    }
    return result == 0 ? -EPIPE : result;
}

static int end(struct transport *transport)
{
    struct descriptors *own = (struct descriptors *)transport;
    if (own->write_fd < 0)
        return -EBADF;
    if (own->is_socket)
        return aw_shutdown(own->write_fd, SHUT_WR);
    if (own->write_fd == own->read_fd)
        return -ENOTSOCK;
    int fd = own->write_fd;
    own->write_fd = -1;
    return aw_close(fd);
}

static int descriptor(const struct transport *transport)
{
    const struct descriptors *own = (const struct descriptors *)transport;
    return own->read_fd >= 0 ? own->read_fd : own->write_fd;
}

static void close_both(struct transport *transport)
{
    struct descriptors *own = (struct descriptors *)transport;
    if (own->read_fd >= 0)
        (void)aw_close(own->read_fd);
    if (own->write_fd >= 0 && own->write_fd != own->read_fd)
        (void)aw_close(own->write_fd);
    free(own);
}

static const struct transport_type type = {
    .receive = receive,
    .send = send_bytes,
    .end = end,
    .descriptor = descriptor,
    .close = close_both,
};

/* 1, 0, or -EBADF. */
static int is_socket(int fd)
{
    int kind;
    socklen_t length = sizeof kind;
    int result = system_get_option(fd, SOL_SOCKET, SO_TYPE, &kind, &length);
    if (result == -EBADF)
        return result;
    return result >= 0;
}

int transport_open_descriptors(int read_fd, int write_fd, struct transport **ret_transport)
{
    int read_kind = read_fd >= 0 ? is_socket(read_fd) : 0;
    int write_kind = write_fd >= 0 ? is_socket(write_fd) : 0;
    if ((read_fd < 0 && write_fd < 0) || read_kind < 0 || write_kind < 0)
        return -EBADF;
    bool socket = read_fd == write_fd && read_kind == 1;
    if (!socket) {
        int result = pipe_signal_hold();
        if (result < 0)
            return result;
    }
    struct descriptors *own = malloc(sizeof *own);
    if (own == NULL)
        return -ENOMEM;
    *own = (struct descriptors){
        .transport.type = &type,
        .read_fd = read_fd,
        .write_fd = write_fd,
        .is_socket = socket,
    };
    *ret_transport = &own->transport;
    return 0;
}
