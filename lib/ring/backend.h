/* backend.h - the seam. Everything above lib/ring reaches the world through these functions; the
 * real ones are in uring*.c and system.c, a simulator links its own instead (tests/sim). Nothing
 * else in libawait or the daemon may do I/O, read a clock or take randomness.
 *
 * One backend a thread, made by backend_open inside aw_run. */
#ifndef RING_BACKEND_H
#define RING_BACKEND_H

#include "ring/request.h"

#include <await/error.h>

struct backend_completion {
    uint64_t tag;
    int result;
    uint32_t buffer; /* the lent buffer's number, or UINT32_MAX */
    bool more;       /* not the terminal completion: the operation goes on */
};

typedef void (*backend_deliver)(const struct backend_completion *completion);

AW_MUST_CHECK int backend_open(uint32_t operations_max, struct aw_error *reterr);
void backend_close(void);

/* Queues the request under `tag`. With `link_next` the next queued one starts only after it
 * succeeded; backend_room must have promised room for the whole chain. Never drops: a full
 * submission queue is flushed to the kernel first. 0, or negative errno when the kernel refuses
 * even that (-EBUSY, -EAGAIN: try again after a turn). */
AW_MUST_CHECK int backend_queue(const struct ring_request *request, uint64_t tag, bool link_next);
AW_MUST_CHECK int backend_room(unsigned count);

/* Asks the kernel to cancel the operation of that tag. Its own completion is swallowed inside. */
AW_MUST_CHECK int backend_cancel(uint64_t tag);

/* Submits what is queued, delivers what has completed and, if `deadline_ns` lies ahead and nothing
 * had completed, waits for the first completion or that moment. deadline_ns 0: do not wait. Returns
 * 0 or negative errno (the ring itself is broken). */
AW_MUST_CHECK int backend_turn(uint64_t deadline_ns, backend_deliver deliver);

/* The lent buffers of RING_RECEIVE_LOAN. */
const void *backend_loan_data(uint32_t buffer);
void backend_loan_return(uint32_t buffer);

uint64_t backend_monotonic_ns(void);
/* A counter of the processor that only goes up while the thread stays where it is: for comparing
 * short spans with each other. Cheaper than the clock, in no unit. */
uint64_t backend_ticks(void);
uint64_t backend_wall_ms(void);
void backend_random(void *buffer, size_t size_bytes);

#endif
