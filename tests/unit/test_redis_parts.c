/* test_redis_parts.c - the Redis client's parts without a server: URIs, rules, commands, and the
 * scanner and parser of replies. */
#include "clients/redis_command.h"
#include "clients/redis_parser.h"
#include "clients/redis_rules.h"
#include "clients/redis_uri.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- URIs ------------------------------------------------------------------------------------- */

static struct redis_endpoint endpoint;
static struct aw_error error;

static int parse(const char *uri)
{
    error = (struct aw_error){0};
    return redis_endpoint_parse(&endpoint, uri, NULL, &error);
}

Test(redis_uri, host_port_and_database)
{
    cr_assert_eq(parse(NULL), 0);
    cr_expect_str_eq(endpoint.host, "127.0.0.1");
    cr_expect_eq(endpoint.port, 6379);
    cr_assert_eq(parse("redis://db.example"), 0);
    cr_expect_str_eq(endpoint.host, "db.example");
    cr_expect_eq(endpoint.port, 6379);
    cr_expect_eq(endpoint.database, 0);
    cr_assert_eq(parse("redis://db.example:7000/12"), 0);
    cr_expect_eq(endpoint.port, 7000);
    cr_expect_eq(endpoint.database, 12);
    cr_assert_eq(parse("redis://[::1]:7000/"), 0);
    cr_expect_str_eq(endpoint.host, "::1");
    cr_expect_str_eq(endpoint.label, "Redis at [::1]:7000");
    cr_assert_eq(parse("redis://h?db=4"), 0);
    cr_expect_eq(endpoint.database, 4);
}

Test(redis_uri, user_and_password_are_decoded_and_kept_out_of_the_label)
{
    cr_assert_eq(parse("redis://ada:p%40ss%2F@h:1"), 0);
    cr_expect_str_eq(endpoint.user, "ada");
    cr_expect_str_eq(endpoint.password, "p@ss/");
    cr_expect_str_eq(endpoint.label, "Redis at h:1");
    cr_assert_eq(parse("redis://:secret@h"), 0);
    cr_expect_str_eq(endpoint.user, "");
    cr_expect_str_eq(endpoint.password, "secret");
    cr_assert_eq(redis_endpoint_parse(&endpoint, "redis://ada:old@h", "new", &error), 0);
    cr_expect_str_eq(endpoint.password, "new");
}

Test(redis_uri, unix_sockets)
{
    cr_assert_eq(parse("unix:///run/redis%20a.sock?db=2"), 0);
    cr_expect_str_eq(endpoint.path, "/run/redis a.sock");
    cr_expect_eq(endpoint.database, 2);
    cr_expect_str_eq(endpoint.host, "");
    cr_assert_eq(parse("unix://u:p@/run/r.sock"), 0);
    cr_expect_str_eq(endpoint.user, "u");
    cr_expect_str_eq(endpoint.path, "/run/r.sock");
}

Test(redis_uri, what_is_wrong_is_refused_without_showing_secrets)
{
    static const char *const wrong[] = {
        "", "redis", "http://h", "redis://", "redis://:80", "redis://h:0", "redis://h:65536",
        "redis://h:port", "redis://h:", "redis://h/x", "redis://h/-1", "redis://h/1?x=1",
        "redis://[::1", "redis://h%zz", "redis://h%0", "redis://h%00h", "redis://secret@h",
        "redis://u:secret@", "redis://u:secret%@h", "unix://", "unix://run/r.sock",
        "unix:///r?db=x", "unix:///r?database=1", "redis://[::1]x",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_expect_eq(parse(wrong[i]), -EINVAL, "%s", wrong[i]);
        cr_expect_null(strstr(error.message, "secret"), "%s", error.message);
        cr_expect_neq(error.message[0], '\0');
    }
    char path[200] = "unix:///";
    memset(path + 8, 'x', 120);
    cr_expect_eq(parse(path), -EINVAL);
}

/* --- rules ------------------------------------------------------------------------------------ */

