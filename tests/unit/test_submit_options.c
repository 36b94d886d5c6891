/* test_submit_options.c - every option with its limits and errors. */
#include "protocol/submit_options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 64

struct words {
    char text[1024];
    struct argument arguments[WORDS_MAX];
    uint32_t count;
};

/* Splits at blanks; "\"\"" is an empty word. */
static void split(struct words *words, const char *text)
{
    words->count = 0;
    snprintf(words->text, sizeof words->text, "%s", text);
    for (char *word = strtok(words->text, " "); word; word = strtok(NULL, " ")) {
        cr_assert_lt(words->count, WORDS_MAX);
        size_t size = strcmp(word, "\"\"") == 0 ? 0 : strlen(word);
        words->arguments[words->count++] = (struct argument){.data = word, .size = (uint32_t)size};
    }
}

static struct submit_options parsed(struct words *words, enum submit_command command,
                                    const char *text)
{
    struct submit_options options;
    struct aw_error error = {0};
    split(words, text);
    cr_assert_eq(submit_options_parse(command, words->arguments, words->count, &options, &error),
                 0, "%s: %s", text, error.message);
    return options;
}

static void assert_refused(enum submit_command command, const char *text, const char *message)
{
    struct words words;
    struct submit_options options;
    struct aw_error error = {0};
    split(&words, text);
    cr_assert_eq(submit_options_parse(command, words.arguments, words.count, &options, &error),
                 -EINVAL, "%s", text);
    cr_assert_str_eq(error.message, message, "%s: %s", text, error.message);
}

static void assert_submit_refused(const char *text, const char *message)
{
    assert_refused(SUBMIT_COMMAND, text, message);
}

static void assert_bytes(const char *data, uint32_t size, const char *expected)
{
    cr_assert_eq(size, strlen(expected));
    cr_assert_eq(memcmp(data, expected, size), 0);
}

Test(submit_options, defaults)
{
    struct words words;
    struct submit_options options = parsed(&words, SUBMIT_COMMAND, "main sql one");
    assert_bytes(options.target.data, options.target.size, "main");
    cr_assert_eq(options.argument_count, 2);
    assert_bytes(options.arguments[0].data, options.arguments[0].size, "sql");
    assert_bytes(options.queue, options.queue_size, "default");
    cr_assert_eq(options.priority, 1024);
    cr_assert_not(options.has_queue || options.has_priority || options.has_delay ||
                  options.has_at || options.has_timeout || options.has_expire ||
                  options.has_retry || options.has_backoff || options.has_key ||
                  options.has_serial || options.has_onfail || options.has_keep ||
                  options.has_format);
    cr_assert_eq(options.onfail, ONFAIL_CANCEL);
    cr_assert_eq(options.format, FORMAT_ROWS);
    submit_options_free(&options);
}

Test(submit_options, every_option)
{
    struct words words;
    struct submit_options options = parsed(
        &words, SUBMIT_COMMAND,
        "queue mail Priority 0 DELAY 5 TIMEOUT 6 EXPIRE 7 RETRY 8 BACKOFF 9 10 KEY k SERIAL s "
        "AFTER 11 12 ONFAIL run BIND 2 13 14 15 NULL 3 KEEP 0 FORMAT json AFTER 16 main sql a b");
    assert_bytes(options.queue, options.queue_size, "mail");
    cr_assert_eq(options.priority, 0);
    cr_assert_eq(options.delay_ms, 5);
    cr_assert_eq(options.timeout_ms, 6);
    cr_assert_eq(options.expire_ms, 7);
    cr_assert_eq(options.retry, 8);
    cr_assert_eq(options.backoff_min_ms, 9);
    cr_assert_eq(options.backoff_max_ms, 10);
    assert_bytes(options.key.data, options.key.size, "k");
    assert_bytes(options.serial.data, options.serial.size, "s");
    cr_assert_eq(options.after_count, 3);
    cr_assert_eq(options.after[0], 11);
    cr_assert_eq(options.after[1], 12);
    cr_assert_eq(options.after[2], 16);
    cr_assert_eq(options.onfail, ONFAIL_RUN);
    cr_assert_eq(options.bind_count, 1);
    cr_assert_eq(options.binds[0].argument, 1);
    cr_assert_eq(options.binds[0].job_id, 13);
    cr_assert_eq(options.binds[0].row, 14);
    cr_assert_eq(options.binds[0].column, 15);
    cr_assert_eq(options.null_count, 1);
    cr_assert_eq(options.nulls[0], 2);
    cr_assert_not(options.arguments[1].null);
    cr_assert(options.arguments[2].null);
    cr_assert(options.has_keep);
    cr_assert_eq(options.keep_ms, 0);
    cr_assert_eq(options.format, FORMAT_JSON);
    cr_assert_eq(options.argument_count, 3);
    cr_assert(options.has_queue && options.has_priority && options.has_delay && !options.has_at &&
              options.has_timeout && options.has_expire && options.has_retry &&
              options.has_backoff && options.has_key && options.has_serial &&
              options.has_onfail && options.has_format);
    submit_options_free(&options);
}

