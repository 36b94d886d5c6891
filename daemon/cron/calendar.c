/* calendar.c - see calendar.h. Years are counted from March, so that the leap day comes last. */
#include "cron/calendar.h"

#define ERA_YEARS 400
#define ERA_DAYS 146097   /* in 400 years */
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t divide_down(int64_t number, int64_t divisor)
{
    int64_t quotient = number / divisor;
    return number % divisor < 0 ? quotient - 1 : quotient;
}

bool calendar_is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int calendar_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && calendar_is_leap(year) ? 29 : days[month - 1];
}

int64_t calendar_days(int64_t year, int month, int day)
{
    int64_t march_year = month > 2 ? year : year - 1;
    int64_t era = divide_down(march_year, ERA_YEARS);
    int64_t year_of_era = march_year - era * ERA_YEARS;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

struct calendar_date calendar_date(int64_t days)
{
    int64_t shifted = days + EPOCH_DAYS;
    int64_t era = divide_down(shifted, ERA_DAYS);
    int64_t day_of_era = shifted - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int march_month = (int)((5 * day_of_year + 2) / 153);
    int month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (struct calendar_date){
        .year = year_of_era + era * ERA_YEARS + (month <= 2 ? 1 : 0),
        .month = month,
        .day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
    };
}

int calendar_weekday(int64_t days)
{
    return (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

int64_t calendar_day_of(int64_t seconds)
{
    return divide_down(seconds, DAY_SECONDS);
}