static enum redis_use use_of(const char *text)
{
    static char copy[200];
    static const char *words[20];
    static size_t sizes[20];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        words[count] = word;
        sizes[count++] = strlen(word);
    }
    const char *reason = NULL;
    enum redis_use use = redis_use_of(count, words, sizes, &reason);
    cr_expect_eq(use == REDIS_USE_REFUSED, reason != NULL, "%s", text);
    return use;
}

Test(redis_rules, commands_are_shared_blocking_or_refused)
{
    static const char *const shared[] = {
        "GET k", "SETEX k 1 v", "EVAL x 0", "XREAD COUNT 1 STREAMS block 0", "CLIENT LIST",
        "CLIENT", "XREADGROUP GROUP block c STREAMS s >", "SCRIPT LOAD x", "BLPO", "BLPOPX",
        "PUBLISH c m",
        "LPOP k", "XREADGROUP GROUP g BLOCK STREAMS s >",
    };
    static const char *const blocking[] = {
        "blpop k 0", "BRPOP k 0", "BLMOVE a b LEFT LEFT 0", "BLMPOP 0 1 k LEFT", "BZPOPMIN k 0",
        "BZPOPMAX k 0", "BZMPOP 0 1 k MIN", "BRPOPLPUSH a b 0", "XREAD block 0 STREAMS s $",
        "XREADGROUP GROUP g c COUNT 1 BLOCK 5 STREAMS s >",
    };
    static const char *const refused[] = {
        "MULTI", "exec", "WATCH k", "SUBSCRIBE c", "PSUBSCRIBE p", "SSUBSCRIBE c", "MONITOR",
        "SELECT 1", "AUTH x", "HELLO 3", "QUIT", "RESET", "CLIENT REPLY OFF", "client tracking on",
        "CLIENT SETNAME x", "SYNC", "PSYNC ? -1", "DEBUG SLEEP 1", "SHUTDOWN", "WAIT 1 0",
        "WAITAOF 1 0 0", "ASKING", "READONLY", "SCRIPT DEBUG YES", "DISCARD", "UNWATCH",
    };
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        cr_expect_eq(use_of(shared[i]), REDIS_USE_SHARED, "%s", shared[i]);
    for (size_t i = 0; i < sizeof blocking / sizeof blocking[0]; i++)
        cr_expect_eq(use_of(blocking[i]), REDIS_USE_BLOCKING, "%s", blocking[i]);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        cr_expect_eq(use_of(refused[i]), REDIS_USE_REFUSED, "%s", refused[i]);
}

/* --- replies ---------------------------------------------------------------------------------- */

/* Feeds `text` in pieces of `piece` bytes; the last result that was not PART. */
static int feed(struct redis_parser *parser, const char *text, size_t piece,
                struct aw_redis_reply **ret_reply)
{
    int last = REDIS_PARSED_PART;
    size_t size = strlen(text);
    for (size_t at = 0; at < size && (last == REDIS_PARSED_PART || last == REDIS_PARSED_OVER);) {
        size_t used = 0;
        size_t take = size - at < piece ? size - at : piece;
        int result = redis_parser_feed(parser, text + at, take, &used, ret_reply);
        if (result < 0)
            return result;
        if (result != REDIS_PARSED_PART)
            last = result;
        at += used;
    }
    return last;
}

Test(redis_parser, pieces_of_any_size_give_the_same_reply)
{
    static const char text[] = "*4\r\n*2\r\n:1\r\n*1\r\n$3\r\na\r\n\r\n-E x\r\n*-1\r\n+\r\n";
    for (size_t piece = 1; piece <= sizeof text; piece++) {
        struct redis_parser parser;
        struct aw_redis_reply *reply = NULL;
        redis_parser_init(&parser);
        redis_parser_begin(&parser, 1000, 100, false);
        cr_assert_eq(feed(&parser, text, piece, &reply), REDIS_PARSED_REPLY, "piece %zu", piece);
        cr_assert_eq(reply->count, 4);
        cr_expect_eq(reply->elements[0]->elements[1]->elements[0]->size, 3);
        cr_expect_str_eq(reply->elements[1]->text, "E x");
        cr_expect_eq(reply->elements[2]->type, AW_REDIS_NULL);
        cr_expect_eq(reply->elements[3]->size, 0);
        aw_redis_reply_free(reply);
        redis_parser_free(&parser);
    }
}

