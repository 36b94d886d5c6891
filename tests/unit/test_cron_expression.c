/* test_cron_expression.c - what an expression may say, and how a wrong one is refused. */
#include "cron/cron_expression.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct cron_expression parse(const char *text)
{
    struct aw_error error = {0};
    struct cron_expression expression;
    cr_assert_eq(cron_expression_parse(text, strlen(text), &expression, &error), 0, "%s: %s", text,
                 error.message);
    return expression;
}

/* That both mean the same. */
static void expect_same(const char *one, const char *other)
{
    struct cron_expression first = parse(one);
    struct cron_expression second = parse(other);
    cr_expect_arr_eq(first.sets, second.sets, sizeof first.sets, "'%s' and '%s'", one, other);
    cr_expect_eq(first.last_day, second.last_day);
    cr_expect_eq(first.every_ms, second.every_ms);
}

static void expect_refused(const char *text, const char *message)
{
    struct aw_error error = {0};
    struct cron_expression expression = {.every_ms = 42};
    cr_expect_eq(cron_expression_parse(text, strlen(text), &expression, &error), -EINVAL,
                 "'%s' is taken", text);
    cr_expect_str_eq(error.message, message, "'%s': %s", text, error.message);
    cr_expect_eq(expression.every_ms, 42);
}

Test(cron_expression, fields)
{
    struct cron_expression expression = parse("1,2,5-9/2 10 3 4 5 6");
    cr_expect_eq(expression.sets[CRON_SECOND], 1u << 1 | 1u << 2 | 1u << 5 | 1u << 7 | 1u << 9);
    cr_expect_eq(expression.sets[CRON_MINUTE], 1u << 10);
    cr_expect_eq(expression.sets[CRON_HOUR], 1u << 3);
    cr_expect_eq(expression.sets[CRON_DAY], 1u << 4);
    cr_expect_eq(expression.sets[CRON_MONTH], 1u << 5);
    cr_expect_eq(expression.sets[CRON_WEEKDAY], 1u << 6);
    expression = parse("* * * * *");
    cr_expect_eq(expression.sets[CRON_SECOND], 1);
    cr_expect_eq(expression.sets[CRON_MINUTE], (UINT64_C(1) << 60) - 1);
    cr_expect_eq(expression.sets[CRON_HOUR], (1u << 24) - 1);
    cr_expect_eq(expression.sets[CRON_DAY], UINT64_C(0xfffffffe));
    cr_expect_eq(expression.sets[CRON_MONTH], 0x1ffe);
    cr_expect_eq(expression.sets[CRON_WEEKDAY], 0x7f);
}

Test(cron_expression, ways_to_say_the_same)
{
    expect_same("0 0 * jan-MAR SUN", "0 0 * 1-3 0");
    expect_same("0 0 * * 7", "0 0 * * 0");
    expect_same("0 0 * * 5-7", "0 0 * * 0,5,6");
    expect_same("0 0 * * FRI-SUN", "0 0 * * 0,5,6");
    expect_same("0 0 * * SUN-7", "0 0 * * *");
    expect_same("0 0 ? * ?", "0 0 * * *");
    expect_same("  5\t4  * * *  ", "5 4 * * *");
    expect_same("5/20 * * * *", "5,25,45 * * * *");
    expect_same("*/20 * * * *", "0,20,40 * * * *");
    expect_same("0 0 l * *", "0 0 L * *");
    expect_same("00 007 * * *", "0 7 * * *");
    expect_same("59/5 * * * *", "59 * * * *");
    expect_same("@yearly", "0 0 1 1 *");
    expect_same("@Annually", "0 0 1 1 *");
    expect_same("@monthly", "0 0 1 * *");
    expect_same("@weekly", "0 0 * * 0");
    expect_same("@daily", "0 0 * * *");
    expect_same("@midnight", "0 0 * * *");
    expect_same("@hourly", "0 * * * *");
    expect_same("@every 90s", "@EVERY 1m30s");
    expect_same("@every 1w", "@every 7d");
    expect_same("@every 1500ms", "@every 1s500ms");
}

Test(cron_expression, every)
{
    cr_expect_eq(parse("@every 1h30m").every_ms, 5400000);
    cr_expect_eq(parse("@every 1s").every_ms, 1000);
    cr_expect_eq(parse("@every 3650d").every_ms, UINT64_C(315360000000));
    static const char *const wrong[] = {"0s",   "999ms", "3651d", "5",   "s",    "1x",
                                        "-1s",  "1.5h",  "1h 2m", "1h2", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cron_expression expression;
        struct aw_error error = {0};
        char text[64];
        snprintf(text, sizeof text, "@every %s", wrong[i]);
        cr_expect_eq(cron_expression_parse(text, strlen(text), &expression, &error), -EINVAL, "%s",
                     text);
        cr_expect(strstr(error.message, "@every") != NULL, "%s", error.message);
    }
}

