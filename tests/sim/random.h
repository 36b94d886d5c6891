/* random.h - a small seeded generator (splitmix64): the same seed, the same run. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In [0, bound); 0 for a bound of 0. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)random_next(random) * bound) >> 64);
}

static inline bool random_chance(struct random *random, uint32_t ppm)
{
    return random_below(random, 1000000) < ppm;
}

/* In [1, most], small numbers as likely as large ones by magnitude. */
static inline uint64_t random_magnitude(struct random *random, unsigned bits)
{
    uint64_t top = UINT64_C(1) << (random_below(random, bits) + 1);
    return 1 + random_below(random, top);
}

#endif
