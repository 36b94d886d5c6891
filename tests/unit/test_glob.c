/* test_glob.c - the patterns of PSUBSCRIBE, as Redis has them, and their cost. */
#include "protocol/glob.h"

#include <criterion/criterion.h>
#include <string.h>

static bool matches(const char *pattern, const char *text)
{
    return glob_matches(pattern, strlen(pattern), text, strlen(text));
}

Test(glob, plain_text_matches_itself)
{
    cr_expect(matches("queue:mail", "queue:mail"));
    cr_expect_not(matches("queue:mail", "queue:mails"));
    cr_expect_not(matches("queue:mails", "queue:mail"));
    cr_expect(matches("", ""));
    cr_expect_not(matches("", "a"));
}

Test(glob, stars_and_question_marks)
{
    cr_expect(matches("*", ""));
    cr_expect(matches("*", "anything"));
    cr_expect(matches("job:*", "job:17"));
    cr_expect_not(matches("job:*", "queue:17"));
    cr_expect(matches("*:mail*", "target:mailer"));
    cr_expect(matches("a*b*c", "axxbyybzzc"));
    cr_expect_not(matches("a*b*c", "axxbyyzz"));
    cr_expect(matches("a**c", "abc"));
    cr_expect(matches("j?b", "job"));
    cr_expect_not(matches("j?b", "jb"));
}

Test(glob, classes)
{
    cr_expect(matches("h[ae]llo", "hallo"));
    cr_expect_not(matches("h[ae]llo", "hillo"));
    cr_expect(matches("h[^e]llo", "hallo"));
    cr_expect_not(matches("h[^e]llo", "hello"));
    cr_expect(matches("q[0-9]", "q7"));
    cr_expect(matches("q[9-0]", "q7"));
    cr_expect_not(matches("q[0-9]", "qx"));
    cr_expect(matches("q[\\]]", "q]"));
    cr_expect(matches("q[a-]", "q-"));
    cr_expect(matches("q[ab", "qb"));
    cr_expect_not(matches("q[", "q"));
}

Test(glob, escapes)
{
    cr_expect(matches("a\\*b", "a*b"));
    cr_expect_not(matches("a\\*b", "axb"));
    cr_expect(matches("a\\", "a\\"));
    cr_expect(matches("\\?", "?"));
}

Test(glob, bytes_are_bytes)
{
    cr_expect(glob_matches("a?\xff", 3, "a\0\xff", 3));
    cr_expect(glob_matches("[\x80-\xff]", 5, "\xc3", 1));
}

Test(glob, many_stars_do_not_take_for_ever)
{
    char pattern[401];
    char text[20001];
    for (size_t i = 0; i < 400; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[400] = 'b';
    memset(text, 'a', sizeof text);
    cr_expect_not(glob_matches(pattern, sizeof pattern, text, sizeof text));
}
