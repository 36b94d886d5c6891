/* test_value.c - RESP values: the writers, the walk over them, and their RESP2 form. */
#include "protocol/value.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <string.h>

static void assert_text(struct buffer *buffer, const char *expected)
{
    buffer_append(buffer, "", 1);
    cr_assert_not(buffer->failed);
    cr_assert_str_eq(buffer->data, expected);
    buffer_clear(buffer);
}

static void assert_written(const char *value, const char *version_2)
{
    struct buffer out = {0};
    cr_assert_eq(value_length(value, strlen(value)), (long)strlen(value), "%s", value);
    buffer_append_text(&out, "before|");
    cr_assert_eq(value_write(&out, value, strlen(value), 3), 0);
    buffer_consume(&out, 7);
    assert_text(&out, value);
    cr_assert_eq(value_write(&out, value, strlen(value), 2), 0);
    assert_text(&out, version_2);
    buffer_free(&out);
}

Test(value, writers)
{
    struct buffer out = {0};
    value_simple(&out, "OK");
    assert_text(&out, "+OK\r\n");
    value_simple(&out, "two\r\nlines");
    assert_text(&out, "+two  lines\r\n");
    value_error(&out, "NOJOB", "no job %d\r\n+OK", 5);
    assert_text(&out, "-NOJOB no job 5  +OK\r\n");
    value_error(&out, "TIMEOUT", "%s", "");
    assert_text(&out, "-TIMEOUT\r\n");
    value_integer(&out, 0);
    assert_text(&out, ":0\r\n");
    value_integer(&out, INT64_MIN);
    assert_text(&out, ":-9223372036854775808\r\n");
    value_integer(&out, INT64_MAX);
    assert_text(&out, ":9223372036854775807\r\n");
    value_bulk_text(&out, "");
    assert_text(&out, "$0\r\n\r\n");
    value_bulk_text(&out, "ab");
    assert_text(&out, "$2\r\nab\r\n");
    value_bulk_number(&out, UINT64_MAX);
    assert_text(&out, "$20\r\n18446744073709551615\r\n");
    value_null(&out);
    assert_text(&out, "_\r\n");
    value_array(&out, 12);
    assert_text(&out, "*12\r\n");
    value_map(&out, 3);
    assert_text(&out, "%3\r\n");
    value_push(&out, 2);
    assert_text(&out, ">2\r\n");
    value_boolean(&out, true);
    value_boolean(&out, false);
    assert_text(&out, "#t\r\n#f\r\n");
    buffer_free(&out);
}

Test(value, doubles_are_the_shortest_that_read_back)
{
    struct buffer out = {0};
    value_double(&out, 0.1);
    assert_text(&out, ",0.1\r\n");
    value_double(&out, 10);
    assert_text(&out, ",10\r\n");
    value_double(&out, 1.0 / 3);
    assert_text(&out, ",0.3333333333333333\r\n");
    value_double(&out, 0.1 + 0.2);
    assert_text(&out, ",0.30000000000000004\r\n");
    value_double(&out, (double)INFINITY);
    value_double(&out, -(double)INFINITY);
    value_double(&out, (double)NAN);
    assert_text(&out, ",inf\r\n,-inf\r\n,nan\r\n");
    buffer_free(&out);
}

Test(value, bulk_keeps_any_byte)
{
    struct buffer out = {0};
    value_bulk(&out, "a\0\r\nb", 5);
    cr_assert_eq(out.size, 11);
    cr_assert_arr_eq(out.data, "$5\r\na\0\r\nb\r\n", 11);
    cr_assert_eq(value_length(out.data, out.size), 11);
    buffer_free(&out);
}

