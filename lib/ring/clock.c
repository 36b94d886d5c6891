/* clock.c - time and randomness of the real world, and the public names for both; await/clock.h. */
#include "core/scheduler.h"
#include "ring/backend.h"

#include <await/clock.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t backend_monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * AW_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t backend_ticks(void)
{
#if defined __x86_64__
    return __builtin_ia32_rdtsc();
#elif defined __aarch64__
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return backend_monotonic_ns();
#endif
}

uint64_t backend_wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / AW_NS_PER_MS;
}

void backend_random(void *buffer, size_t size_bytes)
{
    char *next = buffer;
    while (size_bytes > 0) {
        ssize_t got = getrandom(next, size_bytes, 0);
        if (got < 0) {
            /* the source never runs dry; a filter that forbids it would loop us here */
            core_assert(errno == EINTR);
            continue;
        }
        next += got;
        size_bytes -= (size_t)got;
    }
}
