/* lane.c - see lane.h. The window is a sorted array with room at its front: most jobs come in at
 * the end and leave at the beginning, both without moving the others. */
#include "queue/lane.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_CAPACITY 64u /* jobs */

struct lane_key lane_key_of(const struct job *job)
{
    return (struct lane_key){.priority = job->priority, .id = job->id};
}

static bool before(struct lane_key left, struct lane_key right)
{
    return left.priority != right.priority ? left.priority < right.priority : left.id < right.id;
}

bool lane_admits(const struct lane *lane, const struct job *job)
{
    return lane->complete || !before(lane->cursor, lane_key_of(job));
}

/* Makes room for one more at the end of the array. */
static bool make_room(struct lane *lane)
{
    if (lane->head + lane->count < lane->capacity)
        return true;
    if (lane->head > 0 && lane->head >= lane->capacity / 2) {
        memmove(lane->window, lane->window + lane->head, lane->count * sizeof *lane->window);
        lane->head = 0;
        return true;
    }
    uint32_t capacity = lane->capacity ? lane->capacity * 2 : 16;
    struct job **window = realloc(lane->window, capacity * sizeof *window);
    if (!window)
        return false;
    lane->window = window;
    lane->capacity = capacity;
    return true;
}

/* Where the key stands or would stand, counted from head. */
static uint32_t position_of(const struct lane *lane, struct lane_key key)
{
    uint32_t low = 0;
    uint32_t high = lane->count;
    if (high > 0 && before(lane_key_of(lane->window[lane->head + high - 1]), key))
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (before(lane_key_of(lane->window[lane->head + middle]), key))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* An empty window starts at its front again; a large one is given back, since there may be
 * thousands of lanes. */
static void shrink(struct lane *lane)
{
    if (lane->count > 0)
        return;
    lane->head = 0;
    if (lane->capacity <= KEPT_CAPACITY)
        return;
    free(lane->window);
    lane->window = NULL;
    lane->capacity = 0;
}

/* Whether the jobs before the position are moved, not those behind it. */
static bool moves_front(const struct lane *lane, uint32_t position)
{
    return lane->head > 0 && position < lane->count / 2;
}

uint32_t lane_moves(const struct lane *lane, const struct job *job)
{
    uint32_t position = position_of(lane, lane_key_of(job));
    return moves_front(lane, position) ? position : lane->count - position;
}

bool lane_push(struct lane *lane, struct job *job)
{
    uint32_t position = position_of(lane, lane_key_of(job));
    if (moves_front(lane, position)) {
        lane->head--;
        struct job **first = lane->window + lane->head;
        memmove(first, first + 1, position * sizeof *first);
    } else {
        if (!make_room(lane))
            return false;
        struct job **place = lane->window + lane->head + position;
        memmove(place + 1, place, (lane->count - position) * sizeof *place);
    }
    lane->window[lane->head + position] = job;
    lane->count++;
    lane->window_bytes += job_size_bytes(job);
    return true;
}

struct job *lane_pop(struct lane *lane)
{
    if (lane->count == 0)
        return NULL;
    struct job *job = lane->window[lane->head++];
    lane->window_bytes -= job_size_bytes(job);
    lane->count--;
    shrink(lane);
    return job;
}

bool lane_remove(struct lane *lane, struct job *job)
{
    uint32_t position = position_of(lane, lane_key_of(job));
    struct job **place = lane->window + lane->head + position;
    if (position == lane->count || *place != job)
        return false;
    if (position < lane->count / 2) {
        struct job **first = lane->window + lane->head++;
        memmove(first + 1, first, position * sizeof *first);
    } else {
        memmove(place, place + 1, (lane->count - position - 1) * sizeof *place);
    }
    lane->count--;
    lane->window_bytes -= job_size_bytes(job);
    shrink(lane);
    return true;
}

struct job *lane_evict(struct lane *lane)
{
    if (lane->count == 0)
        return NULL;
    struct job *job = lane->window[lane->head + --lane->count];
    lane->window_bytes -= job_size_bytes(job);
    lane->cursor = lane_key_of(job);
    /* ids are positive, so there is always a key just before */
    lane->cursor.id--;
    lane->complete = false;
    return job;
}

uint32_t lane_next_priority(const struct lane *lane, uint32_t position)
{
    struct lane_key last = {.priority = lane->window[lane->head + position]->priority,
                            .id = UINT64_MAX};
    return position_of(lane, last);
}

bool lane_wants_refill(const struct lane *lane)
{
    return !lane->complete && !lane->reading && lane->count < LANE_WINDOW_LOW;
}
