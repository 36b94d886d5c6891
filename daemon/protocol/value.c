/* value.c - writing RESP3 values, and turning stored ones into the version a client speaks.
 *
 * Values are walked flat, token by token, with a small stack of "elements still missing" instead
 * of recursion, so that no input can exhaust a coroutine's stack. The RESP2 form is made by
 * copying the runs that are the same in both versions and rewriting only the tokens that differ. */
#include "protocol/value.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32
#define DIGITS_MAX 18 /* of a length or count: always fits in an int64_t, also doubled */
#define DOUBLE_TEXT_SIZE 40
#define HEADER_SIZE 24 /* type, 20 digits, CR, LF and a NUL */

/* --- writing ---------------------------------------------------------------------------------- */

static size_t write_decimal(char *end, uint64_t number)
{
    char *at = end;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return (size_t)(end - at);
}

/* Appends `type`, the number and CRLF. */
static void write_header(struct buffer *out, char type, uint64_t number)
{
    char text[HEADER_SIZE];
    char *end = text + sizeof text - 2;
    size_t digits = write_decimal(end, number);
    end[-(ptrdiff_t)digits - 1] = type;
    end[0] = '\r';
    end[1] = '\n';
    buffer_append(out, end - digits - 1, digits + 3);
}

/* A line of RESP ends at the first line break: one inside would forge the next reply. */
static void flatten_lines(struct buffer *out, size_t from)
{
    for (size_t i = from; i < out->size; i++)
        if (out->data[i] == '\r' || out->data[i] == '\n')
            out->data[i] = ' ';
}

void value_simple(struct buffer *out, const char *text)
{
    buffer_append(out, "+", 1);
    size_t from = out->size;
    buffer_append_text(out, text);
    flatten_lines(out, from);
    buffer_append(out, "\r\n", 2);
}

void value_error(struct buffer *out, const char *word, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);

    buffer_append(out, "-", 1);
    size_t from = out->size;
    buffer_append_text(out, word);
    if (message[0]) {
        buffer_append(out, " ", 1);
        buffer_append_text(out, message);
    }
    flatten_lines(out, from);
    buffer_append(out, "\r\n", 2);
}

void value_integer(struct buffer *out, int64_t number)
{
    if (number >= 0)
        write_header(out, ':', (uint64_t)number);
    else
        buffer_printf(out, ":%lld\r\n", (long long)number);
}

void value_bulk(struct buffer *out, const void *data, size_t size)
{
    if (size > (size_t)PTRDIFF_MAX - HEADER_SIZE ||
        buffer_reserve(out, size + HEADER_SIZE) < 0) {
        out->failed = true;
        return;
    }
    write_header(out, '$', size);
    buffer_append(out, data, size);
    buffer_append(out, "\r\n", 2);
}

void value_bulk_text(struct buffer *out, const char *text)
{
    value_bulk(out, text, strlen(text));
}

void value_bulk_number(struct buffer *out, uint64_t number)
{
    char text[HEADER_SIZE];
    size_t digits = write_decimal(text + sizeof text, number);
    value_bulk(out, text + sizeof text - digits, digits);
}

void value_null(struct buffer *out)
{
    buffer_append(out, "_\r\n", 3);
}

void value_array(struct buffer *out, size_t count)
{
    write_header(out, '*', count);
}

void value_map(struct buffer *out, size_t pairs)
{
    write_header(out, '%', pairs);
}

void value_push(struct buffer *out, size_t count)
{
    write_header(out, '>', count);
}

void value_double(struct buffer *out, double number)
{
    char text[DOUBLE_TEXT_SIZE];
    if (isnan(number)) {
        snprintf(text, sizeof text, "nan");
    } else if (isinf(number)) {
        snprintf(text, sizeof text, number > 0 ? "inf" : "-inf");
    } else {
        /* The shortest of the three that reads back as the same number. */
        for (int precision = 15; precision <= 17; precision++) {
            snprintf(text, sizeof text, "%.*g", precision, number);
            if (strtod(text, NULL) == number)
                break;
        }
    }
    buffer_printf(out, ",%s\r\n", text);
}

