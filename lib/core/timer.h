/* timer.h - the heap of deadlines: one timer for each suspended task that has one.
 *
 * A 4-ary heap. The deadlines stand in it beside the pointers: a timer is part of its task, and
 * looking into the tasks of four children would miss the cache four times on each level. Room is
 * reserved when a task is made (timers_reserve), so that arming a timer cannot fail at a moment
 * when nothing could be done about it. */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include <await/base.h>

struct timer {
    uint32_t position; /* in the heap, plus 1; 0: not armed */
};

struct timer_item {
    uint64_t deadline_ns;
    struct timer *timer;
};

struct timer_heap {
    struct timer_item *items;
    uint32_t count;
    uint32_t capacity;
};

AW_MUST_CHECK int timers_reserve(struct timer_heap *heap, uint32_t count);
void timers_free(struct timer_heap *heap);
void timer_arm(struct timer_heap *heap, struct timer *timer, uint64_t deadline_ns);
void timer_disarm(struct timer_heap *heap, struct timer *timer);

/* The nearest deadline, UINT64_MAX when none is armed. */
uint64_t timers_next(const struct timer_heap *heap);

/* Takes out the first timer whose deadline is not after now_ns, or gives NULL. */
struct timer *timers_pop_expired(struct timer_heap *heap, uint64_t now_ns);

#endif
