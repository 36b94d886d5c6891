/* test_ctl_json.c - the JSON awaitctl writes, and the daemon's replies in it. */
#include "ctl/json.h"
#include "ctl/reply.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct written {
    struct json json;
    FILE *stream;
    char *text;
    size_t size;
};

static void begin(struct written *written)
{
    written->stream = open_memstream(&written->text, &written->size);
    cr_assert_not_null(written->stream);
    json_init(&written->json, written->stream);
}

static void expect(struct written *written, const char *expected)
{
    fclose(written->stream);
    cr_assert_str_eq(written->text, expected);
    free(written->text);
}

Test(ctl_json, commas_between_members_and_elements)
{
    struct written out;
    begin(&out);
    json_object(&out.json);
    json_key_text(&out.json, "a");
    json_integer(&out.json, -1);
    json_key_text(&out.json, "b");
    json_array(&out.json);
    json_null(&out.json);
    json_array(&out.json);
    json_array_end(&out.json);
    json_string_text(&out.json, "x");
    json_array_end(&out.json);
    json_key_text(&out.json, "c");
    json_raw(&out.json, "true", 4);
    json_object_end(&out.json);
    expect(&out, "{\"a\":-1,\"b\":[null,[],\"x\"],\"c\":true}");
}

Test(ctl_json, strings_are_escaped)
{
    struct written out;
    begin(&out);
    json_string(&out.json, "q\"b\\n\n\t\0\x1b é", 12);
    expect(&out, "\"q\\\"b\\\\n\\n\\u0009\\u0000\\u001b é\"");
}

Test(ctl_json, bytes_that_are_no_text_become_base64)
{
    static const struct {
        const char *data;
        size_t size;
        const char *expected;
    } cases[] = {{"\xff", 1, "{\"base64\":\"/w==\"}"},
                 {"\xff\xfe", 2, "{\"base64\":\"//4=\"}"},
                 {"\xff\xfe\x00", 3, "{\"base64\":\"//4A\"}"},
                 {"\xc0\x80", 2, "{\"base64\":\"wIA=\"}"},          /* overlong */
                 {"\xed\xa0\x80", 3, "{\"base64\":\"7aCA\"}"},      /* surrogate */
                 {"ab\xc3", 3, "{\"base64\":\"YWLD\"}"}};           /* cut short */
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        struct written out;
        begin(&out);
        json_string(&out.json, cases[index].data, cases[index].size);
        expect(&out, cases[index].expected);
    }
}

Test(ctl_json, keys_are_always_strings)
{
    struct written out;
    begin(&out);
    json_object(&out.json);
    json_key(&out.json, "a\xff", 2);
    json_null(&out.json);
    json_object_end(&out.json);
    expect(&out, "{\"a\\ufffd\":null}");
}

/* --- replies ---------------------------------------------------------------------------------- */

static redisReply *parse(const char *resp)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    cr_assert_eq(redisReaderFeed(reader, resp, strlen(resp)), REDIS_OK);
    cr_assert_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    cr_assert_not_null(reply);
    redisReaderFree(reader);
    return reply;
}

static void expect_reply(const char *resp, const char *expected)
{
    struct written out;
    redisReply *reply = parse(resp);
    begin(&out);
    reply_json(&out.json, reply);
    expect(&out, expected);
    freeReplyObject(reply);
}

Test(ctl_reply, rows_become_objects)
{
    expect_reply("*3\r\n*2\r\n$2\r\nid\r\n$4\r\nname\r\n"
                 "*2\r\n$1\r\n1\r\n$-1\r\n*2\r\n$1\r\n2\r\n$1\r\nx\r\n",
                 "[{\"id\":\"1\",\"name\":null},{\"id\":\"2\",\"name\":\"x\"}]");
}

Test(ctl_reply, no_rows_are_an_empty_array)
{
    expect_reply("*1\r\n*1\r\n$2\r\nid\r\n", "[]");
}

Test(ctl_reply, columns_of_one_name_are_told_apart)
{
    expect_reply("*2\r\n*3\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"
                 "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n",
                 "[{\"a\":\"1\",\"a_2\":\"2\",\"a_3\":\"3\"}]");
}

Test(ctl_reply, other_shapes_stay_what_they_are)
{
    expect_reply("+INSERT 0 1\r\n", "\"INSERT 0 1\"");
    expect_reply(":7\r\n", "7");
    expect_reply("$-1\r\n", "null");
    expect_reply("*0\r\n", "[]");
    expect_reply("*2\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n", "[\"a\",[\"b\"]]");
    /* rows of different lengths are no table */
    expect_reply("*2\r\n*1\r\n$1\r\na\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n", "[[\"a\"],[\"1\",\"2\"]]");
    expect_reply("-FAILED 23505 duplicate key\r\n",
                 "{\"error\":{\"code\":\"FAILED\",\"message\":\"23505 duplicate key\"}}");
    expect_reply("-ERR\r\n", "{\"error\":{\"code\":\"ERR\",\"message\":\"\"}}");
}

Test(ctl_reply, exit_codes_follow_the_first_word)
{
    static const struct {
        const char *resp;
        enum exit_code code;
    } cases[] = {{"+OK\r\n", EXIT_OK},
                 {"-FAILED 42601 syntax error\r\n", EXIT_FAILED},
                 {"-CANCELLED by request\r\n", EXIT_FAILED},
                 {"-TIMEOUT not finished\r\n", EXIT_TIMEOUT},
                 {"-NOJOB 1\r\n", EXIT_REFUSED},
                 {"-FAILEDISH x\r\n", EXIT_REFUSED},
                 {"-UNAVAILABLE main\r\n", EXIT_REFUSED}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        redisReply *reply = parse(cases[index].resp);
        cr_assert_eq(reply_exit_code(reply), cases[index].code, "%s", cases[index].resp);
        freeReplyObject(reply);
    }
}