Test(cron_expression, which_run_through_a_change_of_the_clock)
{
    struct cron_expression hourly = parse("@hourly");
    struct cron_expression daily = parse("@daily");
    struct cron_expression stepped = parse("*/10 30 2 * * *");
    cr_expect(cron_expression_runs_through(&hourly));
    cr_expect(!cron_expression_runs_through(&daily));
    cr_expect(cron_expression_runs_through(&stepped));
}

Test(cron_expression, values_out_of_range)
{
    expect_refused("60 * * * *", "minute: '60' is not from 0 to 59");
    expect_refused("60 * * * * *", "second: '60' is not from 0 to 59");
    expect_refused("0 24 * * *", "hour: '24' is not from 0 to 23");
    expect_refused("0 0 0 * *", "day of month: '0' is not from 1 to 31 or L");
    expect_refused("0 0 32 * *", "day of month: '32' is not from 1 to 31 or L");
    expect_refused("0 0 * 13 *", "month: '13' is not from 1 to 12 or JAN-DEC");
    expect_refused("0 0 * JUNE *", "month: 'JUNE' is not from 1 to 12 or JAN-DEC");
    expect_refused("0 0 * * 8", "day of week: '8' is not from 0 to 7 or SUN-SAT");
    expect_refused("0 0 * * 5L", "day of week: '5L' is not from 0 to 7 or SUN-SAT");
    expect_refused("-1 * * * *", "minute: '' is not from 0 to 59");
    expect_refused("1,,2 * * * *", "minute: '' is not from 0 to 59");
    expect_refused("1, * * * *", "minute: '' is not from 0 to 59");
    expect_refused("1- * * * *", "minute: '' is not from 0 to 59");
    expect_refused("*-5 * * * *", "minute: '*' is not from 0 to 59");
    expect_refused("? * * * *", "minute: '?' is not from 0 to 59");
    expect_refused("1-2-3 * * * *", "minute: '2-3' is not from 0 to 59");
    expect_refused("00000 * * * *", "minute: '00000' is not from 0 to 59");
    expect_refused("0 0 L-3 * *", "day of month: 'L' is not from 1 to 31 or L");
}

Test(cron_expression, wrong_ranges_and_steps)
{
    expect_refused("0 22-2 * * *",
                   "hour: the range '22-2' runs backwards; write 22-23,0-2");
    expect_refused("0 0 * NOV-FEB *",
                   "month: the range 'NOV-FEB' runs backwards; write 11-12,1-2");
    expect_refused("*/0 * * * *", "minute: the step '0' is not from 1 to 60; for longer intervals "
                                  "there is @every");
    expect_refused("*/90 * * * *", "minute: the step '90' is not from 1 to 60; for longer "
                                   "intervals there is @every");
    expect_refused("*/ * * * *", "minute: the step '' is not from 1 to 60; for longer intervals "
                                 "there is @every");
    expect_refused("0 */2/2 * * *", "hour: the step '2/2' is not from 1 to 24; for longer "
                                    "intervals there is @every");
}

Test(cron_expression, wrong_shapes)
{
    expect_refused("", "the expression is empty");
    expect_refused(" \t ", "the expression is empty");
    expect_refused("* * * *", "an expression has five fields (minute, hour, day of month, month, "
                              "day of week) or six (the second first), not 4");
    expect_refused("* * * * * * *",
                   "an expression has five fields (minute, hour, day of month, month, day of week) "
                   "or six (the second first), not 7");
    expect_refused("@reboot", "'@reboot' is none of @yearly @monthly @weekly @daily @hourly and "
                              "@every <duration>");
    expect_refused("@daily 3", "'@daily 3' is none of @yearly @monthly @weekly @daily @hourly and "
                               "@every <duration>");
    expect_refused("@every", "@every needs a duration from 1s to 3650d such as 90s or 1h30m, got "
                             "''");
    expect_refused("@", "'@' is none of @yearly @monthly @weekly @daily @hourly and @every "
                        "<duration>");
    char longest[CRON_EXPRESSION_SIZE_MAX + 2];
    memset(longest, ' ', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest, "* * * * *", 9);
    expect_refused(longest, "the expression is longer than 256 bytes");
    longest[CRON_EXPRESSION_SIZE_MAX] = '\0';
    expect_same(longest, "* * * * *");
}

Test(cron_expression, days_that_never_come)
{
    static const char message[] =
        "day of month: no month of the expression has such a day, so it would never match";
    expect_refused("0 0 30 2 *", message);
    expect_refused("0 0 31 4,6,9,11 ?", message);
    (void)parse("0 0 29 2 *");
    (void)parse("0 0 29 2 */7"); /* a 29 February that is a Sunday: every 28 years, or 40 */
    (void)parse("0 0 30 2 MON"); /* either day will do */
    (void)parse("0 0 31 4,5 *");
}