Test(submit_options, option_words_after_the_target_are_arguments)
{
    struct words words;
    struct submit_options options = parsed(&words, SUBMIT_COMMAND, "AT 1 cache KEY TIMEOUT");
    assert_bytes(options.target.data, options.target.size, "cache");
    cr_assert_eq(options.argument_count, 2);
    cr_assert_eq(options.at_ms, 1);
    submit_options_free(&options);
}

Test(submit_options, numbers_at_and_beyond_their_limits)
{
    struct words words;
    struct submit_options options =
        parsed(&words, SUBMIT_COMMAND,
               "PRIORITY 4294967295 DELAY 3153600000000 RETRY 1000000 EXPIRE 1 BACKOFF 5 5 "
               "AFTER 9223372036854775807 main x");
    cr_assert_eq(options.priority, UINT32_MAX);
    cr_assert_eq(options.delay_ms, DURATION_MAX_MS);
    cr_assert_eq(options.after[0], INT64_MAX);
    submit_options_free(&options);

    assert_submit_refused("PRIORITY x main a",
                          "PRIORITY needs a number from 0 to 4294967295, got 'x'");
    assert_submit_refused("priority 4294967296 main a",
                          "PRIORITY needs a number from 0 to 4294967295, got '4294967296'");
    assert_submit_refused("PRIORITY -1 main a",
                          "PRIORITY needs a number from 0 to 4294967295, got '-1'");
    assert_submit_refused("PRIORITY",
                          "PRIORITY needs a number from 0 to 4294967295, got nothing");
    assert_submit_refused("DELAY 3153600000001 main a",
                          "DELAY needs milliseconds from 0 to 3153600000000, got '3153600000001'");
    assert_submit_refused("AT 253402300800000 main a",
                          "AT needs milliseconds since 1970 from 0 to 253402300799999, got "
                          "'253402300800000'");
    assert_submit_refused("EXPIRE 0 main a",
                          "EXPIRE needs milliseconds from 1 to 3153600000000, got '0'");
    assert_submit_refused("RETRY 1000001 main a",
                          "RETRY needs a number from 0 to 1000000, got '1000001'");
    assert_submit_refused("BACKOFF 5 4 main a",
                          "BACKOFF needs a maximum in milliseconds from 5 to 3153600000000, got "
                          "'4'");
    assert_submit_refused("BACKOFF 5",
                          "BACKOFF needs a maximum in milliseconds from 5 to 3153600000000, got "
                          "nothing");
    assert_submit_refused("AFTER main a",
                          "AFTER needs job ids from 1 to 9223372036854775807, got 'main'");
    assert_submit_refused("AFTER 1 2x main a",
                          "AFTER needs job ids from 1 to 9223372036854775807, got '2x'");
}

Test(submit_options, words_that_are_none_of_the_choices)
{
    assert_submit_refused("FORMAT xml main a", "FORMAT needs rows or json, got 'xml'");
    assert_submit_refused("FORMAT", "FORMAT needs rows or json, got nothing");
    assert_submit_refused("ONFAIL stop main a", "ONFAIL needs run or cancel, got 'stop'");
    assert_submit_refused("KEY \"\" main a", "KEY needs a key of 1 to 256 bytes, got ''");
    assert_submit_refused("SERIAL", "SERIAL needs a key of 1 to 256 bytes, got nothing");
    assert_submit_refused("QUEUE 1x main a",
                          "QUEUE needs a queue's name, but '1x' does not begin with a letter");
    assert_submit_refused("QUEUE", "QUEUE needs a queue's name, got nothing");
    assert_submit_refused("QUEUE delay main a",
                          "QUEUE needs a queue's name, but 'delay' is the word of an option");
}

