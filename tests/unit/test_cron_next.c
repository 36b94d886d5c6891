/* test_cron_next.c - due times against those that were worked out without our code, and what holds
 * for every expression and zone. */
#include "cron/cron_next.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

struct table_row {
    const char *expression;
    const char *zone;
    int64_t after_s;
    int64_t due_s[16];
};

static const struct table_row table[] = {
#include "cron_table.h"
};
#define ROWS (sizeof table / sizeof table[0])

static struct time_zone *load(const char *name)
{
    struct aw_error error = {0};
    struct time_zone *zone = NULL;
    cr_assert_eq(time_zone_load(name, &zone, &error), 0, "%s", error.message);
    return zone;
}

static struct cron_expression parse(const char *text)
{
    struct aw_error error = {0};
    struct cron_expression expression;
    cr_assert_eq(cron_expression_parse(text, strlen(text), &expression, &error), 0, "%s: %s", text,
                 error.message);
    return expression;
}

static int check_table(void *argument)
{
    (void)argument;
    for (size_t row = 0; row < ROWS; row++) {
        const struct table_row *expected = &table[row];
        struct time_zone *zone = load(expected->zone);
        struct cron_expression expression = parse(expected->expression);
        uint64_t at_ms = (uint64_t)expected->after_s * 1000;
        for (size_t i = 0; i < 16 && expected->due_s[i]; i++) {
            at_ms = cron_next(&expression, zone, at_ms);
            cr_expect_eq(at_ms, (uint64_t)expected->due_s[i] * 1000,
                         "'%s' in %s, due time %zu: %lu instead of %ld", expected->expression,
                         expected->zone, i, (unsigned long)(at_ms / 1000), expected->due_s[i]);
        }
        time_zone_free(zone);
    }
    return 0;
}

Test(cron_next, due_times_of_the_table)
{
    cr_assert_geq(ROWS, 50);
    cr_assert_eq(aw_run(check_table, NULL), 0);
}

/* Wherever one begins, the next due time is the same until it is reached. */
static int check_any_start(void *argument)
{
    (void)argument;
    for (size_t row = 0; row < ROWS; row++) {
        const struct table_row *expected = &table[row];
        struct time_zone *zone = load(expected->zone);
        struct cron_expression expression = parse(expected->expression);
        for (size_t i = 1; i < 16 && expected->due_s[i]; i++) {
            int64_t begin = expected->due_s[i - 1];
            int64_t pause = (expected->due_s[i] - begin) / 20 + 1;
            for (int64_t at = begin; at < expected->due_s[i]; at += pause)
                cr_assert_eq(cron_next(&expression, zone, (uint64_t)at * 1000 + 999),
                             (uint64_t)expected->due_s[i] * 1000, "'%s' in %s from %ld",
                             expected->expression, expected->zone, at);
        }
        time_zone_free(zone);
    }
    return 0;
}

Test(cron_next, any_start_leads_to_the_same)
{
    cr_assert_eq(aw_run(check_any_start, NULL), 0);
}

static int check_every(void *argument)
{
    (void)argument;
    struct time_zone *zone = load("UTC");
    struct cron_expression expression = parse("@every 1h30m");
    cr_assert_eq(cron_next(&expression, zone, 12345), 12345 + 5400000);
    time_zone_free(zone);
    return 0;
}

Test(cron_next, every_counts_from_the_time_before)
{
    cr_assert_eq(aw_run(check_every, NULL), 0);
}

static int check_end(void *argument)
{
    (void)argument;
    struct time_zone *zone = load("Europe/Berlin");
    struct cron_expression expression = parse("0 0 1 1 *");
    uint64_t end_ms = UINT64_C(253402300799) * 1000;
    cr_assert_eq(cron_next(&expression, zone, end_ms), 0);
    cr_assert_eq(cron_next(&expression, zone, UINT64_MAX), 0);
    cr_assert_eq(cron_next(&expression, zone, end_ms - 1000), 0);
    cr_assert_neq(cron_next(&expression, zone, end_ms - UINT64_C(400) * 86400000), 0);
    expression = parse("* * * * * *");
    cr_assert_eq(cron_next(&expression, zone, end_ms - 500), end_ms);
    cr_assert_eq(cron_next(&expression, zone, end_ms), 0);
    time_zone_free(zone);
    return 0;
}

Test(cron_next, nothing_is_due_after_the_year_9999)
{
    cr_assert_eq(aw_run(check_end, NULL), 0);
}

static int check_unknown(void *argument)
{
    (void)argument;
    static const char *const none[] = {"Europe/Nowhere", "Europe", "../../../etc/passwd",
                                       "/etc/localtime", "", "Europe//Berlin", "Berlin/",
                                       "Europe/Ber lin", "a/../b", "zone.tab"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct time_zone *zone = NULL;
        struct aw_error error = {0};
        cr_expect_eq(time_zone_load(none[i], &zone, &error), -ENOENT, "%s: %s", none[i],
                     error.message);
        cr_expect_null(zone);
        cr_expect(error.message[0]);
    }
    return 0;
}

Test(cron_next, zones_that_do_not_exist)
{
    cr_assert_eq(aw_run(check_unknown, NULL), 0);
}
