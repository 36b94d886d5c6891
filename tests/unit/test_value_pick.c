/* test_value_pick.c - which value of a result a row and a column mean. */
#include "protocol/value_pick.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define RESULT(text) text, sizeof(text) - 1

#define ROWS                                                                                    \
    "*3\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$2\r\n10\r\n_\r\n*2\r\n$0\r\n\r\n$4\r\nx\r\ny\r\n"

static void expect(const char *data, size_t size, bool is_sql, uint32_t row, uint32_t column,
                   const char *expected)
{
    struct argument value;
    const char *reason;
    cr_assert_eq(value_pick(data, size, is_sql, row, column, &value, &reason), 0, "%s", data);
    cr_assert_not(value.null);
    cr_assert_eq(value.size, strlen(expected), "%.*s", (int)value.size, value.data);
    cr_assert_eq(memcmp(value.data, expected, value.size), 0, "%.*s", (int)value.size, value.data);
}

static void expect_refusal(const char *data, size_t size, bool is_sql, uint32_t row,
                           uint32_t column, const char *word)
{
    struct argument value;
    const char *reason = "";
    cr_assert_eq(value_pick(data, size, is_sql, row, column, &value, &reason), -ENOENT);
    cr_assert_not_null(strstr(reason, word), "%s", reason);
}

Test(value_pick, rows_of_sql)
{
    struct argument value;
    const char *reason;
    expect(RESULT(ROWS), true, 0, 0, "10");
    expect(RESULT(ROWS), true, 1, 0, "");
    expect(RESULT(ROWS), true, 1, 1, "x\r\ny");
    cr_assert_eq(value_pick(RESULT(ROWS), true, 0, 1, &value, &reason), 0);
    cr_expect(value.null);
    expect_refusal(RESULT(ROWS), true, 2, 0, "row");
    expect_refusal(RESULT(ROWS), true, UINT32_MAX, 0, "row");
    expect_refusal(RESULT(ROWS), true, 0, 2, "column");
    expect_refusal(RESULT("*1\r\n*1\r\n$1\r\na\r\n"), true, 0, 0, "row");
    expect(RESULT("+INSERT 0 1\r\n"), true, 0, 0, "INSERT 0 1");
}

Test(value_pick, the_last_statement_of_a_transaction)
{
    expect(RESULT("*2\r\n+INSERT 0 1\r\n" ROWS), true, 0, 0, "10");
    expect(RESULT("*2\r\n" ROWS "+INSERT 0 1\r\n"), true, 0, 0, "INSERT 0 1");
    expect(RESULT("*1\r\n" ROWS), true, 0, 0, "10");
}

Test(value_pick, arrays_maps_and_plain_values)
{
    expect(RESULT(ROWS), false, 0, 1, "b");
    expect(RESULT("*3\r\n:200\r\n*1\r\n$4\r\nA: b\r\n$4\r\nbody\r\n"), false, 0, 0, "200");
    expect(RESULT("*3\r\n:200\r\n*1\r\n$4\r\nA: b\r\n$4\r\nbody\r\n"), false, 1, 0, "A: b");
    expect(RESULT("*3\r\n:200\r\n*1\r\n$4\r\nA: b\r\n$4\r\nbody\r\n"), false, 2, 0, "body");
    expect_refusal(RESULT("*1\r\n:1\r\n"), false, 0, 1, "column");
    expect_refusal(RESULT("*0\r\n"), false, 0, 0, "row");
    expect_refusal(RESULT("*1\r\n*1\r\n*1\r\n:1\r\n"), false, 0, 0, "array");
    expect_refusal(RESULT("*1\r\n-ERR no\r\n"), false, 0, 0, "error");
    expect(RESULT("%2\r\n+k\r\n:1\r\n+l\r\n,2.5\r\n"), false, 1, 0, "l");
    expect(RESULT("%2\r\n+k\r\n:1\r\n+l\r\n,2.5\r\n"), false, 1, 1, "2.5");
    expect_refusal(RESULT("%1\r\n+k\r\n:1\r\n"), false, 0, 2, "column");
    expect_refusal(RESULT("%1\r\n+k\r\n:1\r\n"), false, 1, 0, "row");
    expect(RESULT(":-42\r\n"), false, 0, 0, "-42");
}

Test(value_pick, what_is_not_there_or_damaged)
{
    expect(RESULT("#t\r\n"), false, 0, 0, "1");
    expect(RESULT("#f\r\n"), false, 0, 0, "0");
    expect_refusal(RESULT(":1\r\n"), false, 1, 0, "row");
    expect_refusal(RESULT(":1\r\n"), false, 0, 1, "column");
    expect_refusal(NULL, 0, true, 0, 0, "no result");
    expect_refusal(RESULT("$5\r\nabc"), true, 0, 0, "no result");
    expect_refusal(RESULT("hello\r\n"), true, 0, 0, "no result");
}
