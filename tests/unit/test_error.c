/* test_error.c - struct aw_error: one printable line, cut where UTF-8 allows. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(error, keeps_number_code_and_message)
{
    struct aw_error error;
    cr_assert_eq(aw_error_set_code(&error, -EIO, "23505", "key %d of %s", 7, "table"), -EIO);
    cr_assert_eq(error.number, -EIO);
    cr_assert_str_eq(error.code, "23505");
    cr_assert_str_eq(error.message, "key 7 of table");
    cr_assert_eq(aw_error_set(&error, -EPERM, "no"), -EPERM);
    cr_assert_str_eq(error.code, "", "a code of an earlier error stayed");
    cr_assert_eq(aw_error_set_code(&error, -EPERM, NULL, "no"), -EPERM);
    cr_assert_str_eq(error.code, "");
}

Test(error, nobody_has_to_want_it)
{
    cr_assert_eq(aw_error_set(NULL, -EIO, "%s", "lost"), -EIO);
    cr_assert_eq(aw_error_set_code(NULL, -EIO, "X", "%s", "lost"), -EIO);
}

Test(error, the_message_is_one_printable_line)
{
    struct aw_error error;
    AW_IGNORE(aw_error_set(&error, -EIO, "a\nb\tc\x01""d\x7f""e \r\n"));
    cr_assert_str_eq(error.message, "a b c d e");
    AW_IGNORE(aw_error_set(&error, -EIO, "\n\n"));
    cr_assert_str_eq(error.message, "");
}

Test(error, a_long_message_is_cut_at_a_character)
{
    static const char *const characters[] = {"x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t kind = 0; kind < 4; kind++) {
        size_t width = strlen(characters[kind]);
        for (size_t shift = 0; shift < 4; shift++) {
            char text[AW_ERROR_MESSAGE_SIZE + 64] = "";
            memset(text, '-', shift);
            while (strlen(text) + width < sizeof text)
                strcat(text, characters[kind]);
            struct aw_error error;
            AW_IGNORE(aw_error_set(&error, -EIO, "%s", text));
            size_t length = strlen(error.message);
            cr_expect_eq((length - shift) % width, 0, "a character of %zu bytes is cut", width);
            cr_expect_gt(length, AW_ERROR_MESSAGE_SIZE - 1 - width - 1);
            cr_expect_eq(memcmp(error.message, text, length), 0);
        }
    }
    /* one that just fits loses nothing */
    char exact[AW_ERROR_MESSAGE_SIZE];
    memset(exact, 'x', sizeof exact);
    memcpy(exact + sizeof exact - 3, "\xc3\xa4", 3);
    struct aw_error error;
    AW_IGNORE(aw_error_set(&error, -EIO, "%s", exact));
    cr_expect_str_eq(error.message, exact);
}

Test(error, a_long_code_is_cut)
{
    struct aw_error error;
    char code[AW_ERROR_CODE_SIZE + 8];
    memset(code, 'C', sizeof code);
    code[sizeof code - 1] = '\0';
    AW_IGNORE(aw_error_set_code(&error, -EIO, code, "x"));
    code[AW_ERROR_CODE_SIZE - 1] = '\0';
    cr_assert_str_eq(error.code, code);
}

Test(error, may_be_made_of_itself)
{
    struct aw_error error;
    AW_IGNORE(aw_error_set_code(&error, -EIO, "CODE", "the disk is gone"));
    AW_IGNORE(aw_error_set_code(&error, -EIO, error.code, "saving: %s (%s)", error.message,
                                error.code));
    cr_assert_str_eq(error.message, "saving: the disk is gone (CODE)");
    cr_assert_str_eq(error.code, "CODE");
}

Test(error, numbers_have_names_and_sentences)
{
    cr_expect_str_eq(aw_error_name(-ECONNREFUSED), "ECONNREFUSED");
    cr_expect_str_eq(aw_error_name(ECONNREFUSED), "ECONNREFUSED");
    cr_expect_str_eq(aw_error_text(-ECONNREFUSED), "Connection refused");
    cr_expect_str_eq(aw_error_name(-99999), "unknown error");
    cr_expect_not_null(aw_error_text(-99999));
}
