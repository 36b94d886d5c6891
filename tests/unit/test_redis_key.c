/* test_redis_key.c - which key a command is about, and the slot of a cluster that holds it. */
#include <await/redis_key.h>

#include <criterion/criterion.h>
#include <string.h>

static size_t tag(const char *key, const char **ret_text)
{
    size_t size = 99;
    *ret_text = key + aw_redis_hash_tag(key, strlen(key), &size);
    return size;
}

static bool tag_is(const char *key, const char *expected)
{
    const char *text;
    size_t size = tag(key, &text);
    return size == strlen(expected) && memcmp(text, expected, size) == 0;
}

Test(redis_key, the_first_braces_that_hold_something_decide)
{
    cr_expect(tag_is("user:7", "user:7"));
    cr_expect(tag_is("{user}:7", "user"));
    cr_expect(tag_is("a{b}{c}", "b"));
    cr_expect(tag_is("a{}{c}", "a{}{c}"), "an empty tag is none");
    cr_expect(tag_is("a{b", "a{b"));
    cr_expect(tag_is("a{{b}}", "{b"));
    cr_expect(tag_is("", ""));
}

/* The examples of the "Redis cluster specification". */
Test(redis_key, a_slot_is_the_crc_of_the_tag)
{
    cr_expect_eq(aw_redis_slot("123456789", 9), 0x31c3 % AW_REDIS_SLOTS);
    cr_expect_eq(aw_redis_slot("foo", 3), 12182);
    cr_expect_eq(aw_redis_slot("", 0), 0);
    cr_expect_eq(aw_redis_slot("{foo}.x", 7), 12182);
    cr_expect_eq(aw_redis_slot("foobar", 3), 12182, "the size counts");
}

static size_t first_key(size_t count, const char *const words[])
{
    size_t sizes[8];
    for (size_t i = 0; i < count; i++)
        sizes[i] = strlen(words[i]);
    return aw_redis_first_key(count, words, sizes);
}

Test(redis_key, a_commands_first_key_is_found)
{
    cr_expect_eq(first_key(2, (const char *[]){"GET", "a"}), 1);
    cr_expect_eq(first_key(1, (const char *[]){"PING"}), 0);
    cr_expect_eq(first_key(1, (const char *[]){"GET"}), 0, "too short");
    cr_expect_eq(first_key(4, (const char *[]){"EVAL", "return 1", "1", "k"}), 3);
    cr_expect_eq(first_key(3, (const char *[]){"EVAL", "return 1", "0"}), 0);
    cr_expect_eq(first_key(4, (const char *[]){"xread", "STREAMS", "s", "0"}), 2);
    cr_expect_eq(first_key(3, (const char *[]){"MODULE.COMMAND", "a", "b"}), 1);
}
