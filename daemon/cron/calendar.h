/* calendar.h - the Gregorian calendar in numbers: days and seconds since 1970-01-01, before it
 * negative. Seconds may be of any clock: UTC, or the local one of a zone. */
#ifndef CRON_CALENDAR_H
#define CRON_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_SECONDS 86400

struct calendar_date {
    int64_t year;
    int month; /* 1 ... 12 */
    int day;   /* 1 ... 31 */
};

int64_t calendar_days(int64_t year, int month, int day);
struct calendar_date calendar_date(int64_t days);
int calendar_weekday(int64_t days); /* 0 is Sunday */
int calendar_month_days(int64_t year, int month);
bool calendar_is_leap(int64_t year);

/* The day those seconds are in. */
int64_t calendar_day_of(int64_t seconds);

#endif
