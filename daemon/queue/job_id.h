/* job_id.h - ids of jobs: 63 bits, time-ordered, unique across daemons with different node numbers.
 *
 *   42 bits milliseconds since 2020-01-01   |   10 bits node   |   11 bits sequence
 *
 * (until the year 2159; 2,048 ids a millisecond, after which the generator borrows from the next
 * one.) An id is never given twice, also when the clock steps back or the daemon restarts: time
 * never runs backwards inside the generator, and the store keeps a ceiling above every id given so
 * far. */
#ifndef QUEUE_JOB_ID_H
#define QUEUE_JOB_ID_H

#include <stdint.h>

#define JOB_ID_NODE_MAX 1023u

struct job_id_generator {
    uint64_t last_ms;  /* since the epoch of ids */
    uint32_t sequence; /* the next one inside last_ms */
    uint32_t node;
};

/* `floor_id`: ids must lie above it (0: a new store). */
void job_id_open(struct job_id_generator *generator, uint32_t node, uint64_t floor_id);

uint64_t job_id_next(struct job_id_generator *generator, uint64_t wall_ms);

/* When the id was given, in ms since 1970. */
uint64_t job_id_time_ms(uint64_t id);

/* The largest id that can be given at that time. */
uint64_t job_id_ceiling(uint64_t wall_ms);

#endif
