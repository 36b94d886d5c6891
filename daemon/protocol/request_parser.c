/* request_parser.c - see request_parser.h. The inline syntax is inline_command.c's. */
#include "protocol/request_parser.h"
#include "protocol/inline_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MIN 16
/* A connection does not keep the array of one huge request for ever. */
#define ARGUMENTS_KEPT_MAX 1024
#define DIGITS_MAX 18 /* of a length: always fits in an int64_t */

/* What one step of the parser came to, besides a negative errno. */
enum step {
    STEP_MORE, /* the input ended first */
    STEP_DONE,
};

void request_parser_init(struct request_parser *parser, const struct request_limits *limits)
{
    *parser = (struct request_parser){.limits = *limits, .phase = REQUEST_START, .bulk_size = -1};
}

void request_parser_free(struct request_parser *parser)
{
    free(parser->arguments);
    parser->arguments = NULL;
    parser->argument_count = 0;
    parser->arguments_capacity = 0;
}

static int refuse(struct request_parser *parser, const char *reason)
{
    snprintf(parser->error, sizeof parser->error, "Protocol error: %s", reason);
    parser->phase = REQUEST_BROKEN;
    return -EPROTO;
}

static int refuse_type(struct request_parser *parser, char got)
{
    char reason[40];
    if (got >= ' ' && got <= '~')
        snprintf(reason, sizeof reason, "expected '$', got '%c'", got);
    else
        snprintf(reason, sizeof reason, "expected '$', got '\\x%02x'", (unsigned char)got);
    return refuse(parser, reason);
}

static int add_argument(struct request_parser *parser, const char *data, size_t size)
{
    if (parser->argument_count == parser->arguments_capacity) {
        uint32_t capacity = parser->arguments_capacity ? parser->arguments_capacity * 2
                                                       : ARGUMENTS_MIN;
        struct argument *arguments =
            realloc(parser->arguments, capacity * sizeof *parser->arguments);
        if (!arguments)
            return -ENOMEM;
        parser->arguments = arguments;
        parser->arguments_capacity = capacity;
    }
    parser->arguments[parser->argument_count++] =
        (struct argument){.data = data, .size = (uint32_t)size};
    return 0;
}

/* Reads "[-]<digits>\r\n" at `at`, without leading zeros: STEP_DONE, STEP_MORE or -EPROTO. A bad
 * byte is found as soon as it is there, so that the bytes read twice are never more than a
 * header. */
static int read_length(const char *at, const char *end, int64_t *ret_length, const char **ret_end)
{
    bool negative = at < end && *at == '-';
    if (negative)
        at++;
    const char *digits = at;
    int64_t length = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (at - digits == DIGITS_MAX || (at - digits == 1 && *digits == '0'))
            return -EPROTO;
        length = length * 10 + (*at - '0');
    }
    if (at == end)
        return STEP_MORE;
    if (at == digits || *at != '\r' || (negative && length == 0))
        return -EPROTO;
    if (end - at < 2)
        return STEP_MORE;
    if (at[1] != '\n')
        return -EPROTO;
    *ret_length = negative ? -length : length;
    *ret_end = at + 2;
    return STEP_DONE;
}

/* "*<count>\r\n" at the start of the request. Done with no announced argument: an empty array. */
static int read_array_header(struct request_parser *parser, const char *data, size_t size)
{
    int64_t count;
    const char *end;
    int result = read_length(data + 1, data + size, &count, &end);
    if (result < 0 || (result == STEP_DONE && count > parser->limits.arguments_max))
        return refuse(parser, "invalid multibulk length");
    if (result == STEP_MORE) {
        parser->needed = 1;
        return STEP_MORE;
    }
    parser->position = (size_t)(end - data);
    parser->arguments_announced = count > 0 ? (uint32_t)count : 0;
    parser->phase = REQUEST_ARRAY;
    return STEP_DONE;
}

/* "$<size>\r\n" at `position`. */
static int read_bulk_header(struct request_parser *parser, const char *data, size_t size)
{
    if (parser->position == size) {
        parser->needed = sizeof "$0\r\n\r\n" - 1;
        return STEP_MORE;
    }
    const char *at = data + parser->position;
    if (*at != '$')
        return refuse_type(parser, *at);
    int64_t length;
    const char *end;
    int result = read_length(at + 1, data + size, &length, &end);
    if (result < 0 ||
        (result == STEP_DONE && (length < 0 || length > parser->limits.bulk_size_max)))
        return refuse(parser, "invalid bulk length");
    if (result == STEP_MORE) {
        parser->needed = 1;
        return STEP_MORE;
    }
    size_t position = (size_t)(end - data);
    if (position + (size_t)length + 2 > parser->limits.request_size_max)
        return refuse(parser, "too big request");
    parser->position = position;
    parser->bulk_size = length;
    return STEP_DONE;
}

