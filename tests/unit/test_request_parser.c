/* test_request_parser.c - requests in one piece and in every two, limits, and each error. */
#include "protocol/request_parser.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expectation {
    const char *input;
    size_t input_size; /* 0: the length of the text */
    uint32_t count;
    struct argument arguments[6];
};

#define ARGUMENT(text) {.data = text, .size = sizeof text - 1}

static const struct expectation requests[] = {
    {.input = "*1\r\n$4\r\nPING\r\n", .count = 1, .arguments = {ARGUMENT("PING")}},
    {.input = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\na\r\nb$1\r\n*2\r\n\r\n",
     .count = 3,
     .arguments = {ARGUMENT("SET"), ARGUMENT(""), ARGUMENT("a\r\nb$1\r\n*2\r\n")}},
    {.input = "*2\r\n$1\r\n\0\r\n$2\r\n\0\n\r\n",
     .input_size = 19,
     .count = 2,
     .arguments = {ARGUMENT("\0"), ARGUMENT("\0\n")}},
    {.input = "*0\r\n*-1\r\n\r\n\n  \r\n*1\r\n$1\r\nx\r\n",
     .count = 1,
     .arguments = {ARGUMENT("x")}},
    {.input = "PING\r\n", .count = 1, .arguments = {ARGUMENT("PING")}},
    {.input = "PING\n", .count = 1, .arguments = {ARGUMENT("PING")}},
    {.input = "  run \t main\v \"SELECT 'a', \\\"b\\\"\"  \r\n",
     .count = 3,
     .arguments = {ARGUMENT("run"), ARGUMENT("main\v"), ARGUMENT("SELECT 'a', \"b\"")}},
    {.input = "x 'it\\'s \\n' \"\" '' \"\\x41\\x0a\\n\\r\\t\\b\\a\\\\\\q\\xg1\"\r\n",
     .count = 5,
     .arguments = {ARGUMENT("x"), ARGUMENT("it's \\n"), ARGUMENT(""), ARGUMENT(""),
                   ARGUMENT("A\n\n\r\t\b\a\\qxg1")}},
    {.input = "a\"b c\" d'e f'\r\n", .count = 2, .arguments = {ARGUMENT("ab c"), ARGUMENT("de f")}},
    {.input = "$3\r\n", .count = 1, .arguments = {ARGUMENT("$3")}},
};
#define REQUESTS (sizeof requests / sizeof *requests)

static size_t input_size(const struct expectation *expected)
{
    return expected->input_size ? expected->input_size : strlen(expected->input);
}

static void assert_request(const struct request_parser *parser, const struct expectation *expected)
{
    cr_assert_eq(parser->argument_count, expected->count);
    for (uint32_t i = 0; i < expected->count; i++) {
        const struct argument *is = &parser->arguments[i];
        const struct argument *should = &expected->arguments[i];
        cr_assert_eq(is->size, should->size, "%s: %u", expected->input, i);
        cr_assert_eq(memcmp(is->data, should->data, should->size), 0, "%s: %u", expected->input,
                     i);
        cr_assert_not(is->null);
    }
}

/* A copy of exactly this size, so that a sanitizer sees a read past the end. */
static char *exact_copy(const char *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    return copy;
}

static struct request_parser new_parser(void)
{
    struct request_parser parser;
    request_parser_init(&parser, &REQUEST_LIMITS_DEFAULT);
    return parser;
}

Test(request_parser, whole_requests)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        struct request_parser parser = new_parser();
        size_t size = input_size(&requests[i]);
        char *data = exact_copy(requests[i].input, size);
        size_t used;
        cr_assert_eq(request_parse(&parser, data, size, &used), 1, "%s", requests[i].input);
        cr_assert_eq(used, size);
        assert_request(&parser, &requests[i]);
        free(data);
        request_parser_free(&parser);
    }
}

