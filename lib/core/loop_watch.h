/* loop_watch.h - measures the turns of a loop and names the task that ran longest in the longest.
 *
 * Which task ran for how long is told by `ticks`, a counter that is cheap to read and only compared
 * with itself inside one turn; how long a turn took, by the clock. */
#ifndef CORE_LOOP_WATCH_H
#define CORE_LOOP_WATCH_H

#include <await/loop.h>

struct aw_task;

struct loop_watch {
    uint64_t (*ticks)(void); /* NULL: not watched */
    uint64_t resumed_ticks;  /* when the running task got its turn */
    uint64_t longest_ticks;  /* of a task in this turn, */
    char longest_task[AW_LOOP_TASK_SIZE]; /* and which; copied, it may end before the turn does */
    struct aw_loop_statistics statistics;
};

void loop_watch_start(struct loop_watch *watch, uint64_t (*ticks)(void));
void loop_watch_turn_begin(struct loop_watch *watch);
/* The task is about to be switched away from. */
void loop_watch_leave(struct loop_watch *watch, const struct aw_task *task);
void loop_watch_turn_end(struct loop_watch *watch, uint64_t took_ns);

#endif