Test(redis_parser, a_reply_over_a_limit_is_followed_to_its_end)
{
    static const struct {
        const char *text;
        const char *over;
    } cases[] = {
        {"$30\r\n012345678901234567890123456789\r\n", "size"},
        {"+0123456789012345678901234567890123\r\n", "size"},
        {"*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n", "elements"},
        {"*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n:3\r\n", "elements"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece <= 40; piece += 3) {
            struct redis_parser parser;
            struct aw_redis_reply *reply = NULL;
            redis_parser_init(&parser);
            redis_parser_begin(&parser, 30, 5, false);
            cr_expect_eq(feed(&parser, cases[i].text, piece, &reply), REDIS_PARSED_DROPPED);
            cr_expect_str_eq(parser.frame.over, cases[i].over);
            redis_parser_begin(&parser, 30, 5, false);
            cr_expect_eq(feed(&parser, "+OK\r\n", piece, &reply), REDIS_PARSED_REPLY);
            aw_redis_reply_free(reply);
            redis_parser_free(&parser);
        }
}

Test(redis_parser, depth_has_a_limit_and_a_last_one)
{
    char text[200] = "";
    struct redis_parser parser;
    struct aw_redis_reply *reply = NULL;
    redis_parser_init(&parser);
    for (int depth = 1; depth <= REDIS_FRAME_DEPTH_MAX + 1; depth++) {
        strcat(text, "*1\r\n");
        char whole[220];
        snprintf(whole, sizeof whole, "%s:1\r\n", text);
        redis_parser_begin(&parser, 1000, 1000, false);
        int expected = depth <= AW_REDIS_DEPTH_MAX       ? REDIS_PARSED_REPLY
                       : depth <= REDIS_FRAME_DEPTH_MAX ? REDIS_PARSED_DROPPED
                                                        : -EPROTO;
        cr_expect_eq(feed(&parser, whole, 1000, &reply), expected, "depth %d", depth);
        if (expected == REDIS_PARSED_REPLY)
            aw_redis_reply_free(reply);
    }
    redis_parser_free(&parser);
}

/* --- commands --------------------------------------------------------------------------------- */

/* Written as hiredis writes it, and within the size that was announced. */
static void check_written(size_t count, const char *arguments[], const size_t sizes[])
{
    char *expected = NULL;
    long long size = redisFormatCommandArgv(&expected, (int)count, arguments, sizes);
    cr_assert_gt(size, 0);
    char *written = malloc(redis_command_size(count, sizes));
    cr_assert_not_null(written);
    size_t written_size = redis_command_write(written, count, arguments, sizes);
    cr_expect_eq(written_size, (size_t)size);
    cr_expect_leq(written_size, redis_command_size(count, sizes));
    cr_expect_eq(memcmp(written, expected, written_size), 0);
    free(written);
    redisFreeCommand(expected);
}

Test(redis_command, is_written_as_hiredis_does)
{
    static char large[100001];
    memset(large, 'x', sizeof large);
    const char *arguments[12] = {"SET", "", "a\0b\r\n", large};
    const size_t lengths[] = {0, 1, 9, 10, 99, 100, 65535, 99999, 100000, sizeof large};
    size_t sizes[12] = {3, 0, 5, 0};
    for (size_t count = 1; count <= 3; count++)
        check_written(count, arguments, sizes);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        sizes[3] = lengths[i];
        check_written(4, arguments, sizes);
    }
    for (size_t i = 4; i < 12; i++) {
        arguments[i] = "word";
        sizes[i] = 4;
        check_written(i + 1, arguments, sizes); /* the count gets a second digit */
    }
}
