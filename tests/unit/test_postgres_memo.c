/* test_postgres_memo.c - what is remembered of a text is what reading it says, whatever texts
 * shared its place before. */
#include "targets/postgres_memo.h"

#include <await/pg.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct postgres_memo memo;

static void expect_as_read(const char *text, size_t size)
{
    bool expected = aw_pg_leaves_nothing(text, size);
    cr_expect_eq(postgres_memo_leaves_nothing(&memo, text, size), expected, "%.60s", text);
    cr_expect_eq(postgres_memo_leaves_nothing(&memo, text, size), expected, "%.60s again", text);
}

Test(postgres_memo, says_what_reading_says)
{
    /* the first two have one length, and differ in what they leave */
    static const char *const texts[] = {
        "SELECT lower($1)", "SELECT local($1)", "INSERT INTO t VALUES ($1)", "SELECT 1", "",
        "x", "SELECT set_config('a', 'b', false)",
    };
    for (int times = 0; times < 3; times++) {
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            expect_as_read(texts[i], strlen(texts[i]));
        }
    }
    postgres_memo_free(&memo);
}

Test(postgres_memo, tells_texts_of_one_place_apart)
{
    char text[64] = "SELECT lower($1), 1234";
    for (char digit = '0'; digit <= '9'; digit++) {
        text[strlen(text) - 1] = digit;
        memcpy(text + 7, digit % 2 ? "lower" : "local", 5);
        expect_as_read(text, strlen(text));
    }
    postgres_memo_free(&memo);
}

Test(postgres_memo, reads_long_texts_each_time)
{
    const size_t size = 100000;
    char *text = malloc(size);
    cr_assert_not_null(text);
    memset(text, ' ', size);
    memcpy(text, "SELECT 1", 8);
    expect_as_read(text, size);
    memcpy(text + size - 4, "f($)", 4);
    expect_as_read(text, size);
    free(text);
    postgres_memo_free(&memo);
}
