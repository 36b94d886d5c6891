/* uring_request.h - one ring_request as a submission queue entry. */
#ifndef RING_URING_REQUEST_H
#define RING_URING_REQUEST_H

#include "ring/request.h"

#define URING_LOAN_GROUP 1u

struct io_uring_sqe;

void uring_prepare(struct io_uring_sqe *entry, const struct ring_request *request);

#endif
