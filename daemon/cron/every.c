/* every.c - see every.h. */
#include "cron/every.h"

#include <errno.h>

#define DIGITS_MAX 12

/* Milliseconds of the unit at `at`, and its length; 0: none. */
static uint64_t unit_ms(const char *at, const char *end, size_t *ret_size)
{
    *ret_size = 1;
    if (at == end)
        return 0;
    switch (*at) {
    case 'w':
        return UINT64_C(7) * 24 * 3600 * 1000;
    case 'd':
        return UINT64_C(24) * 3600 * 1000;
    case 'h':
        return UINT64_C(3600) * 1000;
    case 'm':
        if (end - at >= 2 && at[1] == 's') {
            *ret_size = 2;
            return 1;
        }
        return UINT64_C(60) * 1000;
    case 's':
        return 1000;
    default:
        return 0;
    }
}

int every_parse(const char *text, size_t size, uint64_t *ret_ms)
{
    const char *at = text;
    const char *end = text + size;
    uint64_t total_ms = 0;
    while (at < end) {
        uint64_t number = 0;
        const char *digits = at;
        while (at < end && *at >= '0' && *at <= '9' && at - digits < DIGITS_MAX)
            number = number * 10 + (uint64_t)(*at++ - '0');
        size_t unit_size;
        uint64_t unit = unit_ms(at, end, &unit_size);
        if (at == digits || unit == 0 || number > EVERY_MAX_MS / unit)
            return -EINVAL;
        total_ms += number * unit;
        if (total_ms > EVERY_MAX_MS)
            return -EINVAL;
        at += unit_size;
    }
    if (total_ms < EVERY_MIN_MS)
        return -EINVAL;
    *ret_ms = total_ms;
    return 0;
}
