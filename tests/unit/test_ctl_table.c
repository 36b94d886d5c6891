/* test_ctl_table.c - tables: aligned for a terminal, tab-separated for a pipe; hostile text
 * stays text. */
#include "ctl/table.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static void set_up(void)
{
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
}

TestSuite(ctl_table, .init = set_up);
TestSuite(ctl_text, .init = set_up);

static char *printed(struct table *table)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    table_print(table, out);
    fclose(out);
    return text;
}

static void expect(struct table *table, const char *expected)
{
    char *text = printed(table);
    cr_assert_str_eq(text, expected);
    free(text);
}

static void two_columns(struct table *table, const struct table_style *style)
{
    table_init(table, style, 2);
    table_name(table, 0, "n", 1);
    table_name(table, 1, "name", 4);
}

Test(ctl_table, numbers_right_text_left)
{
    struct table table;
    two_columns(&table, &(struct table_style){.terminal = true});
    table_add_text(&table, "1");
    table_add_text(&table, "a");
    table_add_text(&table, "-200");
    table_add_text(&table, "bcdefg");
    expect(&table, "   n  name\n----  ------\n   1  a\n-200  bcdefg\n");
    table_free(&table);
}

Test(ctl_table, columns_on_the_screen_count_not_bytes)
{
    struct table table;
    two_columns(&table, &(struct table_style){.terminal = true});
    table_add_text(&table, "日本"); /* two characters, four columns */
    table_add_text(&table, "x");
    table_add_text(&table, "e\xcc\x81"); /* e and a combining accent: one column */
    table_add_text(&table, "y");
    expect(&table, "n     name\n----  ----\n日本  x\ne\xcc\x81     y\n");
    table_free(&table);
}

Test(ctl_table, null_is_not_the_text_null)
{
    struct table table;
    table_init(&table, &(struct table_style){.terminal = true}, 1);
    table_name(&table, 0, "v", 1);
    table_add(&table, NULL, 0);
    table_add_text(&table, "NULL");
    expect(&table, "v\n------\n<NULL>\nNULL\n");
    table_free(&table);

    table_init(&table, &(struct table_style){.terminal = true, .colour = true}, 1);
    table_name(&table, 0, "v", 1);
    table_add(&table, NULL, 0);
    expect(&table, "\033[1mv\033[0m\n----\n\033[2mNULL\033[0m\n");
    table_free(&table);

    table_init(&table, &(struct table_style){0}, 2);
    table_add(&table, NULL, 0);
    table_add_text(&table, "\\N");
    expect(&table, "\\N\t\\\\N\n");
    table_free(&table);
}

Test(ctl_table, pipes_get_one_line_a_row)
{
    struct table table;
    two_columns(&table, &(struct table_style){0});
    table_add_text(&table, "a\tb");
    table_add_text(&table, "c\nd\\");
    table_add_text(&table, "");
    table_add_text(&table, "");
    expect(&table, "a\\tb\tc\\nd\\\\\n\t\n");
    table_free(&table);

    two_columns(&table, &(struct table_style){.header = true});
    table_add_text(&table, "1");
    table_add_text(&table, "x");
    expect(&table, "n\tname\n1\tx\n");
    table_free(&table);
}

Test(ctl_table, pages_share_one_header)
{
    struct table table;
    two_columns(&table, &(struct table_style){.terminal = true});
    table_add_text(&table, "1000");
    table_add_text(&table, "a");
    expect(&table, "   n  name\n----  ----\n1000  a\n");
    table_add_text(&table, "2");
    table_add_text(&table, "b");
    expect(&table, "   2  b\n");
    table_free(&table);
}

Test(ctl_table, the_last_column_is_cut_to_the_screen)
{
    struct table table;
    two_columns(&table, &(struct table_style){.terminal = true, .width_max = 16});
    table_add_text(&table, "abc");
    table_add_text(&table, "0123456789abcdef");
    expect(&table, "n    name\n---  -----------\nabc  0123456789…\n");
    table_free(&table);
}

Test(ctl_table, a_table_without_rows_shows_its_names)
{
    struct table table;
    two_columns(&table, &(struct table_style){.terminal = true});
    expect(&table, "n  name\n-  ----\n");
    table_free(&table);
}

static void expect_visible(const char *data, size_t size, enum text_lines lines,
                           const char *expected, size_t columns)
{
    struct text text = {0};
    cr_assert_eq(text_append_visible(&text, data, size, lines), columns, "%s", expected);
    cr_assert_str_eq(text.data, expected);
    text_free(&text);
}

Test(ctl_text, nothing_reaches_the_terminal_that_it_would_obey)
{
    expect_visible("\x1b[31mred", 8, TEXT_ESCAPE_LINES, "\\x1b[31mred", 11);
    expect_visible("a\0b", 3, TEXT_ESCAPE_LINES, "a\\x00b", 6);
    expect_visible("\xff\xc3", 2, TEXT_ESCAPE_LINES, "\\xff\\xc3", 8);
    expect_visible("\xc2\x9b", 2, TEXT_ESCAPE_LINES, "\\x9b", 4);                 /* 8-bit CSI */
    expect_visible("\xe2\x80\xae", 3, TEXT_ESCAPE_LINES, "\\u{202e}", 8);       /* right to left */
    expect_visible("a\n\tb\r", 5, TEXT_ESCAPE_LINES, "a\\n\\tb\\r", 8);
    expect_visible("a\n\tb\r", 5, TEXT_KEEP_LINES, "a\n\tb\\r", 4);
}

Test(ctl_text, cutting_counts_columns)
{
    static const struct {
        const char *text;
        size_t columns;
        const char *expected;
    } cases[] = {{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"日本語", 5, "日本…"},
                 {"日本語", 4, "日…"}, {"abc", 1, "…"},   {"abc", 0, ""}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct text text = {0};
        text_append_string(&text, cases[index].text);
        size_t width = text_cut(&text, cases[index].columns);
        cr_assert_str_eq(text.data, cases[index].expected);
        cr_assert_leq(width, cases[index].columns);
        text_free(&text);
    }
}
