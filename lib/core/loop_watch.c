/* loop_watch.c - see loop_watch.h. */
#include "core/loop_watch.h"

#include "core/scheduler.h"

#include <string.h>

_Static_assert(AW_LOOP_TASK_SIZE == TASK_NAME_SIZE, "a task's name is copied whole");

void loop_watch_start(struct loop_watch *watch, uint64_t (*ticks)(void))
{
    watch->ticks = ticks;
    loop_watch_turn_begin(watch);
}

void loop_watch_turn_begin(struct loop_watch *watch)
{
    watch->longest_ticks = 0;
    watch->longest_task[0] = '\0';
    watch->resumed_ticks = watch->ticks();
}

void loop_watch_leave(struct loop_watch *watch, const struct aw_task *task)
{
    uint64_t now = watch->ticks();
    uint64_t ran = now - watch->resumed_ticks;
    watch->resumed_ticks = now;
    if (ran <= watch->longest_ticks)
        return;
    watch->longest_ticks = ran;
    memcpy(watch->longest_task, task->name, sizeof watch->longest_task);
}

void loop_watch_turn_end(struct loop_watch *watch, uint64_t took_ns)
{
    static const uint64_t limits_ns[AW_LOOP_BUCKETS - 1] = {100000, 1000000, 10000000, 100000000,
                                                            1000000000};
    struct aw_loop_statistics *statistics = &watch->statistics;
    size_t bucket = 0;
    while (bucket < AW_LOOP_BUCKETS - 1 && took_ns > limits_ns[bucket])
        bucket++;
    statistics->buckets[bucket]++;
    statistics->turns++;
    statistics->busy_ns += took_ns;
    if (took_ns <= statistics->longest_ns)
        return;
    statistics->longest_ns = took_ns;
    memcpy(statistics->longest_task, watch->longest_task, sizeof statistics->longest_task);
}
