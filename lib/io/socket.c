/* socket.c - streams of bytes on a connected socket, and accepting one; see await/socket.h.
 *
 * Listening is in socket_listen.c, connecting in socket_connect.c. */
#include <await/socket.h>

#include "io/source.h"
#include "ring/loan.h"
#include "ring/request.h"
#include "ring/system.h"

#include <errno.h>

/* Peers that went away before they were accepted, in a row, after which the caller hears of it. */
#define ACCEPT_ATTEMPTS_MAX 64

/* accept(2) reports errors of the connection it took off the queue; the listener is sound. */
static bool connection_failed(int error)
{
    switch (-error) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case EINTR:
        return true;
    default:
        return false;
    }
}

int aw_accept(int listener)
{
    int result = -ECONNABORTED;
    for (int attempt = 0; attempt < ACCEPT_ATTEMPTS_MAX; attempt++) {
        result = ring_perform(&(struct ring_request){
            .kind = RING_ACCEPT,
            .fd = listener,
            .flags = SOCK_CLOEXEC,
        });
        if (result >= 0 || !connection_failed(result))
            break;
    }
    return result;
}

int aw_receive(int fd, void *buffer, size_t size)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_RECEIVE,
        .fd = fd,
        .buffer = buffer,
        .size = size,
    });
}

int aw_send(int fd, const void *buffer, size_t size)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_SEND,
        .fd = fd,
        .buffer = source_buffer(buffer),
        .size = size,
        .flags = MSG_NOSIGNAL,
    });
}

int aw_send_all(int fd, const void *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        int result = aw_send(fd, (const char *)buffer + done, size - done);
        if (result < 0)
            return result;
        if (result == 0)
            return -EPIPE;
        done += (size_t)result;
    }
    return 0;
}

int aw_receive_loan(int fd, struct aw_loan *ret_loan)
{
    struct aw_loan loan = {0};
    int result = ring_receive_loan(fd, &loan.data, &loan.buffer);
    if (result > 0)
        *ret_loan = loan;
    return result;
}

void aw_receive_done(struct aw_loan *loan)
{
    if (loan->data == NULL)
        return;
    loan->data = NULL;
    ring_loan_return(loan->buffer);
}

int aw_poll(int fd, unsigned events)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_POLL,
        .fd = fd,
        .flags = events,
    });
}

int aw_shutdown(int fd, int how)
{
    return ring_perform(&(struct ring_request){
        .kind = RING_SHUTDOWN,
        .fd = fd,
        .flags = (uint32_t)how,
    });
}

int aw_peer_groups(int fd, gid_t *groups, int count)
{
    socklen_t length = (socklen_t)((size_t)count * sizeof *groups);
    int result = system_get_option(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length);
    if (result == -ENODATA)
        return -ENOTCONN;
    return result < 0 ? result : (int)(length / sizeof *groups);
}

int aw_peer_of(int fd, struct aw_peer *ret_peer)
{
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    int result = system_get_option(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    if (result < 0)
        return result;
    /* No error but "nobody" is what a socket without such a peer gives. (The pid cannot tell: it
     * is 0 for a peer in another pid namespace.) */
    if (length != sizeof credentials || credentials.uid == (uid_t)-1)
        return -ENOTCONN;
    *ret_peer = (struct aw_peer){credentials.pid, credentials.uid, credentials.gid};
    return 0;
}
