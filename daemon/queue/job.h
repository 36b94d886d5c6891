/* job.h - one job, in memory while it is in a ready window, runs, or waits for a commit.
 *
 * States:
 *   scheduled  not before its time: DELAY, AT, or a retry after a failure
 *   blocked    waits for other jobs (AFTER)
 *   ready      may run
 *   running    runs now; known in memory only: on disk the job is still ready, so that a crash
 *              simply makes it run again (at-least-once)
 *   done       finished well; its result is kept for KEEP ms
 *   dead       failed for good; kept with its reason
 *   cancelled  cancelled before it finished
 *   uncertain  whether it took effect is unknown (at-most-once)
 *
 * The numbers are stored: never change one. */
#ifndef QUEUE_JOB_H
#define QUEUE_JOB_H

#include "protocol/argument.h"
#include "protocol/buffer.h"
#include "targets/target.h"

#include <await.h>

enum job_state {
    JOB_SCHEDULED = 0,
    JOB_BLOCKED = 1,
    JOB_READY = 2,
    JOB_RUNNING = 3,
    JOB_DONE = 4,
    JOB_DEAD = 5,
    JOB_CANCELLED = 6,
    JOB_UNCERTAIN = 7,
};
#define JOB_STATES 8

const char *job_state_name(enum job_state state);
/* The state of that name (any case), or -1. */
int job_state_parse(struct argument name);
bool job_state_is_final(enum job_state state);

#endif
