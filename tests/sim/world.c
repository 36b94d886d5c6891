/* world.c - see world.h. */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct world *world;

static void mix(uint64_t number)
{
    world->trace = (world->trace ^ number) * UINT64_C(0x9fb21c651e98df25);
    world->trace ^= world->trace >> 29;
}

void world_trace(const char *what, uint64_t a, uint64_t b)
{
    for (; *what; what++)
        mix((unsigned char)*what);
    mix(a);
    mix(b);
    mix(world->now_ns);
}

void world_trace_bytes(const void *data, size_t size)
{
    const char *bytes = data;
    mix(size);
    while (size > 0) {
        uint64_t number = 0;
        size_t part = size < sizeof number ? size : sizeof number;
        memcpy(&number, bytes, part);
        mix(number);
        bytes += part;
        size -= part;
    }
}

bool world_fault(uint32_t ppm)
{
    if (world->calm || !random_chance(&world->random, ppm))
        return false;
    world->faults++;
    world->statistics.faults++;
    return true;
}

void world_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(world->failure, sizeof world->failure, format, arguments);
    va_end(arguments);
    _exit(LIFE_BROKEN);
}

void world_recovered(void)
{
    world->disk_lied = false;
}
