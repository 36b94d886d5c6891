/* loop.h - how the loop of this thread is doing: how long its turns take, and which task held it up
 * longest.
 *
 * A task that computes for long without suspending stalls every other one. While the loop is
 * watched each switch of tasks reads the processor's time-stamp counter (a few ns), each turn the
 * clock; it is not watched unless asked for. */
#ifndef AWAIT_LOOP_H
#define AWAIT_LOOP_H

#include <await/base.h>

#define AW_LOOP_BUCKETS 6
#define AW_LOOP_TASK_SIZE 32

struct aw_loop_statistics {
    uint64_t turns;   /* in which tasks ran */
    uint64_t busy_ns; /* all of them together; waiting for the kernel is not in it */
    /* How many of them took at most 100 us, 1 ms, 10 ms, 100 ms, 1 s, and longer: each turn counts
     * in one. */
    uint64_t buckets[AW_LOOP_BUCKETS];
    uint64_t longest_ns; /* the longest turn */
    char longest_task[AW_LOOP_TASK_SIZE]; /* what ran longest in it without suspending */
};

/* Watches this thread's loop from now on. -EPERM outside aw_run. */
AW_API AW_MUST_CHECK int aw_loop_watch(void);

/* What was seen since; all 0 when it is not watched. */
AW_API void aw_loop_statistics(struct aw_loop_statistics *ret_statistics);

#endif
