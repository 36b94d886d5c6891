/* loop.c - await/loop.h: the watch of this thread's scheduler, with the counter of the seam. */
#include "core/scheduler.h"
#include "ring/backend.h"

#include <await/loop.h>

#include <errno.h>

int aw_loop_watch(void)
{
    struct scheduler *scheduler = scheduler_here();
    if (!scheduler)
        return -EPERM;
    if (!scheduler->watch.ticks)
        loop_watch_start(&scheduler->watch, backend_ticks);
    return 0;
}

void aw_loop_statistics(struct aw_loop_statistics *ret_statistics)
{
    const struct scheduler *scheduler = scheduler_here();
    *ret_statistics =
        scheduler ? scheduler->watch.statistics : (struct aw_loop_statistics){0};
}