Test(value, version_2_rewrites_only_what_differs)
{
    assert_written("+OK\r\n", "+OK\r\n");
    assert_written("_\r\n", "$-1\r\n");
    assert_written("#t\r\n", ":1\r\n");
    assert_written("#f\r\n", ":0\r\n");
    assert_written(",1.5\r\n", "$3\r\n1.5\r\n");
    assert_written(",-inf\r\n", "$4\r\n-inf\r\n");
    assert_written(":-7\r\n", ":-7\r\n");
    assert_written("*0\r\n", "*0\r\n");
    assert_written("%0\r\n", "*0\r\n");
    assert_written(">2\r\n+a\r\n+b\r\n", "*2\r\n+a\r\n+b\r\n");
    assert_written("%2\r\n+a\r\n:1\r\n+b\r\n_\r\n", "*4\r\n+a\r\n:1\r\n+b\r\n$-1\r\n");
    assert_written("*3\r\n*1\r\n$1\r\na\r\n*1\r\n_\r\n-ERR no\r\n",
                   "*3\r\n*1\r\n$1\r\na\r\n*1\r\n$-1\r\n-ERR no\r\n");
    assert_written("*2\r\n$5\r\n_\r\n%1\r\n_\r\n", "*2\r\n$5\r\n_\r\n%1\r\n$-1\r\n");
}

Test(value, writes_several_values)
{
    struct buffer out = {0};
    const char *values = "+a\r\n_\r\n*1\r\n#t\r\n";
    cr_assert_eq(value_write(&out, values, strlen(values), 2), 0);
    assert_text(&out, "+a\r\n$-1\r\n*1\r\n:1\r\n");
    cr_assert_eq(value_length(values, strlen(values)), 4);
    cr_assert_eq(value_write(&out, "", 0, 2), 0);
    cr_assert_eq(out.size, 0);
    buffer_free(&out);
}

Test(value, every_cut_is_seen)
{
    const char *value = "%2\r\n$3\r\na\r\n\r\n*2\r\n_\r\n,1.5\r\n:12\r\n#t\r\n";
    size_t size = strlen(value);
    struct buffer out = {0};
    buffer_append_text(&out, "kept");
    for (size_t cut = 0; cut < size; cut++) {
        cr_assert_eq(value_length(value, cut), 0, "at %zu", cut);
        if (cut == 0)
            continue;
        cr_assert_eq(value_write(&out, value, cut, 2), -EPROTO, "at %zu", cut);
        cr_assert_eq(value_write(&out, value, cut, 3), -EPROTO, "at %zu", cut);
        cr_assert_eq(out.size, 4);
    }
    cr_assert_eq(value_length(value, size), (long)size);
    buffer_free(&out);
}

Test(value, malformed_is_refused_and_nothing_appended)
{
    static const char *const malformed[] = {
        "x\r\n",     "$-1\r\n",  "*-1\r\n", "$\r\n",     "$1\r\nabc\r\n",
        "$1\r\na\n\r", "$1x\r\na\r\n", "$1\ra", "*x\r\n", "*1234567890123456789\r\n",
        ":\r\n",     ":1x\r\n",  ":-\r\n",  "+a\nb\r\n", ":12345678901234567890\r\n",
        "+a\rb\r\n", "#\r\n",    "#x\r\n",  "#tt\r\n",   ",\r\n",
        ",1.5x\r\n", ",e\r\n",   ",0x10\r\n", "_x\r\n",  "%1\r\n+a\r\n\r\n",
        "\r\n",
    };
    struct buffer out = {0};
    buffer_append_text(&out, "kept");
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        const char *text = malformed[i];
        cr_assert_eq(value_length(text, strlen(text)), -EPROTO, "%s", text);
        cr_assert_eq(value_write(&out, text, strlen(text), 2), -EPROTO, "%s", text);
        cr_assert_eq(value_write(&out, text, strlen(text), 3), -EPROTO, "%s", text);
        cr_assert_eq(out.size, 4);
    }
    buffer_free(&out);
}

Test(value, nests_32_deep_and_no_deeper)
{
    struct buffer value = {0};
    struct buffer out = {0};
    for (int i = 0; i < 32; i++)
        value_array(&value, 1);
    value_null(&value);
    cr_assert_eq(value_length(value.data, value.size), (long)value.size);
    cr_assert_eq(value_write(&out, value.data, value.size, 2), 0);

    buffer_clear(&value);
    buffer_clear(&out);
    for (int i = 0; i < 33; i++)
        value_array(&value, 1);
    value_null(&value);
    cr_assert_eq(value_length(value.data, value.size), -EPROTO);
    cr_assert_eq(value_write(&out, value.data, value.size, 2), -EPROTO);
    cr_assert_eq(out.size, 0);
    buffer_free(&value);
    buffer_free(&out);
}
