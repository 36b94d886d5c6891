/* uring_request.c - see uring_request.h. Sizes above INT32_MAX are cut: a read or write may be
 * short. */
#include "ring/uring_request.h"

#include "core/scheduler.h"
#include "ring/loan.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

static unsigned cut(size_t size)
{
    return size > 0x7ffff000u ? 0x7ffff000u : (unsigned)size;
}

static void prepare_path(struct io_uring_sqe *entry, const struct ring_request *request)
{
    switch (request->kind) {
    case RING_OPEN:
        io_uring_prep_openat(entry, AT_FDCWD, request->path, (int)request->flags, request->mode);
        break;
    case RING_STAT:
        io_uring_prep_statx(entry, request->path ? AT_FDCWD : request->fd,
                            request->path ? request->path : "",
                            (int)request->flags | (request->path ? 0 : AT_EMPTY_PATH),
                            request->mode, request->buffer);
        break;
    case RING_RENAME:
        io_uring_prep_renameat(entry, AT_FDCWD, request->path, AT_FDCWD, request->path2, 0);
        break;
    case RING_UNLINK:
        io_uring_prep_unlinkat(entry, AT_FDCWD, request->path, (int)request->flags);
        break;
    case RING_MKDIR:
        io_uring_prep_mkdirat(entry, AT_FDCWD, request->path, request->mode);
        break;
    default:
        core_bug(__FILE__, __LINE__, "unknown kind of ring request");
    }
}

static void prepare_socket(struct io_uring_sqe *entry, const struct ring_request *request)
{
    switch (request->kind) {
    case RING_CONNECT:
        io_uring_prep_connect(entry, request->fd, request->buffer, (socklen_t)request->size);
        break;
    case RING_ACCEPT:
        io_uring_prep_accept(entry, request->fd, NULL, NULL, (int)request->flags);
        break;
    case RING_RECEIVE:
        io_uring_prep_recv(entry, request->fd, request->buffer, cut(request->size),
                           (int)request->flags);
        break;
    case RING_RECEIVE_LOAN:
        io_uring_prep_recv(entry, request->fd, NULL, RING_LOAN_SIZE_BYTES, 0);
        /* whoever borrows has mostly taken all there was: a first look would find nothing */
        entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
        entry->flags |= IOSQE_BUFFER_SELECT;
        entry->buf_group = URING_LOAN_GROUP;
        break;
    case RING_SEND:
        io_uring_prep_send(entry, request->fd, request->buffer, cut(request->size),
                           (int)request->flags | MSG_NOSIGNAL);
        break;
    case RING_SEND_MESSAGE:
        io_uring_prep_sendmsg(entry, request->fd, request->buffer, request->flags | MSG_NOSIGNAL);
        break;
    case RING_RECEIVE_MESSAGE:
        io_uring_prep_recvmsg(entry, request->fd, request->buffer, request->flags);
        break;
    case RING_SHUTDOWN:
        io_uring_prep_shutdown(entry, request->fd, (int)request->flags);
        break;
    default:
        prepare_path(entry, request);
    }
}

void uring_prepare(struct io_uring_sqe *entry, const struct ring_request *request)
{
    switch (request->kind) {
    case RING_NOP:
        io_uring_prep_nop(entry);
        break;
    case RING_READ:
        io_uring_prep_read(entry, request->fd, request->buffer, cut(request->size),
                           request->offset);
        break;
    case RING_WRITE:
        io_uring_prep_write(entry, request->fd, request->buffer, cut(request->size),
                            request->offset);
        entry->rw_flags = (int)request->flags;
        break;
    case RING_FSYNC:
        io_uring_prep_fsync(entry, request->fd,
                            request->flags & RING_FSYNC_DATA_ONLY ? IORING_FSYNC_DATASYNC : 0);
        break;
    case RING_FALLOCATE:
        /* set by hand: the types of the parameters differ between versions of liburing */
        io_uring_prep_fallocate(entry, request->fd, (int)request->flags, 0, 0);
        entry->off = request->offset;
        entry->addr = request->length;
        break;
    case RING_CLOSE:
        io_uring_prep_close(entry, request->fd);
        break;
    case RING_POLL:
        io_uring_prep_poll_add(entry, request->fd, request->flags);
        break;
    default:
        prepare_socket(entry, request);
    }
}
