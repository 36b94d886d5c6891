/* clock.h - time and randomness, the only way to either above lib/ring (a simulator replaces them).
 *
 * Deadlines are points in time on the monotonic clock, in nanoseconds. AW_NEVER waits for ever. */
#ifndef AWAIT_CLOCK_H
#define AWAIT_CLOCK_H

#include <await/base.h>

#define AW_NEVER UINT64_MAX
#define AW_NS_PER_MS UINT64_C(1000000)
#define AW_NS_PER_S UINT64_C(1000000000)

/* The monotonic clock in ns (CLOCK_MONOTONIC). Works outside aw_run too. */
AW_API uint64_t aw_now_ns(void);

/* The wall clock in ms since 1970 (CLOCK_REALTIME); it can step both ways. */
AW_API uint64_t aw_wall_ms(void);

/* The deadline `duration_ms` from now; saturates at AW_NEVER. */
AW_API uint64_t aw_after_ms(uint64_t duration_ms);

/* Fills the buffer from the kernel's random source (getrandom(2)). Never fails after boot. */
AW_API void aw_random_bytes(void *buffer, size_t size_bytes);

/* Returns a random number from 0 to bound - 1; bound 0 counts as 1. Not for secrets. */
AW_API uint64_t aw_random_below(uint64_t bound);

#endif