Test(request_parser, every_split_with_moving_input)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        size_t size = input_size(&requests[i]);
        for (size_t split = 0; split < size; split++) {
            struct request_parser parser = new_parser();
            char *first = exact_copy(requests[i].input, split);
            size_t used;
            cr_assert_eq(request_parse(&parser, first, split, &used), 0, "%s at %zu",
                         requests[i].input, split);
            cr_assert_geq(parser.needed, 1);
            cr_assert_leq(parser.needed, size - split, "%s at %zu", requests[i].input, split);
            char *second = exact_copy(requests[i].input + used, size - used);
            memcpy(second, first + used, split - used);
            free(first);
            size_t used_later;
            cr_assert_eq(request_parse(&parser, second, size - used, &used_later), 1);
            cr_assert_eq(used + used_later, size);
            assert_request(&parser, &requests[i]);
            free(second);
            request_parser_free(&parser);
        }
    }
}

Test(request_parser, byte_by_byte_and_pipelined)
{
    struct request_parser parser = new_parser();
    char *input = malloc(4096);
    size_t have = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        size_t size = input_size(&requests[i]);
        for (size_t sent = 0; sent < size; sent++) {
            input[have++] = requests[i].input[sent];
            size_t used;
            int result = request_parse(&parser, input, have, &used);
            cr_assert_eq(result, sent + 1 == size ? 1 : 0, "%s at %zu", requests[i].input, sent);
            if (result == 1)
                assert_request(&parser, &requests[i]);
            have -= used;
            memmove(input, input + used, have);
        }
        cr_assert_eq(have, 0);
    }
    for (size_t i = 0; i < REQUESTS; i++) {
        memcpy(input + have, requests[i].input, input_size(&requests[i]));
        have += input_size(&requests[i]);
    }
    size_t at = 0;
    size_t used;
    for (size_t i = 0; i < REQUESTS; i++) {
        cr_assert_eq(request_parse(&parser, input + at, have - at, &used), 1);
        assert_request(&parser, &requests[i]);
        at += used;
    }
    cr_assert_eq(request_parse(&parser, input + at, have - at, &used), 0);
    cr_assert_eq(at, have);
    free(input);
    request_parser_free(&parser);
}

Test(request_parser, says_how_much_is_missing_of_a_bulk)
{
    struct request_parser parser = new_parser();
    char *data = exact_copy("*2\r\n$3\r\nSET\r\n$1000\r\nabc", 23);
    size_t used;
    cr_assert_eq(request_parse(&parser, data, 23, &used), 0);
    cr_assert_eq(used, 0);
    cr_assert_eq(parser.needed, 1002 - 3);
    free(data);
    request_parser_free(&parser);
}

static const struct request_limits small = {
    .arguments_max = 3, .bulk_size_max = 8, .request_size_max = 40, .inline_size_max = 16};

/* The result for the whole input and for every way to cut it in two, which must be the same. */
static int parse_small(const char *text, char error[80])
{
    size_t size = strlen(text);
    int result = 0;
    for (size_t split = 0; split <= size; split++) {
        struct request_parser parser;
        request_parser_init(&parser, &small);
        char *data = exact_copy(text, size);
        size_t used = 0;
        int now = request_parse(&parser, data, split, &used);
        size_t at = used;
        if (now == 0)
            now = request_parse(&parser, data + at, size - at, &used);
        if (split > 0)
            cr_assert_eq(now, result, "%s at %zu", text, split);
        result = now;
        strcpy(error, parser.error);
        if (now < 0)
            cr_assert_eq(request_parse(&parser, data, size, &used), -EPROTO);
        free(data);
        request_parser_free(&parser);
    }
    return result;
}

static void assert_refused(const char *text, const char *expected)
{
    char error[80] = "";
    cr_assert_eq(parse_small(text, error), -EPROTO, "%s", text);
    cr_assert_str_eq(error, expected, "%s: %s", text, error);
}

static void assert_accepted(const char *text)
{
    char error[80] = "";
    cr_assert_eq(parse_small(text, error), 1, "%s: %s", text, error);
}

