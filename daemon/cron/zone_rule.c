/* zone_rule.c - see zone_rule.h. */
#include "cron/zone_rule.h"

#include "cron/calendar.h"

#include <ctype.h>
#include <errno.h>

#define CHANGE_TIME_DEFAULT_S (2 * 3600)
#define CHANGE_HOURS_MAX 167
#define OFFSET_HOURS_MAX 24
#define YEARS_SEEN 3 /* the one before, the instant's own, the one after */

struct reader {
    const char *at;
    const char *end;
};

static bool take(struct reader *reader, char character)
{
    if (reader->at == reader->end || *reader->at != character)
        return false;
    reader->at++;
    return true;
}

/* Digits that make a number from `min` to `max`, or -1. */
static int take_number(struct reader *reader, int min, int max)
{
    int number = 0;
    int digits = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' && digits < 4) {
        number = number * 10 + (*reader->at++ - '0');
        digits++;
    }
    return digits > 0 && number >= min && number <= max ? number : -1;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct reader *reader, int hours_max, int32_t *ret_time_s)
{
    bool negative = take(reader, '-');
    if (!negative)
        (void)take(reader, '+');
    int hours = take_number(reader, 0, hours_max);
    int minutes = 0;
    int seconds = 0;
    if (hours >= 0 && take(reader, ':')) {
        minutes = take_number(reader, 0, 59);
        if (minutes >= 0 && take(reader, ':'))
            seconds = take_number(reader, 0, 59);
    }
    if (hours < 0 || minutes < 0 || seconds < 0)
        return false;
    int32_t time_s = hours * 3600 + minutes * 60 + seconds;
    *ret_time_s = negative ? -time_s : time_s;
    return true;
}

/* An abbreviation: three letters or more, or anything in <...>. */
static bool skip_name(struct reader *reader)
{
    const char *begin = reader->at;
    if (take(reader, '<')) {
        while (reader->at < reader->end && *reader->at != '>')
            reader->at++;
        return take(reader, '>');
    }
    while (reader->at < reader->end && isalpha((unsigned char)*reader->at))
        reader->at++;
    return reader->at - begin >= 3;
}

static bool take_day(struct reader *reader, struct zone_day *ret_day)
{
    struct zone_day day = {.time_s = CHANGE_TIME_DEFAULT_S};
    if (take(reader, 'M')) {
        day.kind = ZONE_DAY_OF_WEEK;
        day.month = take_number(reader, 1, 12);
        day.week = take(reader, '.') ? take_number(reader, 1, 5) : -1;
        day.weekday = take(reader, '.') ? take_number(reader, 0, 6) : -1;
    } else if (take(reader, 'J')) {
        day.kind = ZONE_DAY_JULIAN;
        day.day = take_number(reader, 1, 365);
    } else {
        day.kind = ZONE_DAY_ZERO;
        day.day = take_number(reader, 0, 365);
    }
    if (day.month < 0 || day.week < 0 || day.weekday < 0 || day.day < 0)
        return false;
    if (take(reader, '/') && !take_time(reader, CHANGE_HOURS_MAX, &day.time_s))
        return false;
    *ret_day = day;
    return true;
}

int zone_rule_parse(const char *text, size_t size, struct zone_rule *ret_rule)
{
    struct reader reader = {.at = text, .end = text + size};
    struct zone_rule rule = {0};
    int32_t west_s; /* POSIX counts offsets westwards */
    if (!skip_name(&reader) || !take_time(&reader, OFFSET_HOURS_MAX, &west_s))
        return -EINVAL;
    rule.standard_offset_s = -west_s;
    if (reader.at < reader.end) {
        rule.has_daylight = true;
        rule.daylight_offset_s = rule.standard_offset_s + 3600;
        if (!skip_name(&reader))
            return -EINVAL;
        if (reader.at < reader.end && *reader.at != ',') {
            if (!take_time(&reader, OFFSET_HOURS_MAX, &west_s))
                return -EINVAL;
            rule.daylight_offset_s = -west_s;
        }
        if (!take(&reader, ',') || !take_day(&reader, &rule.start) || !take(&reader, ',') ||
            !take_day(&reader, &rule.end) || reader.at < reader.end)
            return -EINVAL;
    }
    *ret_rule = rule;
    return 0;
}

/* --- when the rule's changes are ------------------------------------------------------- */

/* Seconds on the clock before the change. */
static int64_t change_local(const struct zone_day *day, int64_t year)
{
    int64_t days;
    if (day->kind == ZONE_DAY_OF_WEEK) {
        int64_t first = calendar_days(year, day->month, 1);
        int ahead = (day->weekday - calendar_weekday(first) + 7) % 7 + 7 * (day->week - 1);
        if (ahead >= calendar_month_days(year, day->month))
            ahead -= 7;
        days = first + ahead;
    } else {
        days = calendar_days(year, 1, 1) + day->day;
        if (day->kind == ZONE_DAY_JULIAN)
            days -= calendar_is_leap(year) && day->day >= 60 ? 0 : 1;
    }
    return days * DAY_SECONDS + day->time_s;
}

struct change {
    int64_t at_s;
    int32_t offset_s;
};

/* In order of time; of two at one instant (daylight saving all year) the later made is the one that
 * counts. */
static void insert(struct change *changes, int *count, struct change change)
{
    int at = (*count)++;
    for (; at > 0 && changes[at - 1].at_s > change.at_s; at--)
        changes[at] = changes[at - 1];
    changes[at] = change;
}

void zone_rule_period(const struct zone_rule *rule, int64_t instant_s,
                      struct zone_period *ret_period)
{
    *ret_period = (struct zone_period){INT64_MIN, INT64_MAX, rule->standard_offset_s};
    if (!rule->has_daylight)
        return;
    struct change changes[2 * YEARS_SEEN];
    int count = 0;
    int64_t year = calendar_date(calendar_day_of(instant_s + rule->standard_offset_s)).year - 1;
    for (int i = 0; i < YEARS_SEEN; i++) {
        insert(changes, &count,
               (struct change){change_local(&rule->start, year + i) - rule->standard_offset_s,
                               rule->daylight_offset_s});
        insert(changes, &count,
               (struct change){change_local(&rule->end, year + i) - rule->daylight_offset_s,
                               rule->standard_offset_s});
    }
    for (int i = 0; i < count; i++) {
        if (changes[i].at_s > instant_s) {
            ret_period->end_s = changes[i].at_s;
            return;
        }
        ret_period->begin_s = changes[i].at_s;
        ret_period->offset_s = changes[i].offset_s;
    }
}
