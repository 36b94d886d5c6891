/* test_time_zone.c - TZif files, whole and damaged, and the rule at their end. */
#include "cron/time_zone.h"
#include "cron/zone_rule.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t offset_at(const struct time_zone *zone, int64_t instant_s)
{
    struct zone_period period;
    time_zone_period(zone, instant_s, &period);
    cr_assert_leq(period.begin_s, instant_s);
    cr_assert_gt(period.end_s, instant_s);
    return period.offset_s;
}

static int check_berlin(void *argument)
{
    (void)argument;
    struct time_zone *zone = NULL;
    struct aw_error error = {0};
    cr_assert_eq(time_zone_load("Europe/Berlin", &zone, &error), 0, "%s", error.message);
    cr_expect_eq(offset_at(zone, INT64_MIN / 2), 3208); /* local mean time */
    cr_expect_eq(offset_at(zone, -1), 3600);
    cr_expect_eq(offset_at(zone, 1774745999), 3600);
    cr_expect_eq(offset_at(zone, 1774746000), 7200);
    cr_expect_eq(offset_at(zone, 1792889999), 7200);
    cr_expect_eq(offset_at(zone, 1792890000), 3600);
    cr_expect_eq(offset_at(zone, INT64_C(253402300799)), 3600);
    struct zone_period period;
    time_zone_period(zone, 1780000000, &period);
    cr_expect_eq(period.begin_s, 1774746000);
    cr_expect_eq(period.end_s, 1792890000);
    time_zone_free(zone);
    return 0;
}

Test(time_zone, berlin)
{
    cr_assert_eq(aw_run(check_berlin, NULL), 0);
}

/* Every zone's periods follow each other without a hole. */
static int check_periods(void *argument)
{
    (void)argument;
    static const char *const names[] = {"UTC",           "Europe/Berlin",       "America/New_York",
                                        "Europe/Dublin", "Australia/Lord_Howe", "Pacific/Apia",
                                        "Asia/Kolkata",  "Africa/Casablanca",   "America/Nuuk"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct time_zone *zone = NULL;
        struct aw_error error = {0};
        cr_assert_eq(time_zone_load(names[i], &zone, &error), 0, "%s", error.message);
        struct zone_period period = {.end_s = -INT64_C(5000000000)};
        while (period.end_s < INT64_C(5000000000)) {
            int64_t begin_s = period.end_s;
            time_zone_period(zone, begin_s, &period);
            cr_assert_leq(period.begin_s, begin_s, "%s", names[i]);
            cr_assert_gt(period.end_s, begin_s, "%s", names[i]);
        }
        time_zone_free(zone);
    }
    return 0;
}

Test(time_zone, periods_follow_each_other)
{
    cr_assert_eq(aw_run(check_periods, NULL), 0);
}

/* A file cut short anywhere, or with any byte changed, is refused or gives some zone; never reads
 * beyond its end (the copy is as large as the file, for the sanitizers to see). */
static int check_damage(void *argument)
{
    (void)argument;
    char *data;
    size_t size;
    struct aw_error error = {0};
    cr_assert_eq(aw_read_file(TIME_ZONE_FOLDER "/Australia/Lord_Howe", TIME_ZONE_FILE_SIZE_MAX,
                              &data, &size),
                 0);
    for (size_t length = 0; length < size; length++) {
        char *copy = malloc(length + 1);
        memcpy(copy, data, length);
        char *exact = realloc(copy, length ? length : 1);
        struct time_zone *zone = NULL;
        cr_expect_eq(time_zone_parse(exact, length, &zone, &error), -EBADMSG, "cut at %zu", length);
        free(exact);
    }
    for (size_t at = 0; at < size; at++) {
        struct time_zone *zone = NULL;
        char kept = data[at];
        data[at] = (char)(kept ^ 0x55);
        if (time_zone_parse(data, size, &zone, &error) == 0)
            (void)offset_at(zone, 1780000000);
        time_zone_free(zone);
        data[at] = kept;
    }
    free(data);
    return 0;
}

Test(time_zone, damaged_files)
{
    cr_assert_eq(aw_run(check_damage, NULL), 0);
}

