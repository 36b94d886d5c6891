/* transfer.h - what reading and writing have in common, be it a file or a socket. */
#ifndef IO_TRANSFER_H
#define IO_TRANSFER_H

#include "ring/request.h"

/* One read, write, receive or send, asked again when the kernel gave it up without cause: a worker
 * thread of the kernel was disturbed (EINTR), or XFS gave EAGAIN on an ordinary file. An interrupted
 * task leaves at once: the ring says -ECANCELED or -ETIME. Sizes above INT32_MAX are cut, since
 * the result is an int. */
AW_MUST_CHECK AW_SUSPENDS int transfer(struct ring_request request);

/* The ring's request has one pointer for both directions: for a buffer the kernel only reads from. */
void *transfer_source(const void *buffer);

#endif
