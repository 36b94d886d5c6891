/* barrier.h - a barrier: a number of tasks wait until all of them have arrived.
 *
 * Used again after each release. A task that is interrupted while it waits leaves the barrier,
 * which then waits for another one in its place; a task that gives up for all calls
 * aw_barrier_abort. Nobody may be waiting when the memory goes away. */
#ifndef AWAIT_BARRIER_H
#define AWAIT_BARRIER_H

#include <await/base.h>
#include <await/sync.h>

struct aw_barrier { /* private */
    struct aw_wait_list waiters;
    uint32_t parties;
    uint32_t waiting;
    bool broken;
};

/* Makes a barrier for `parties` tasks, 1 to 2^24; else -EINVAL. 0. */
AW_API AW_MUST_CHECK int aw_barrier_init(struct aw_barrier *barrier, uint32_t parties);

/* Waits for the others; the last to arrive does not suspend and releases them. Returns the caller's
 * place, 0...parties-1 in order of arrival and different for each, so that one can be chosen for
 * what is to be done once. -ECANCELED, -ETIME, -EPIPE (aborted). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_barrier_wait(struct aw_barrier *barrier);

/* Gives -EPIPE to everybody who waits and to everybody who comes, until aw_barrier_reset. */
AW_API void aw_barrier_abort(struct aw_barrier *barrier);

/* Usable again after an abort; does nothing to a barrier that has not been aborted. */
AW_API void aw_barrier_reset(struct aw_barrier *barrier);

/* How many wait now. */
AW_API uint32_t aw_barrier_waiting(const struct aw_barrier *barrier);

#endif
