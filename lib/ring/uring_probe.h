/* uring_probe.h - why io_uring is not to be had here, and what to do about it. */
#ifndef RING_URING_PROBE_H
#define RING_URING_PROBE_H

#include <await/error.h>

struct io_uring;

/* Whether the kernel knows every operation we use: 0, or -ENOSYS with the missing one named. */
AW_MUST_CHECK int uring_probe(struct io_uring *ring, struct aw_error *reterr);

/* Fills *reterr with the cause and the remedy of a failed call; returns `number`. */
int uring_explain(int number, const char *call, struct aw_error *reterr);

#endif
