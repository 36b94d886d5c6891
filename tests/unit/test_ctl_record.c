/* test_ctl_record.c - jobs out of CSV and JSON lines: what is taken, and what is refused in which
 * line. */
#include "ctl/record.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t line;
static size_t first_line;
static struct record record;
static struct text error;

static FILE *open_text(const char *text, size_t size)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, size, "r");
    cr_assert_not_null(file);
    line = 0;
    return file;
}

static enum record_result next_csv(FILE *file)
{
    record_free(&record);
    text_free(&error);
    error = (struct text){0};
    return record_read_csv(file, &line, &first_line, &record, &error);
}

static void expect_words(const struct words *words, size_t count, const char *const *expected)
{
    cr_assert_eq(words->count, count);
    for (size_t i = 0; i < count; i++)
        cr_expect_str_eq(words->data[i], expected[i]);
}

Test(ctl_record, csv_records)
{
    static const char text[] = "a,b,\r\n\n\"x,\"\"y\"\"\nz\", w\n,\"\"\nlast";
    FILE *file = open_text(text, sizeof text - 1);
    cr_assert_eq(next_csv(file), RECORD_READ);
    expect_words(&record.arguments, 3, (const char *const[]){"a", "b", ""});
    cr_expect_eq(first_line, 1);
    cr_assert_eq(next_csv(file), RECORD_READ);
    expect_words(&record.arguments, 2, (const char *const[]){"x,\"y\"\nz", " w"});
    cr_expect_eq(first_line, 3);
    cr_assert_eq(next_csv(file), RECORD_READ);
    expect_words(&record.arguments, 2, (const char *const[]){"", ""});
    cr_expect_eq(first_line, 5, "a quoted line break is a line");
    cr_assert_eq(next_csv(file), RECORD_READ);
    expect_words(&record.arguments, 1, (const char *const[]){"last"});
    cr_expect_eq(next_csv(file), RECORD_END);
    fclose(file);
}

Test(ctl_record, wrong_csv)
{
    static const char *const texts[] = {"\"a", "\"a\"b\n", "a\"b\n"};
    for (size_t i = 0; i < 3; i++) {
        FILE *file = open_text(texts[i], strlen(texts[i]));
        cr_expect_eq(next_csv(file), RECORD_WRONG, "%s", texts[i]);
        cr_expect_gt(error.size, 0);
        fclose(file);
    }
}

static enum record_result parse(const char *text)
{
    record_free(&record);
    text_free(&error);
    error = (struct text){0};
    return record_parse_json(text, strlen(text), &record, &error);
}

Test(ctl_record, json_arrays)
{
    cr_assert_eq(parse(" [\"a\\n\\u00e4\\ud83d\\ude00\\\"\", -1.5e3, true, null, 0 ] "),
                 RECORD_READ);
    expect_words(&record.arguments, 5,
                 (const char *const[]){"a\n\xc3\xa4\xf0\x9f\x98\x80\"", "-1.5e3", "true", "", "0"});
    cr_assert_eq(record.null_count, 1);
    cr_expect_eq(record.nulls[0], 3);
    cr_expect_eq(parse("[]"), RECORD_READ);
    cr_expect_eq(record.arguments.count, 0);
}

Test(ctl_record, json_objects)
{
    cr_assert_eq(parse("{\"target\":\"main\",\"args\":[\"x\",null],\"queue\":\"q\","
                       "\"backoff\":[1,2]}"), RECORD_READ);
    expect_words(&record.target, 1, (const char *const[]){"main"});
    expect_words(&record.arguments, 2, (const char *const[]){"x", ""});
    expect_words(&record.options, 5, (const char *const[]){"queue", "q", "backoff", "1", "2"});
}

Test(ctl_record, wrong_json)
{
    static const char *const texts[] = {
        "", "5", "\"x\"", "[", "[1", "[1,]", "[1 2]", "[\"a]", "[\"\\x\"]", "[\"\\ud800\"]",
        "[\"\\udc00\"]", "[\"\\u12\"]", "[01]", "[-]", "[1.]", "[1e]", "[nul]", "[[1]]", "[{}]",
        "[1] 2", "{\"a b\":1}", "{\"target\":null}", "{\"target\":\"a\",\"target\":\"b\"}",
        "{\"args\":1}", "{\"queue\":null}", "{\"queue\":[null]}", "{\"queue\"}", "{\"\":1}",
        "{1:2}",
        "{\"queue\":1,}", "[\"a\nb\"]"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_expect_eq(parse(texts[i]), RECORD_WRONG, "%s", texts[i]);
        cr_expect_gt(error.size, 0, "%s", texts[i]);
    }
}
