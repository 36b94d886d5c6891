/* test_ctl_duration.c - durations and moments as people type them for awaitctl. */
#include "ctl/duration.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void expect_duration(const char *text, uint64_t expected_ms)
{
    uint64_t duration_ms = 1;
    cr_assert(duration_parse(text, &duration_ms), "%s is refused", text);
    cr_assert_eq(duration_ms, expected_ms, "%s gives %lu", text, (unsigned long)duration_ms);
}

Test(ctl_duration, every_unit)
{
    expect_duration("0", 0);
    expect_duration("500ms", 500);
    expect_duration("5s", 5000);
    expect_duration("2m", 120000);
    expect_duration("1h", 3600000);
    expect_duration("1d", 86400000);
}

Test(ctl_duration, fractions_and_sums)
{
    expect_duration("1.5s", 1500);
    expect_duration("0.25m", 15000);
    expect_duration("1h30m", 5400000);
    expect_duration("1m500ms", 60500);
}

Test(ctl_duration, what_is_no_duration_is_refused)
{
    static const char *const bad[] = {
        "", "5", "s", "5x", "5 s", "-5s", "1.s", ".5s", "5sec", "5s ", "99999999999999999999s",
        "18446744073709551616ms", "40000d", "1e3s", "5mss",
    };
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        uint64_t duration_ms;
        cr_assert_not(duration_parse(bad[index], &duration_ms), "%s is taken", bad[index]);
    }
}

static void expect_moment(const char *text, time_t now, uint64_t expected_ms)
{
    uint64_t unix_ms = 1;
    cr_assert(moment_parse(text, now, &unix_ms), "%s is refused", text);
    cr_assert_eq(unix_ms, expected_ms, "%s gives %lu", text, (unsigned long)unix_ms);
}

static void use_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

Test(ctl_moment, zones)
{
    use_zone("UTC-2"); /* POSIX writes it the other way round: two hours ahead of UTC */
    expect_moment("1767225600000", 0, 1767225600000);
    expect_moment("2026-01-01T00:00Z", 0, 1767225600000);
    expect_moment("2026-01-01T02:00:00+02:00", 0, 1767225600000);
    expect_moment("2025-12-31 18:30-0530", 0, 1767225600000);
    expect_moment("2026-01-01 02:00:00", 0, 1767225600000);
}

Test(ctl_moment, time_of_day_is_the_next_one)
{
    use_zone("UTC");
    time_t noon = 1767268800; /* 2026-01-01 12:00 UTC */
    expect_moment("13:30", noon, (uint64_t)(noon + 5400) * 1000);
    expect_moment("13:30:05", noon, (uint64_t)(noon + 5405) * 1000);
    expect_moment("11:00", noon, (uint64_t)(noon + 23 * 3600) * 1000);
    expect_moment("12:00", noon, (uint64_t)(noon + 24 * 3600) * 1000);
}

Test(ctl_moment, what_is_no_moment_is_refused)
{
    static const char *const bad[] = {
        "", "tomorrow", "2026-01-01", "2026-13-01T00:00Z", "25:00", "2026-01-01T00:00+2",
        "2026-01-01T00:00Zulu", "08:00pm", "-1", "1950-01-01T00:00Z",
    };
    for (size_t index = 0; index < sizeof bad / sizeof bad[0]; index++) {
        uint64_t unix_ms;
        cr_assert_not(moment_parse(bad[index], 0, &unix_ms), "%s is taken", bad[index]);
    }
}

Test(ctl_duration, written_for_people)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {{0, "0"},              {3600000, "1h"},
                 {340, "340ms"},       {2500, "2.5s"},        {5000, "5s"},
                 {200000, "3m 20s"},   {5400000, "1h 30m"},   {352800000, "4d 2h"}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        char text[40];
        duration_format(cases[index].ms, text, sizeof text);
        cr_assert_str_eq(text, cases[index].text);
    }
}