Test(request_parser, limits_at_and_above)
{
    assert_accepted("*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    assert_refused("*4\r\n", "Protocol error: invalid multibulk length");
    assert_accepted("*1\r\n$8\r\n12345678\r\n");
    assert_refused("*1\r\n$9\r\n", "Protocol error: invalid bulk length");
    assert_accepted("*3\r\n$8\r\n12345678\r\n$4\r\n1234\r\n$6\r\n123456\r\n");
    assert_refused("*3\r\n$8\r\n12345678\r\n$4\r\n1234\r\n$7\r\n",
                   "Protocol error: too big request");
    assert_accepted("1234567890 23456\n");
    assert_accepted("1234567890 2345\r\n");
    assert_refused("1234567890 234567\n", "Protocol error: too big inline request");
    assert_refused("1234567890 234567", "Protocol error: too big inline request");
    assert_accepted("a b c\r\n");
    assert_refused("a b c d\r\n", "Protocol error: too many arguments in inline request");
}

Test(request_parser, a_gigabyte_is_refused_at_its_header)
{
    struct request_parser parser = new_parser();
    char data[] = "*1\r\n$1073741824\r\n";
    size_t used;
    cr_assert_eq(request_parse(&parser, data, sizeof data - 1, &used), -EPROTO);
    cr_assert_str_eq(parser.error, "Protocol error: invalid bulk length");
    cr_assert_null(parser.arguments);
    request_parser_free(&parser);
}

Test(request_parser, malformed)
{
    static const char *const counts[] = {"*\r\n",   "*x\r\n", "*1x\r\n", "*01\r\n",  "*-0\r\n",
                                         "*--1\r\n", "*+1\r\n", "*1\r\r", "* 1\r\n", "*1\n",
                                         "*1234567890123456789\r\n",      "*-\r\n"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        assert_refused(counts[i], "Protocol error: invalid multibulk length");
    static const char *const sizes[] = {"$\r\n",  "$-1\r\n", "$x\r\n", "$1x\r\n", "$00\r\n",
                                        "$1\rx",  "$+1\r\n", "$1\n",   "$999999999999999999999"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[64] = "*1\r\n";
        assert_refused(strcat(text, sizes[i]), "Protocol error: invalid bulk length");
    }
    assert_refused("*1\r\nx", "Protocol error: expected '$', got 'x'");
    assert_refused("*1\r\n:1\r\n", "Protocol error: expected '$', got ':'");
    assert_refused("*1\r\n\r", "Protocol error: expected '$', got '\\x0d'");
    assert_refused("*1\r\n$1\r\nab\r\n", "Protocol error: expected CRLF after a bulk string");
    assert_refused("*1\r\n$1\r\na\rb", "Protocol error: expected CRLF after a bulk string");
    assert_refused("a \"b\r\n", "Protocol error: unbalanced quotes in request");
    assert_refused("a 'b\r\n", "Protocol error: unbalanced quotes in request");
    assert_refused("a \"b\\\"\r\n", "Protocol error: unbalanced quotes in request");
    assert_refused("\"a\"b\r\n", "Protocol error: unbalanced quotes in request");
    assert_refused("'a''b'\r\n", "Protocol error: unbalanced quotes in request");
}

Test(request_parser, nul_in_an_inline_command_is_refused)
{
    char *inputs[] = {exact_copy("a\0b\n", 4), exact_copy("\"\0\"\n", 4)};
    for (size_t i = 0; i < 2; i++) {
        struct request_parser parser = new_parser();
        size_t used;
        cr_assert_eq(request_parse(&parser, inputs[i], 4, &used), -EPROTO);
        cr_assert_str_eq(parser.error, "Protocol error: NUL byte in inline request");
        request_parser_free(&parser);
        free(inputs[i]);
    }
}

Test(request_parser, as_many_arguments_as_allowed_by_default)
{
    size_t count = REQUEST_LIMITS_DEFAULT.arguments_max;
    char *data = malloc(16 + count * 7);
    size_t size = (size_t)sprintf(data, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        memcpy(data + size, "$1\r\nx\r\n", 7);
        size += 7;
    }
    struct request_parser parser = new_parser();
    size_t used;
    cr_assert_eq(request_parse(&parser, data, size / 2, &used), 0);
    cr_assert_eq(request_parse(&parser, data, size, &used), 1);
    cr_assert_eq(used, size);
    cr_assert_eq(parser.argument_count, count);
    cr_assert_eq(parser.arguments[count - 1].data, data + size - 3);

    /* The next request gives the big array back. */
    cr_assert_eq(request_parse(&parser, data, 0, &used), 0);
    cr_assert_null(parser.arguments);
    free(data);
    request_parser_free(&parser);
}