/* Version 1: 32-bit times, no rule; two changes. */
static size_t make_version_1(unsigned char file[128], uint32_t leaps)
{
    static const unsigned char body[] = {
        0, 0, 0, 100, 0, 0, 0, 200,         /* times */
        1, 0,                               /* their types */
        0, 0, 0, 0, 0, 0, 0, 0, 14, 16, 1, 0, /* 0 s and 3600 s */
        'A', 0,
    };
    memset(file, 0, 128);
    memcpy(file, "TZif", 4);
    file[31] = (unsigned char)leaps;
    file[35] = 2;
    file[39] = 2;
    file[43] = 2;
    memcpy(file + 44, body, sizeof body);
    return 44 + sizeof body + leaps * 8;
}

Test(time_zone, first_version_of_the_format)
{
    unsigned char file[128];
    struct aw_error error = {0};
    struct time_zone *zone = NULL;
    size_t size = make_version_1(file, 0);
    cr_assert_eq(time_zone_parse(file, size, &zone, &error), 0, "%s", error.message);
    cr_expect_eq(offset_at(zone, 99), 0);
    cr_expect_eq(offset_at(zone, 100), 3600);
    cr_expect_eq(offset_at(zone, 199), 3600);
    cr_expect_eq(offset_at(zone, 200), 0);
    cr_expect_eq(offset_at(zone, INT64_C(10000000000)), 0);
    time_zone_free(zone);
    file[51] = 100; /* not in order */
    cr_expect_eq(time_zone_parse(file, size, &zone, &error), -EBADMSG);
    size = make_version_1(file, 1);
    cr_expect_eq(time_zone_parse(file, size, &zone, &error), -ENOTSUP);
    cr_expect(strstr(error.message, "leap seconds") != NULL);
}

/* --- rules ----------------------------------------------------------------------------- */

static struct zone_rule rule_of(const char *text)
{
    struct zone_rule rule;
    cr_assert_eq(zone_rule_parse(text, strlen(text), &rule), 0, "%s", text);
    return rule;
}

static void expect_period(const char *text, int64_t at_s, int64_t begin_s, int64_t end_s,
                          int32_t offset_s)
{
    struct zone_rule rule = rule_of(text);
    struct zone_period period;
    zone_rule_period(&rule, at_s, &period);
    cr_expect_eq(period.begin_s, begin_s, "%s begins %ld", text, period.begin_s);
    cr_expect_eq(period.end_s, end_s, "%s ends %ld", text, period.end_s);
    cr_expect_eq(period.offset_s, offset_s, "%s offset %d", text, period.offset_s);
}

Test(zone_rule, periods)
{
    expect_period("UTC0", 0, INT64_MIN, INT64_MAX, 0);
    expect_period("<+0530>-5:30", 0, INT64_MIN, INT64_MAX, 19800);
    expect_period("<-0330>3:30:15", 0, INT64_MIN, INT64_MAX, -12615);
    /* 2026: 29 March 01:00 UTC to 25 October 01:00 UTC */
    expect_period("CET-1CEST,M3.5.0,M10.5.0/3", 1780000000, 1774746000, 1792890000, 7200);
    /* south: daylight saving runs over the new year */
    expect_period("AEST-10AEDT,M10.1.0,M4.1.0/3", 1767225600, 1759593600, 1775318400, 39600);
    /* by the day of the year: J60 is 1 March also in a leap year, 59 is 29 February then */
    expect_period("AAA0BBB,J60/0,J61/0", 1835481600, 1835481600, 1835564400, 3600);
    expect_period("AAA0BBB,59/0,60/0", 1835395200, 1835395200, 1835478000, 3600);
}

Test(zone_rule, daylight_saving_all_year)
{
    struct zone_rule rule = rule_of("XXX3EDT4,0/0,J365/23");
    for (int64_t at_s = 1767225600; at_s < 1830297600; at_s += 3599) {
        struct zone_period period;
        zone_rule_period(&rule, at_s, &period);
        cr_assert_eq(period.offset_s, -14400, "at %ld", at_s);
    }
}

Test(zone_rule, wrong_rules)
{
    static const char *const wrong[] = {
        "", "CE-1", "CET", "CET-", "CET-25", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1:60",
        "CET-1CEST,M3.5.0,M10.5.0/3x", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5,M10.5.0", "CET-1CEST,J0,J10",
        "CET-1CEST,J1,J366", "CET-1CEST,366,1", "CET-1CEST,1/168,2", "<CET-1", "CET-1 ",
        "CET-1CEST,1,", "CET-1CE,1,2",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct zone_rule rule;
        cr_expect_eq(zone_rule_parse(wrong[i], strlen(wrong[i]), &rule), -EINVAL, "%s", wrong[i]);
    }
}