Test(submit_options, keys_at_and_above_their_size)
{
    char key[257];
    memset(key, 'k', sizeof key);
    struct argument arguments[] = {
        {.data = "KEY", .size = 3}, {.data = key, .size = 256}, {.data = "main", .size = 4}};
    struct submit_options options;
    struct aw_error error;
    cr_assert_eq(submit_options_parse(SUBMIT_COMMAND, arguments, 3, &options, &error), 0);
    cr_assert_eq(options.key.size, 256);
    submit_options_free(&options);
    arguments[1].size = 257;
    cr_assert_eq(submit_options_parse(SUBMIT_COMMAND, arguments, 3, &options, &error), -EINVAL);
    cr_assert_str_eq(error.message, "KEY needs a key of 1 to 256 bytes, got "
                                    "'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk'");
}

Test(submit_options, contradictions)
{
    assert_submit_refused("DELAY 1 AT 1 main a", "DELAY and AT exclude each other");
    assert_submit_refused("AT 1 DELAY 1 main a", "DELAY and AT exclude each other");
    assert_submit_refused("RETRY 1 retry 1 main a", "RETRY is given twice");
    assert_submit_refused("NULL 1 NULL 1 main a", "argument 1 has more than one NULL or BIND");
    assert_submit_refused("NULL 2 BIND 2 1 0 0 main a b",
                          "argument 2 has more than one NULL or BIND");
    assert_submit_refused("NULL 2 main a", "NULL needs an argument from 1 to 1, got '2'");
    assert_submit_refused("BIND 4294967295 1 0 0 main a",
                          "BIND needs an argument from 1 to 1, got '4294967295'");
}

Test(submit_options, the_target)
{
    assert_submit_refused("",
                          "SUBMIT needs a target's name: SUBMIT [option ...] <target> <arg> ...");
    assert_submit_refused("DELAY 1",
                          "SUBMIT needs a target's name: SUBMIT [option ...] <target> <arg> ...");
    assert_submit_refused("5 main a", "SUBMIT needs an option or a target's name, but '5' does not "
                                      "begin with a letter");
    struct argument typing_error = {.data = "priorty", .size = 7};
    cr_assert_str_eq(submit_option_nearest(&typing_error), "PRIORITY");
    struct argument main_target = {.data = "main", .size = 4};
    cr_assert_null(submit_option_nearest(&main_target));
}

Test(submit_options, run_takes_few)
{
    struct words words;
    struct submit_options options =
        parsed(&words, RUN_COMMAND, "TIMEOUT 100 FORMAT json NULL 2 main sql x");
    cr_assert_eq(options.timeout_ms, 100);
    cr_assert(options.arguments[1].null);
    submit_options_free(&options);
    assert_refused(RUN_COMMAND, "DELAY 1 main a",
                   "RUN takes no option DELAY; it takes TIMEOUT, FORMAT and NULL");
    assert_refused(RUN_COMMAND, "",
                   "RUN needs a target's name: RUN [option ...] <target> <arg> ...");
}

Test(submit_options, as_many_parents_as_allowed)
{
    static struct argument arguments[AFTER_MAX + 3];
    arguments[0] = (struct argument){.data = "AFTER", .size = 5};
    for (size_t i = 1; i <= AFTER_MAX + 1; i++)
        arguments[i] = (struct argument){.data = "7", .size = 1};
    struct submit_options options;
    struct aw_error error;
    arguments[AFTER_MAX + 2] = (struct argument){.data = "main", .size = 4};
    cr_assert_eq(submit_options_parse(SUBMIT_COMMAND, arguments, AFTER_MAX + 3, &options, &error),
                 -EINVAL);
    cr_assert_str_eq(error.message, "AFTER takes at most 10000 job ids");
    arguments[AFTER_MAX + 1] = arguments[AFTER_MAX + 2];
    cr_assert_eq(submit_options_parse(SUBMIT_COMMAND, arguments, AFTER_MAX + 2, &options, &error),
                 0);
    cr_assert_eq(options.after_count, AFTER_MAX);
    submit_options_free(&options);
}
