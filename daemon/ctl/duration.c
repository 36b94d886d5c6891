/* duration.c - see duration.h. */
#include "ctl/duration.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint64_t size_ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

#define UNIT_COUNT (sizeof units / sizeof units[0])

static const char *take_digits(const char *at, uint64_t *ret_number)
{
    uint64_t number = 0;
    while (*at >= '0' && *at <= '9') {
        if (number > DURATION_MAX_MS)
            return NULL;
        number = number * 10 + (uint64_t)(*at++ - '0');
    }
    *ret_number = number;
    return at;
}

/* ".25" as thousandths; finer digits are read and dropped. */
static const char *take_fraction(const char *at, uint64_t *ret_thousandths)
{
    uint64_t scale = 100;
    *ret_thousandths = 0;
    if (*at != '.')
        return at;
    if (at[1] < '0' || at[1] > '9')
        return NULL;
    for (at++; *at >= '0' && *at <= '9'; at++) {
        *ret_thousandths += (uint64_t)(*at - '0') * scale;
        scale /= 10;
    }
    return at;
}

/* The unit that starts at `at`, the longest name first ("ms" before "m"). */
static const char *take_unit(const char *at, uint64_t *ret_size_ms)
{
    for (size_t index = 0; index < UNIT_COUNT; index++) {
        size_t length = strlen(units[index].name);
        char next = at[length > strlen(at) ? strlen(at) : length];
        if (strncmp(at, units[index].name, length) == 0 &&
            (next == '\0' || (next >= '0' && next <= '9'))) {
            *ret_size_ms = units[index].size_ms;
            return at + length;
        }
    }
    return NULL;
}

bool duration_parse(const char *text, uint64_t *ret_ms)
{
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    uint64_t total_ms = 0;
    const char *at = text;
    do {
        uint64_t number, thousandths, size_ms;
        const char *start = at;
        if ((at = take_digits(at, &number)) == NULL || at == start)
            return false;
        if ((at = take_fraction(at, &thousandths)) == NULL ||
            (at = take_unit(at, &size_ms)) == NULL)
            return false;
        if (number > DURATION_MAX_MS / size_ms)
            return false;
        total_ms += number * size_ms + thousandths * size_ms / 1000;
        if (total_ms > DURATION_MAX_MS)
            return false;
    } while (*at != '\0');
    *ret_ms = total_ms;
    return true;
}

/* "", "Z", "+02:00", "-0530": the offset from UTC. */
static bool parse_zone(const char *text, bool *ret_local, long *ret_offset_s)
{
    *ret_local = *text == '\0';
    *ret_offset_s = 0;
    if (*ret_local || strcmp(text, "Z") == 0)
        return true;
    int hours, minutes, length = 0;
    if (*text != '+' && *text != '-')
        return false;
    if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2)
        if (sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &length) != 2)
            return false;
    if (text[1 + length] != '\0' || hours > 15 || minutes > 59 || hours < 0 || minutes < 0)
        return false;
    *ret_offset_s = (hours * 3600L + minutes * 60L) * (*text == '-' ? -1 : 1);
    return true;
}

static bool parse_clock(const char *text, struct tm *moment, const char **ret_rest)
{
    const char *rest = strptime(text, "%H:%M", moment);
    if (rest == NULL)
        return false;
    moment->tm_sec = 0;
    if (*rest == ':' && (rest = strptime(rest, ":%S", moment)) == NULL)
        return false;
    *ret_rest = rest;
    return true;
}

/* The next time the wall clock shows `text`. */
static bool parse_time_of_day(const char *text, time_t now, uint64_t *ret_unix_ms)
{
    struct tm moment;
    const char *rest;
    if (localtime_r(&now, &moment) == NULL || !parse_clock(text, &moment, &rest) || *rest != '\0')
        return false;
    moment.tm_isdst = -1;
    struct tm tomorrow = moment;
    time_t when = mktime(&moment);
    if (when <= now) {
        tomorrow.tm_mday++;
        when = mktime(&tomorrow);
    }
    *ret_unix_ms = (uint64_t)when * 1000;
    return when > 0;
}

bool moment_parse(const char *text, time_t now, uint64_t *ret_unix_ms)
{
    size_t length = strlen(text);
    if (length > 0 && strspn(text, "0123456789") == length)
        return take_digits(text, ret_unix_ms) != NULL;
    if (length >= 5 && text[2] == ':')
        return parse_time_of_day(text, now, ret_unix_ms);

    struct tm moment = {.tm_isdst = -1};
    const char *rest = strptime(text, "%Y-%m-%d", &moment);
    if (rest == NULL || (*rest != 'T' && *rest != ' ') || !parse_clock(rest + 1, &moment, &rest))
        return false;
    bool local;
    long offset_s;
    if (!parse_zone(rest, &local, &offset_s))
        return false;
    time_t when = local ? mktime(&moment) : timegm(&moment) - offset_s;
    *ret_unix_ms = (uint64_t)when * 1000;
    return when > 0;
}

/* "3m 20s", or "3m" when nothing is left over. */
static void format_pair(char *ret_text, size_t size, uint64_t whole, const char *whole_unit,
                        uint64_t rest, const char *rest_unit)
{
    if (rest == 0)
        snprintf(ret_text, size, "%" PRIu64 "%s", whole, whole_unit);
    else
        snprintf(ret_text, size, "%" PRIu64 "%s %" PRIu64 "%s", whole, whole_unit, rest, rest_unit);
}

void duration_format(uint64_t duration_ms, char *ret_text, size_t size)
{
    uint64_t seconds = duration_ms / 1000;
    if (duration_ms == 0)
        snprintf(ret_text, size, "0");
    else if (duration_ms < 1000)
        snprintf(ret_text, size, "%" PRIu64 "ms", duration_ms);
    else if (seconds < 60 && duration_ms % 1000 != 0)
        snprintf(ret_text, size, "%" PRIu64 ".%" PRIu64 "s", seconds, duration_ms % 1000 / 100);
    else if (seconds < 60)
        snprintf(ret_text, size, "%" PRIu64 "s", seconds);
    else if (seconds < 3600)
        format_pair(ret_text, size, seconds / 60, "m", seconds % 60, "s");
    else if (seconds < 86400)
        format_pair(ret_text, size, seconds / 3600, "h", seconds / 60 % 60, "m");
    else
        format_pair(ret_text, size, seconds / 86400, "d", seconds / 3600 % 24, "h");
}