void value_boolean(struct buffer *out, bool yes)
{
    buffer_append(out, yes ? "#t\r\n" : "#f\r\n", 4);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* One token: a scalar with its content, or the header of an aggregate. */
struct token {
    char type;
    bool aggregate;
    const char *text; /* of a scalar */
    size_t text_size;
    uint64_t elements; /* of an aggregate; a map counts keys and values */
    const char *end;   /* the first byte after it */
};

/* The results of next_token, as of value_length: 1 read, 0 cut short, -EPROTO malformed. */

/* Reads "<digits>\r\n" at `at`. */
static int read_count(const char *at, const char *end, uint64_t *ret_number, const char **ret_end)
{
    const char *start = at;
    uint64_t number = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (at - start == DIGITS_MAX)
            return -EPROTO;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (at == end)
        return 0;
    if (at == start || *at != '\r')
        return -EPROTO;
    if (end - at < 2)
        return 0;
    if (at[1] != '\n')
        return -EPROTO;
    *ret_number = number;
    *ret_end = at + 2;
    return 1;
}

static bool is_integer(const char *text, size_t size)
{
    if (size > 1 && (text[0] == '-' || text[0] == '+')) {
        text++;
        size--;
    }
    if (size == 0 || size > 19)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

static bool is_double(const char *text, size_t size)
{
    if (size == 0 || size >= DOUBLE_TEXT_SIZE)
        return false;
    char copy[DOUBLE_TEXT_SIZE];
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (strcmp(copy, "inf") == 0 || strcmp(copy, "-inf") == 0 || strcmp(copy, "nan") == 0)
        return true;
    if (strspn(copy, "0123456789+-.eE") != size)
        return false;
    char *rest;
    strtod(copy, &rest);
    return *rest == '\0' && rest != copy;
}

/* Reads the rest of the line after the type byte. */
static int read_line(const char *at, const char *end, struct token *token)
{
    const char *stop = memchr(at, '\r', (size_t)(end - at));
    size_t size = (size_t)((stop ? stop : end) - at);
    if (memchr(at, '\n', size))
        return -EPROTO;
    if (!stop || end - stop < 2)
        return 0;
    if (stop[1] != '\n')
        return -EPROTO;
    token->text = at;
    token->text_size = size;
    token->end = stop + 2;

    switch (token->type) {
    case ':':
        return is_integer(at, size) ? 1 : -EPROTO;
    case ',':
        return is_double(at, size) ? 1 : -EPROTO;
    case '#':
        return size == 1 && (*at == 't' || *at == 'f') ? 1 : -EPROTO;
    case '_':
        return size == 0 ? 1 : -EPROTO;
    default:
        return 1;
    }
}

static int read_bulk(const char *at, const char *end, struct token *token)
{
    uint64_t size;
    const char *text;
    int read = read_count(at, end, &size, &text);
    if (read <= 0)
        return read;
    uint64_t have = (uint64_t)(end - text);
    if ((have > size && text[size] != '\r') || (have > size + 1 && text[size + 1] != '\n'))
        return -EPROTO;
    if (have < size + 2)
        return 0;
    token->text = text;
    token->text_size = (size_t)size;
    token->end = text + size + 2;
    return 1;
}

static int next_token(const char *at, const char *end, struct token *token)
{
    token->type = *at++;
    token->aggregate = false;
    switch (token->type) {
    case '$':
        return read_bulk(at, end, token);
    case '*':
    case '%':
    case '>': {
        int read = read_count(at, end, &token->elements, &token->end);
        if (token->type == '%' && read > 0)
            token->elements *= 2;
        token->aggregate = true;
        return read;
    }
    case '+':
    case '-':
    case ':':
    case '_':
    case ',':
    case '#':
        return read_line(at, end, token);
    default:
        return -EPROTO;
    }
}

/* The elements still missing at each level; level 0 is outside all values. */
struct nesting {
    uint64_t missing[DEPTH_MAX];
    int depth;
};

/* Counts the token in. -EPROTO when it nests too deep. */
static int nesting_add(struct nesting *nesting, const struct token *token)
{
    if (nesting->depth > 0)
        nesting->missing[nesting->depth - 1]--;
    if (token->aggregate) {
        if (nesting->depth == DEPTH_MAX)
            return -EPROTO;
        nesting->missing[nesting->depth++] = token->elements;
    }
    while (nesting->depth > 0 && nesting->missing[nesting->depth - 1] == 0)
        nesting->depth--;
    return 0;
}

long value_length(const char *data, size_t size)
{
    const char *at = data;
    const char *end = data + size;
    struct nesting nesting = {.depth = 0};
    while (at < end) {
        struct token token;
        int read = next_token(at, end, &token);
        if (read <= 0)
            return read;
        if (nesting_add(&nesting, &token) < 0)
            return -EPROTO;
        at = token.end;
        if (nesting.depth == 0)
            return at - data;
    }
    return 0;
}

/* Writes the RESP2 form of a token for which needs_rewrite. */
static void write_version_2(struct buffer *out, const struct token *token)
{
    switch (token->type) {
    case '_':
        buffer_append(out, "$-1\r\n", 5);
        break;
    case '#':
        buffer_append(out, *token->text == 't' ? ":1\r\n" : ":0\r\n", 4);
        break;
    case ',':
        value_bulk(out, token->text, token->text_size);
        break;
    default:
        write_header(out, '*', token->elements);
        break;
    }
}

static bool needs_rewrite(char type)
{
    return type == '_' || type == '%' || type == '>' || type == ',' || type == '#';
}

int value_write(struct buffer *out, const char *data, size_t size, int version)
{
    size_t size_before = out->size;
    const char *at = data;
    const char *end = data + size;
    const char *run = data; /* the start of what has not been copied */
    struct nesting nesting = {.depth = 0};
    while (at < end) {
        struct token token;
        if (next_token(at, end, &token) <= 0 || nesting_add(&nesting, &token) < 0) {
            out->size = size_before;
            return -EPROTO;
        }
        if (version < 3 && needs_rewrite(token.type)) {
            buffer_append(out, run, (size_t)(at - run));
            write_version_2(out, &token);
            run = token.end;
        }
        at = token.end;
    }
    if (nesting.depth > 0) {
        out->size = size_before;
        return -EPROTO;
    }
    buffer_append(out, run, (size_t)(end - run));
    return 0;
}
