/* test_number.c - strict decimal numbers; and the two other small judges of words: names, guesses.
 */
#include "protocol/name.h"
#include "protocol/number.h"
#include "protocol/word.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int unsigned_of(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    return number_parse_unsigned(text, strlen(text), min, max, ret_number);
}

static int signed_of(const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
    return number_parse_signed(text, strlen(text), min, max, ret_number);
}

Test(number, unsigned_in_its_range)
{
    uint64_t number = 77;
    cr_assert_eq(unsigned_of("0", 0, UINT64_MAX, &number), 0);
    cr_assert_eq(number, 0);
    cr_assert_eq(unsigned_of("18446744073709551615", 0, UINT64_MAX, &number), 0);
    cr_assert_eq(number, UINT64_MAX);
    cr_assert_eq(unsigned_of("5", 5, 5, &number), 0);
    cr_assert_eq(number, 5);
    cr_assert_eq(unsigned_of("18446744073709551616", 0, UINT64_MAX, &number), -ERANGE);
    cr_assert_eq(unsigned_of("99999999999999999999999", 0, UINT64_MAX, &number), -ERANGE);
    cr_assert_eq(unsigned_of("4", 5, 9, &number), -ERANGE);
    cr_assert_eq(unsigned_of("10", 5, 9, &number), -ERANGE);
    cr_assert_eq(number, 5);
}

Test(number, what_is_no_number)
{
    static const char *const wrong[] = {"",    " 1",  "1 ", "+1", "-",  "00", "01",
                                        "-01", "1.0", "x",  "1x", "0x1", "--1", "-0"};
    uint64_t natural = 77;
    int64_t integer = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_eq(unsigned_of(wrong[i], 0, UINT64_MAX, &natural), -EINVAL, "%s", wrong[i]);
        cr_assert_eq(signed_of(wrong[i], INT64_MIN, INT64_MAX, &integer), -EINVAL, "%s", wrong[i]);
    }
    cr_assert_eq(unsigned_of("-1", 0, UINT64_MAX, &natural), -EINVAL);
    cr_assert_eq(number_parse_unsigned("1\0", 2, 0, 9, &natural), -EINVAL);
    cr_assert_eq(natural, 77);
    cr_assert_eq(integer, 77);
}

Test(number, signed_in_its_range)
{
    int64_t number = 77;
    cr_assert_eq(signed_of("-9223372036854775808", INT64_MIN, INT64_MAX, &number), 0);
    cr_assert_eq(number, INT64_MIN);
    cr_assert_eq(signed_of("9223372036854775807", INT64_MIN, INT64_MAX, &number), 0);
    cr_assert_eq(number, INT64_MAX);
    cr_assert_eq(signed_of("-12", -12, 0, &number), 0);
    cr_assert_eq(number, -12);
    cr_assert_eq(signed_of("9223372036854775808", INT64_MIN, INT64_MAX, &number), -ERANGE);
    cr_assert_eq(signed_of("-9223372036854775809", INT64_MIN, INT64_MAX, &number), -ERANGE);
    cr_assert_eq(signed_of("-13", -12, 0, &number), -ERANGE);
    cr_assert_eq(signed_of("1", -12, 0, &number), -ERANGE);
    cr_assert_eq(number, -12);
}

static const char *wrong_name(const char *name)
{
    const char *reason = "valid";
    bool valid = name_is_valid(name, strlen(name), &reason);
    cr_assert_eq(valid, strcmp(reason, "valid") == 0);
    return reason;
}

Test(name, letters_first_and_no_option)
{
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    cr_assert_str_eq(wrong_name(longest), "is longer than 64 characters");
    longest[64] = '\0';
    cr_assert_str_eq(wrong_name(longest), "valid");
    cr_assert_str_eq(wrong_name("a"), "valid");
    cr_assert_str_eq(wrong_name("Mail_2.x:y-z"), "valid");
    cr_assert_str_eq(wrong_name(""), "is empty");
    cr_assert_str_eq(wrong_name("1a"), "does not begin with a letter");
    cr_assert_str_eq(wrong_name("_a"), "does not begin with a letter");
    cr_assert_str_eq(wrong_name("a b"),
                     "has a character other than letters, digits and _ . : -");
    cr_assert_str_eq(wrong_name("a\xc3\xa9"),
                     "has a character other than letters, digits and _ . : -");
    cr_assert_str_eq(wrong_name("Timeout"), "is the word of an option");
    cr_assert_not(name_is_valid("a\0", 2, NULL));
}

Test(word, nearest_within_two_typing_errors)
{
    static const char *const known[] = {"connections", "path", "uri", NULL};
    cr_assert_str_eq(word_nearest("conections", 10, known), "connections");
    cr_assert_str_eq(word_nearest("CONNECTOINS", 11, known), "connections");
    cr_assert_str_eq(word_nearest("url", 3, known), "uri");
    cr_assert_str_eq(word_nearest("pth", 3, known), "path");
    cr_assert_null(word_nearest("colour", 6, known));
    cr_assert_null(word_nearest("xyz", 3, known));
    cr_assert_null(word_nearest("", 0, known));
    char longest[100];
    memset(longest, 'a', sizeof longest);
    cr_assert_null(word_nearest(longest, sizeof longest, known));
}
