/* value_pick.c - see value_pick.h. The values were written by value.c or checked by it: a damaged
 * one is noticed and refused all the same. */
#include "protocol/value_pick.h"

#include "protocol/value.h"

#include <errno.h>
#include <string.h>

/* One value, cut to its length. */
struct piece {
    const char *data;
    size_t size;
};

static bool is_aggregate(const struct piece *piece)
{
    return piece->size > 0 && strchr("*%>~", piece->data[0]);
}

/* The number behind the type's letter; *ret_after is behind its line. */
static uint64_t read_header(const struct piece *piece, size_t *ret_after)
{
    uint64_t number = 0;
    size_t at = 1;
    for (; at < piece->size && piece->data[at] >= '0' && piece->data[at] <= '9'; at++)
        number = number * 10 + (uint64_t)(piece->data[at] - '0');
    *ret_after = at + 2 < piece->size ? at + 2 : piece->size;
    return number;
}

/* How many values an aggregate has; a map has two a pair. */
static uint64_t count_of(const struct piece *aggregate)
{
    size_t after;
    uint64_t count = read_header(aggregate, &after);
    return aggregate->data[0] == '%' ? 2 * count : count;
}

static bool cut(const char *data, size_t size, struct piece *ret_piece)
{
    long length = data && size > 0 ? value_length(data, size) : 0;
    if (length <= 0)
        return false;
    *ret_piece = (struct piece){.data = data, .size = (size_t)length};
    return true;
}

static bool element(const struct piece *aggregate, uint64_t index, struct piece *ret_piece)
{
    if (index >= count_of(aggregate))
        return false;
    size_t at;
    (void)read_header(aggregate, &at);
    struct piece piece = {.size = 0};
    for (uint64_t i = 0; i <= index; i++) {
        if (!cut(aggregate->data + at, aggregate->size - at, &piece))
            return false;
        at += piece.size;
    }
    *ret_piece = piece;
    return true;
}

static int refuse(const char *reason, const char **ret_reason)
{
    *ret_reason = reason;
    return -ENOENT;
}

static int scalar(const struct piece *piece, struct argument *ret_value, const char **ret_reason)
{
    if (is_aggregate(piece))
        return refuse("there is an array in its place", ret_reason);
    *ret_value = (struct argument){.data = "", .null = piece->data[0] == '_'};
    size_t after;
    switch (piece->data[0]) {
    case '_':
        return 0;
    case '-':
        return refuse("there is an error in its place", ret_reason);
    case '#':
        ret_value->data = piece->data[1] == 't' ? "1" : "0";
        ret_value->size = 1;
        return 0;
    case '$':
        (void)read_header(piece, &after);
        break;
    default:
        after = 1;
    }
    if (piece->size < after + 2 || piece->size - after - 2 > UINT32_MAX - 1)
        return refuse("it is too large", ret_reason);
    ret_value->data = piece->data + after;
    ret_value->size = (uint32_t)(piece->size - after - 2);
    return 0;
}

/* The rows of a TX are those of its last statement: its first element is a status line, or rows
 * again (an array that begins with an array). */
static bool is_transaction(const struct piece *sql)
{
    struct piece first;
    struct piece inner;
    if (!element(sql, 0, &first))
        return false;
    return !is_aggregate(&first) || (element(&first, 0, &inner) && is_aggregate(&inner));
}

static int pick_element(const struct piece *whole, uint64_t row, uint32_t column,
                        struct argument *ret_value, const char **ret_reason)
{
    struct piece piece;
    bool pairs = whole->data[0] == '%';
    if (!element(whole, pairs ? 2 * row : row, &piece))
        return refuse("there is no such row", ret_reason);
    if (pairs && column < 2)
        return element(whole, 2 * row + column, &piece)
                   ? scalar(&piece, ret_value, ret_reason)
                   : refuse("there is no such column", ret_reason);
    if (is_aggregate(&piece) && !pairs) {
        struct piece inner;
        return element(&piece, column, &inner) ? scalar(&inner, ret_value, ret_reason)
                                               : refuse("there is no such column", ret_reason);
    }
    return column == 0 ? scalar(&piece, ret_value, ret_reason)
                       : refuse("there is no such column", ret_reason);
}

int value_pick(const char *data, size_t size, bool is_sql, uint32_t row, uint32_t column,
               struct argument *ret_value, const char **ret_reason)
{
    struct piece whole;
    if (!cut(data, size, &whole))
        return refuse("no result is kept", ret_reason);
    if (is_sql && is_aggregate(&whole) && is_transaction(&whole)) {
        struct piece last;
        if (!element(&whole, count_of(&whole) - 1, &last))
            return refuse("there is no such row", ret_reason);
        whole = last;
    }
    if (is_aggregate(&whole))
        return pick_element(&whole, (uint64_t)row + (is_sql ? 1 : 0), column, ret_value,
                            ret_reason);
    if (row == 0 && column == 0)
        return scalar(&whole, ret_value, ret_reason);
    return refuse(row > 0 ? "there is no such row" : "there is no such column", ret_reason);
}