/* The announced bulks, from the one `position` is at. */
static int read_arguments(struct request_parser *parser, const char *data, size_t size)
{
    while (parser->argument_count < parser->arguments_announced) {
        if (parser->bulk_size < 0) {
            int result = read_bulk_header(parser, data, size);
            if (result != STEP_DONE)
                return result;
        }
        size_t length = (size_t)parser->bulk_size;
        const char *bulk = data + parser->position;
        size_t have = size - parser->position;
        if ((have > length && bulk[length] != '\r') ||
            (have > length + 1 && bulk[length + 1] != '\n'))
            return refuse(parser, "expected CRLF after a bulk string");
        if (have < length + 2) {
            parser->needed = length + 2 - have;
            return STEP_MORE;
        }
        int added = add_argument(parser, bulk, length);
        if (added < 0)
            return added;
        parser->position += length + 2;
        parser->bulk_size = -1;
    }
    return STEP_DONE;
}

/* An inline command. `position` says how far no line feed was found; once the line is whole it is
 * parsed at once. */
static int read_inline(struct request_parser *parser, char *data, size_t size)
{
    size_t line_max = parser->limits.inline_size_max;
    size_t search = size > line_max ? line_max + 1 : size;
    char *line_end = memchr(data + parser->position, '\n', search - parser->position);
    if (!line_end) {
        if (size > line_max)
            return refuse(parser, "too big inline request");
        parser->position = search;
        parser->needed = 1;
        return STEP_MORE;
    }
    parser->position = (size_t)(line_end - data) + 1;

    struct inline_command command = {.at = data, .end = line_end};
    for (;;) {
        char *argument;
        size_t argument_size;
        int result = inline_command_next(&command, &argument, &argument_size);
        if (result == 0)
            return STEP_DONE;
        if (result < 0)
            return refuse(parser, command.error);
        if (parser->argument_count == parser->limits.arguments_max)
            return refuse(parser, "too many arguments in inline request");
        int added = add_argument(parser, argument, argument_size);
        if (added < 0)
            return added;
    }
}

static void begin_request(struct request_parser *parser)
{
    if (parser->arguments_capacity > ARGUMENTS_KEPT_MAX)
        request_parser_free(parser);
    parser->argument_count = 0;
    parser->arguments_announced = 0;
    parser->bulk_size = -1;
}

/* The input has moved since the arguments so far were found. */
static void rebase_arguments(struct request_parser *parser, const char *data)
{
    for (uint32_t i = 0; i < parser->argument_count; i++) {
        size_t offset = (uintptr_t)parser->arguments[i].data - (uintptr_t)parser->base;
        parser->arguments[i].data = data + offset;
    }
}

/* One request, empty or not, at `data`. */
static int read_request(struct request_parser *parser, char *data, size_t size)
{
    if (parser->phase == REQUEST_START) {
        begin_request(parser);
        if (size == 0) {
            parser->needed = 1;
            return STEP_MORE;
        }
        if (*data != '*')
            return read_inline(parser, data, size);
        int result = read_array_header(parser, data, size);
        if (result != STEP_DONE)
            return result;
    }
    return read_arguments(parser, data, size);
}

int request_parse(struct request_parser *parser, char *data, size_t size, size_t *ret_used)
{
    size_t used = 0;
    *ret_used = 0;
    if (parser->phase == REQUEST_BROKEN)
        return -EPROTO;
    if (parser->phase == REQUEST_ARRAY && data != parser->base)
        rebase_arguments(parser, data);
    for (;;) {
        int result = read_request(parser, data + used, size - used);
        if (result < 0)
            return result;
        if (result == STEP_MORE) {
            parser->base = data + used;
            *ret_used = used;
            return 0;
        }
        used += parser->position;
        parser->position = 0;
        parser->phase = REQUEST_START;
        if (parser->argument_count > 0) {
            *ret_used = used;
            return 1;
        }
    }
}
