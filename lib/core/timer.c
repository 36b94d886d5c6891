/* timer.c - see timer.h. */
#include "core/timer.h"

#include <errno.h>
#include <stdlib.h>

int timers_reserve(struct timer_heap *heap, uint32_t count)
{
    if (count <= heap->capacity)
        return 0;
    uint32_t capacity = heap->capacity ? heap->capacity : 64;
    while (capacity < count)
        capacity *= 2;
    struct timer_item *items = realloc(heap->items, capacity * sizeof *items);
    if (!items)
        return -ENOMEM;
    heap->items = items;
    heap->capacity = capacity;
    return 0;
}

void timers_free(struct timer_heap *heap)
{
    free(heap->items);
    *heap = (struct timer_heap){0};
}

static void place(struct timer_heap *heap, uint32_t index, struct timer_item item)
{
    heap->items[index] = item;
    item.timer->position = index + 1;
}

static void sift_up(struct timer_heap *heap, uint32_t index, struct timer_item item)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 4;
        if (heap->items[parent].deadline_ns <= item.deadline_ns)
            break;
        place(heap, index, heap->items[parent]);
        index = parent;
    }
    place(heap, index, item);
}

static void sift_down(struct timer_heap *heap, uint32_t index, struct timer_item item)
{
    for (;;) {
        uint32_t first = index * 4 + 1;
        if (first >= heap->count)
            break;
        uint32_t last = first + 4 < heap->count ? first + 4 : heap->count;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < last; child++)
            if (heap->items[child].deadline_ns < heap->items[least].deadline_ns)
                least = child;
        if (item.deadline_ns <= heap->items[least].deadline_ns)
            break;
        place(heap, index, heap->items[least]);
        index = least;
    }
    place(heap, index, item);
}

void timer_arm(struct timer_heap *heap, struct timer *timer, uint64_t deadline_ns)
{
    timer_disarm(heap, timer);
    struct timer_item item = {.deadline_ns = deadline_ns, .timer = timer};
    sift_up(heap, heap->count++, item);
}

void timer_disarm(struct timer_heap *heap, struct timer *timer)
{
    if (timer->position == 0)
        return;
    uint32_t index = timer->position - 1;
    timer->position = 0;
    struct timer_item last = heap->items[--heap->count];
    if (last.timer == timer)
        return;
    if (index > 0 && last.deadline_ns < heap->items[(index - 1) / 4].deadline_ns)
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

uint64_t timers_next(const struct timer_heap *heap)
{
    return heap->count ? heap->items[0].deadline_ns : UINT64_MAX;
}

struct timer *timers_pop_expired(struct timer_heap *heap, uint64_t now_ns)
{
    if (heap->count == 0 || heap->items[0].deadline_ns > now_ns)
        return NULL;
    struct timer *timer = heap->items[0].timer;
    timer_disarm(heap, timer);
    return timer;
}
