/* cron_next.c - see cron_next.h. */
#include "cron/cron_next.h"

#include "cron/calendar.h"

#define TIME_MAX_S INT64_C(253402300799)  /* the end of the year 9999 */
#define OFFSET_MAX_S (27 * 3600)          /* more than any zone is ahead of UTC */

/* The first member of the set at or above `from`, or -1. */
static int next_member(uint64_t set, int from)
{
    set &= UINT64_MAX << from;
    return set ? __builtin_ctzll(set) : -1;
}

/* The first matching second of a day at or after `second`, or -1. */
static int next_of_day(const struct cron_expression *expression, int second)
{
    const uint64_t *sets = expression->sets;
    int hour_from = second / 3600;
    int minute_from = second / 60 % 60;
    int hour = next_member(sets[CRON_HOUR], hour_from);
    for (; hour >= 0; hour = next_member(sets[CRON_HOUR], hour + 1)) {
        bool same_hour = hour == hour_from;
        int minute = next_member(sets[CRON_MINUTE], same_hour ? minute_from : 0);
        for (; minute >= 0; minute = next_member(sets[CRON_MINUTE], minute + 1)) {
            bool same_minute = same_hour && minute == minute_from;
            int found = next_member(sets[CRON_SECOND], same_minute ? second % 60 : 0);
            if (found >= 0)
                return hour * 3600 + minute * 60 + found;
        }
    }
    return -1;
}

static bool day_matches(const struct cron_expression *expression, int64_t day,
                        struct calendar_date date)
{
    bool of_month = (expression->sets[CRON_DAY] >> date.day & 1) ||
                    (expression->last_day &&
                     date.day == calendar_month_days(date.year, date.month));
    bool of_week = expression->sets[CRON_WEEKDAY] >> calendar_weekday(day) & 1;
    if (expression->stars[CRON_DAY] || expression->stars[CRON_WEEKDAY])
        return of_month && of_week;
    return of_month || of_week;
}

bool cron_next_local(const struct cron_expression *expression, int64_t local_s, int64_t limit_s,
                     int64_t *ret_local_s)
{
    int64_t day = calendar_day_of(local_s);
    int second = (int)(local_s - day * DAY_SECONDS);
    while (day * DAY_SECONDS <= limit_s) {
        struct calendar_date date = calendar_date(day);
        if (!(expression->sets[CRON_MONTH] >> date.month & 1)) {
            day += calendar_month_days(date.year, date.month) - date.day + 1;
            second = 0;
            continue;
        }
        int found = day_matches(expression, day, date) ? next_of_day(expression, second) : -1;
        if (found >= 0) {
            *ret_local_s = day * DAY_SECONDS + found;
            return *ret_local_s <= limit_s;
        }
        day++;
        second = 0;
    }
    return false;
}

/* When the clock of the zone shows that: the first time it does, or the first instant after the gap
 * that skips it. */
static int64_t first_instant(const struct time_zone *zone, int64_t local_s)
{
    struct zone_period period;
    int64_t instant;
    time_zone_period(zone, local_s - OFFSET_MAX_S, &period);
    while ((instant = local_s - period.offset_s) >= period.end_s)
        time_zone_period(zone, period.end_s, &period);
    return instant < period.begin_s ? period.begin_s : instant;
}

/* Later local times have later instants, or (in a gap) the same one: so the first local time after
 * the present one whose instant is still to come is the next. */
static int64_t next_fixed(const struct cron_expression *expression, const struct time_zone *zone,
                          int64_t after_s)
{
    struct zone_period period;
    time_zone_period(zone, after_s, &period);
    int64_t local_s = after_s + period.offset_s + 1;
    int64_t limit_s = TIME_MAX_S + OFFSET_MAX_S;
    for (; cron_next_local(expression, local_s, limit_s, &local_s); local_s++) {
        int64_t instant = first_instant(zone, local_s);
        if (instant > after_s)
            return instant <= TIME_MAX_S ? instant : 0;
    }
    return 0;
}

static int64_t next_running_through(const struct cron_expression *expression,
                                    const struct time_zone *zone, int64_t after_s)
{
    int64_t from_s = after_s + 1;
    while (from_s <= TIME_MAX_S) {
        struct zone_period period;
        int64_t local_s;
        time_zone_period(zone, from_s, &period);
        int64_t last_s = period.end_s <= TIME_MAX_S ? period.end_s - 1 : TIME_MAX_S;
        if (cron_next_local(expression, from_s + period.offset_s, last_s + period.offset_s,
                            &local_s))
            return local_s - period.offset_s;
        from_s = period.end_s;
    }
    return 0;
}

uint64_t cron_next(const struct cron_expression *expression, const struct time_zone *zone,
                   uint64_t after_ms)
{
    if (after_ms >= (uint64_t)TIME_MAX_S * 1000)
        return 0;
    if (expression->every_ms > 0) {
        uint64_t next_ms = after_ms + expression->every_ms;
        return next_ms <= (uint64_t)TIME_MAX_S * 1000 ? next_ms : 0;
    }
    int64_t after_s = (int64_t)(after_ms / 1000);
    int64_t next_s = cron_expression_runs_through(expression)
                         ? next_running_through(expression, zone, after_s)
                         : next_fixed(expression, zone, after_s);
    return next_s > 0 ? (uint64_t)next_s * 1000 : 0;
}
