/* walk_position.c - see walk_position.h. */
#include "queue/walk_position.h"

#include "protocol/number.h"
#include "queue/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool walk_position_parse(struct argument text, struct walk_position *ret_position)
{
    uint64_t numbers[4];
    static const uint64_t limits[4] = {JOB_STATES, UINT32_MAX, INT64_MAX, INT64_MAX};
    struct walk_position position = {0};
    if (number_parse_unsigned(text.data, text.size, 0, INT64_MAX, &position.id) == 0) {
        *ret_position = position;
        return true;
    }
    const char *at = text.data;
    const char *end = text.data + text.size;
    for (int i = 0; i < 4; i++) {
        const char *dot = i < 3 ? memchr(at, '.', (size_t)(end - at)) : end;
        if (!dot ||
            number_parse_unsigned(at, (size_t)(dot - at), i == 0, limits[i], &numbers[i]) < 0)
            return false;
        at = dot < end ? dot + 1 : end;
    }
    *ret_position = (struct walk_position){.step = (uint32_t)numbers[0],
                                           .lane = (uint32_t)numbers[1],
                                           .key = numbers[2],
                                           .id = numbers[3]};
    return true;
}

void walk_position_print(const struct walk_position *position, char text[WALK_POSITION_SIZE])
{
    if (position->step == 0)
        (void)snprintf(text, WALK_POSITION_SIZE, "%" PRIu64, position->id);
    else
        (void)snprintf(text, WALK_POSITION_SIZE, "%u.%u.%" PRIu64 ".%" PRIu64, position->step,
                       position->lane, position->key, position->id);
}
