/* test_ctl_options.c - awaitctl's command line. */
#include "ctl/options.h"

#include <criterion/criterion.h>
#include <string.h>

enum { QUEUE, RETRY, WAIT, BACKOFF, FILES, DELAY, NULLS };

static const struct option options[] = {
    {"queue", 'q', OPTION_TEXT, "NAME", "QUEUE", ""},
    {"retry", 0, OPTION_NUMBER, "N", "RETRY", ""},
    {"wait", 'w', OPTION_DURATION_OPTIONAL, "DURATION", NULL, ""},
    {"backoff", 0, OPTION_DURATION_PAIR, "MIN,MAX", "BACKOFF", ""},
    {"files", 'f', OPTION_FLAG, NULL, NULL, ""},
    {"delay", 'd', OPTION_DURATION, "DURATION", "DELAY", ""},
    {"null", 0, OPTION_NUMBER_LIST, "N[,N...]", "NULL", ""},
    {0},
};

static struct option_value values[OPTIONS_MAX];
static const char *positional[16];
static int positional_count;
static struct text error;

static int parse(bool stop_at_first, const char *const *argv)
{
    const struct option_set set = {options, values};
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    memset(values, 0, sizeof values);
    text_free(&error);
    return options_parse(&set, 1, argc, argv, stop_at_first, positional, &positional_count, &error);
}

#define PARSE(stop_at_first, ...) \
    parse(stop_at_first, (const char *[]){__VA_ARGS__, NULL})

Test(ctl_options, every_form_of_a_value)
{
    int taken = PARSE(true, "--queue", "a", "--retry=3", "-d5s", "-w", "--backoff", "1s,1m", "-f");
    cr_assert_eq(taken, 8);
    cr_assert_str_eq(values[QUEUE].text, "a");
    cr_assert_eq(values[RETRY].number, 3);
    cr_assert_eq(values[DELAY].number, 5000);
    cr_assert(values[WAIT].set && !values[WAIT].has_value);
    cr_assert_eq(values[BACKOFF].number, 1000);
    cr_assert_eq(values[BACKOFF].number_max, 60000);
    cr_assert(values[FILES].set);
    cr_assert_eq(PARSE(true, "--null=1,30"), 1);
    cr_assert_str_eq(values[NULLS].text, "1,30");
}

Test(ctl_options, what_follows_the_target_is_the_jobs_own)
{
    cr_assert_eq(PARSE(true, "-q", "a", "main", "SELECT ?", "-5", "--queue"), 2);
    cr_assert_eq(PARSE(true, "--wait=2s", "--", "-odd"), 2);
    cr_assert_eq(values[WAIT].number, 2000);
}

Test(ctl_options, elsewhere_they_may_stand_anywhere)
{
    cr_assert_eq(PARSE(false, "1", "--queue=a", "2", "--", "-3", "-"), 6);
    cr_assert_eq(positional_count, 4);
    cr_assert_str_eq(positional[1], "2");
    cr_assert_str_eq(positional[2], "-3");
    cr_assert_str_eq(positional[3], "-");
}

static void expect_error(int result, const char *part)
{
    cr_assert_eq(result, -1);
    cr_assert_not_null(strstr(error.data, part), "%s", error.data);
}

Test(ctl_options, mistakes_are_named)
{
    expect_error(PARSE(true, "--colour"), "unknown option --colour");
    expect_error(PARSE(true, "-x"), "unknown option -x");
    expect_error(PARSE(true, "--queue"), "--queue: needs a value");
    expect_error(PARSE(true, "--files=yes"), "--files takes no value");
    expect_error(PARSE(true, "--delay", "5"), "with its unit");
    expect_error(PARSE(true, "--retry", "-1"), "a whole number");
    expect_error(PARSE(true, "--retry", "9999999999999999999"), "a whole number");
    expect_error(PARSE(true, "--backoff", "1m,1s"), "the smaller first");
    expect_error(PARSE(true, "--wait=soon"), "with its unit");
    expect_error(PARSE(true, "--null", "1,,2"), "with commas between");
    expect_error(PARSE(true, "--null", "1,"), "with commas between");
}
