/* time.c - await/clock.h on top of the seam: the same code over the real clock and a simulated one.
 */
#include "ring/backend.h"

#include <await/clock.h>

#include <string.h>

uint64_t aw_now_ns(void)
{
    return backend_monotonic_ns();
}

uint64_t aw_wall_ms(void)
{
    return backend_wall_ms();
}

uint64_t aw_after_ms(uint64_t duration_ms)
{
    uint64_t now = backend_monotonic_ns();
    if (duration_ms > (AW_NEVER - now) / AW_NS_PER_MS)
        return AW_NEVER;
    return now + duration_ms * AW_NS_PER_MS;
}

void aw_random_bytes(void *buffer, size_t size_bytes)
{
    backend_random(buffer, size_bytes);
}

uint64_t aw_random_below(uint64_t bound)
{
    /* a block at a time: jitter is asked for often and one system call serves 32 numbers */
    static _Thread_local struct {
        uint64_t numbers[32];
        unsigned left;
    } pool;
    if (pool.left == 0) {
        backend_random(pool.numbers, sizeof pool.numbers);
        pool.left = 32;
    }
    uint64_t number = pool.numbers[--pool.left];
    return bound < 2 ? 0 : (uint64_t)(((unsigned __int128)number * bound) >> 64);
}
