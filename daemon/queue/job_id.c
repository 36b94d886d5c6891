/* job_id.c - see job_id.h. */
#include "queue/job_id.h"

#define EPOCH_MS UINT64_C(1577836800000) /* 2020-01-01T00:00:00Z */
#define NODE_BITS 10
#define SEQUENCE_BITS 11
#define TIME_SHIFT (NODE_BITS + SEQUENCE_BITS)
#define SEQUENCE_COUNT (1u << SEQUENCE_BITS)

void job_id_open(struct job_id_generator *generator, uint32_t node, uint64_t floor_id)
{
    generator->node = node & JOB_ID_NODE_MAX;
    generator->last_ms = floor_id ? (floor_id >> TIME_SHIFT) + 1 : 0;
    generator->sequence = 0;
}

uint64_t job_id_next(struct job_id_generator *generator, uint64_t wall_ms)
{
    uint64_t now = wall_ms > EPOCH_MS ? wall_ms - EPOCH_MS : 0;
    if (now > generator->last_ms) {
        generator->last_ms = now;
        generator->sequence = 0;
    } else if (generator->sequence == SEQUENCE_COUNT) {
        generator->last_ms++;
        generator->sequence = 0;
    }
    return (generator->last_ms << TIME_SHIFT) | ((uint64_t)generator->node << SEQUENCE_BITS) |
           generator->sequence++;
}

uint64_t job_id_time_ms(uint64_t id)
{
    return (id >> TIME_SHIFT) + EPOCH_MS;
}

uint64_t job_id_ceiling(uint64_t wall_ms)
{
    uint64_t ms = wall_ms > EPOCH_MS ? wall_ms - EPOCH_MS : 0;
    return (ms << TIME_SHIFT) | ((UINT64_C(1) << TIME_SHIFT) - 1);
}
