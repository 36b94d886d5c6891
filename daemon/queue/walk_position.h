/* walk_position.h - how far a walk over the jobs has come: the CURSOR of JOBS.
 *
 * Without a filter jobs are walked by id, and the cursor is the last one's id. With a QUEUE, TARGET
 * or STATE the walk goes state by state along the index of each; then the cursor is
 * "state.lane.key.id". All 0 is the start (and, in a reply, the end). */
#ifndef QUEUE_WALK_POSITION_H
#define QUEUE_WALK_POSITION_H

#include "protocol/argument.h"

#include <await/base.h>

struct walk_position {
    uint32_t step; /* 0: by id; else enum job_state + 1 */
    uint32_t lane;
    uint64_t key;
    uint64_t id;
};

#define WALK_POSITION_SIZE 80

/* False: not a position. */
AW_MUST_CHECK bool walk_position_parse(struct argument text, struct walk_position *ret_position);
void walk_position_print(const struct walk_position *position, char text[WALK_POSITION_SIZE]);

#endif
