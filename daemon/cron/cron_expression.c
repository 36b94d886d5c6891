/* cron_expression.c - see cron_expression.h. */
#include "cron/cron_expression.h"

#include "cron/calendar.h"
#include "cron/cron_next.h"
#include "cron/every.h"
#include "protocol/word.h"

#include <errno.h>
#include <string.h>

#define SHOWN_MAX 40          /* bytes of a wrong piece that an error repeats */
#define NAME_SIZE 3           /* JAN, MON */
#define NUMBER_SIZE_MAX 4
#define YEARS_TO_MATCH 400    /* the calendar repeats itself */

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
                                          "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED",
                                            "THU", "FRI", "SAT", NULL};

static const struct field {
    const char *name;
    int min;
    int max;               /* of a star */
    int top;               /* of a number: 7 is Sunday too */
    const char *const *names; /* from `min` on */
    const char *also;      /* in errors */
} fields[CRON_FIELDS] = {
    [CRON_SECOND] = {"second", 0, 59, 59, NULL, ""},
    [CRON_MINUTE] = {"minute", 0, 59, 59, NULL, ""},
    [CRON_HOUR] = {"hour", 0, 23, 23, NULL, ""},
    [CRON_DAY] = {"day of month", 1, 31, 31, NULL, " or L"},
    [CRON_MONTH] = {"month", 1, 12, 12, month_names, " or JAN-DEC"},
    [CRON_WEEKDAY] = {"day of week", 0, 6, 7, weekday_names, " or SUN-SAT"},
};

/* A piece of a field, between commas, and its parts. */
struct piece {
    const char *data;
    size_t size;
};

struct reader {
    struct cron_expression *expression;
    enum cron_field field;
    struct piece piece; /* being read, for errors */
    struct aw_error *error;
};

static int shown(struct piece piece)
{
    return piece.size > SHOWN_MAX ? SHOWN_MAX : (int)piece.size;
}

static int refuse(struct reader *reader, struct piece what)
{
    const struct field *field = &fields[reader->field];
    return aw_error_set(reader->error, -EINVAL, "%s: '%.*s' is not from %d to %d%s", field->name,
                        shown(what), what.data, field->min, field->top, field->also);
}

/* Digits only; -1: none, or more than the longest field has. */
static int read_digits(struct piece piece)
{
    int number = 0;
    if (piece.size == 0 || piece.size > NUMBER_SIZE_MAX)
        return -1;
    for (size_t i = 0; i < piece.size; i++) {
        if (piece.data[i] < '0' || piece.data[i] > '9')
            return -1;
        number = number * 10 + (piece.data[i] - '0');
    }
    return number;
}

/* A number or a name; -EINVAL. */
static int read_value(struct reader *reader, struct piece piece)
{
    const struct field *field = &fields[reader->field];
    if (field->names && piece.size == NAME_SIZE)
        for (int i = 0; field->names[i]; i++)
            if (word_equal(piece.data, piece.size, field->names[i]))
                return field->min + i;
    int number = read_digits(piece);
    if (number < field->min || number > field->top)
        return refuse(reader, piece);
    return number;
}

/* Splits at the first `separator`; the second half is without data when there is none. */
static struct piece split(struct piece *piece, char separator)
{
    const char *at = piece->size > 0 ? memchr(piece->data, separator, piece->size) : NULL;
    if (!at)
        return (struct piece){0};
    size_t size = (size_t)(at - piece->data);
    struct piece rest = {at + 1, piece->size - size - 1};
    piece->size = size;
    return rest;
}

static int read_step(struct reader *reader, struct piece step)
{
    const struct field *field = &fields[reader->field];
    int number = read_digits(step);
    int span = field->max - field->min + 1;
    if (number >= 1 && number <= span)
        return number;
    return aw_error_set(reader->error, -EINVAL,
                        "%s: the step '%.*s' is not from 1 to %d; for longer intervals there is "
                        "@every",
                        field->name, shown(step), step.data, span);
}

static int read_range(struct reader *reader, struct piece from, struct piece to, int *ret_low,
                      int *ret_high)
{
    const struct field *field = &fields[reader->field];
    int low = read_value(reader, from);
    if (low < 0)
        return low;
    int high = read_value(reader, to);
    if (high < 0)
        return high;
    if (reader->field == CRON_WEEKDAY && high == 0 && low > 0)
        high = 7; /* FRI-SUN */
    if (low > high)
        return aw_error_set(reader->error, -EINVAL,
                            "%s: the range '%.*s' runs backwards; write %d-%d,%d-%d", field->name,
                            shown(reader->piece), reader->piece.data, low, field->max, field->min,
                            high);
    *ret_low = low;
    *ret_high = high;
    return 0;
}

static void add(struct reader *reader, int low, int high, int step)
{
    for (int value = low; value <= high; value += step) {
        int member = reader->field == CRON_WEEKDAY && value == 7 ? 0 : value;
        reader->expression->sets[reader->field] |= UINT64_C(1) << member;
    }
}

static bool is_star(const struct reader *reader, struct piece piece)
{
    bool day = reader->field == CRON_DAY || reader->field == CRON_WEEKDAY;
    return piece.size == 1 && (piece.data[0] == '*' || (day && piece.data[0] == '?'));
}

/* One of a field's pieces: `*`, a value or a range, perhaps with a step; or `L`. */
static int read_piece(struct reader *reader, struct piece piece)
{
    const struct field *field = &fields[reader->field];
    reader->piece = piece;
    if (reader->field == CRON_DAY && word_equal(piece.data, piece.size, "L")) {
        reader->expression->last_day = true;
        return 0;
    }
    struct piece step_text = split(&piece, '/');
    int step = step_text.data ? read_step(reader, step_text) : 1;
    if (step < 0)
        return step;
    if (is_star(reader, piece)) {
        add(reader, field->min, field->max, step);
        return 0;
    }
    struct piece to = split(&piece, '-');
    int low = 0;
    int high = 0;
    int result = 0;
    if (to.data)
        result = read_range(reader, piece, to, &low, &high);
    else
        result = low = read_value(reader, piece);
    if (result < 0)
        return result;
    if (!to.data)
        high = step_text.data && low < field->max ? field->max : low;
    add(reader, low, high, step);
    return 0;
}

static int read_field(struct reader *reader, struct piece text)
{
    struct piece piece = text;
    reader->expression->stars[reader->field] = text.data[0] == '*' || text.data[0] == '?';
    for (;;) {
        struct piece rest = split(&piece, ',');
        int result = read_piece(reader, piece);
        if (result < 0 || !rest.data)
            return result;
        piece = rest;
    }
}

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

/* The pieces between blanks; more than `max` are counted only. */
static int split_fields(struct piece text, struct piece *pieces, int max)
{
    int count = 0;
    size_t at = 0;
    while (at < text.size) {
        size_t begin = at;
        while (at < text.size && !is_blank(text.data[at]))
            at++;
        if (at > begin && count++ < max)
            pieces[count - 1] = (struct piece){text.data + begin, at - begin};
        at++;
    }
    return count;
}

static int read_fields(struct piece text, struct cron_expression *expression,
                       struct aw_error *reterr)
{
    struct piece pieces[CRON_FIELDS];
    int count = split_fields(text, pieces, CRON_FIELDS);
    if (count != CRON_FIELDS && count != CRON_FIELDS - 1)
        return aw_error_set(reterr, -EINVAL,
                            "an expression has five fields (minute, hour, day of month, month, day "
                            "of week) or six (the second first), not %d",
                            count);
    struct reader reader = {.expression = expression, .error = reterr};
    int without = CRON_FIELDS - count;
    if (without)
        expression->sets[CRON_SECOND] = 1;
    for (int i = 0; i < count; i++) {
        reader.field = (enum cron_field)(i + without);
        int result = read_field(&reader, pieces[i]);
        if (result < 0)
            return result;
    }
    int64_t found;
    if (!cron_next_local(expression, 0, INT64_C(366) * YEARS_TO_MATCH * DAY_SECONDS, &found))
        return aw_error_set(reterr, -EINVAL,
                            "day of month: no month of the expression has such a day, so it would "
                            "never match");
    return 0;
}

static int read_macro(struct piece text, struct cron_expression *expression,
                      struct aw_error *reterr)
{
    static const struct {
        const char *name;
        const char *expression;
    } macros[] = {
        {"@yearly", "0 0 1 1 *"},  {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * 0"},  {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"},
    };
    struct piece pieces[2];
    int count = split_fields(text, pieces, 2);
    for (size_t i = 0; count == 1 && i < sizeof macros / sizeof macros[0]; i++)
        if (word_equal(pieces[0].data, pieces[0].size, macros[i].name))
            return read_fields(
                (struct piece){macros[i].expression, strlen(macros[i].expression)}, expression,
                reterr);
    if (!word_equal(pieces[0].data, pieces[0].size, "@every"))
        return aw_error_set(reterr, -EINVAL,
                            "'%.*s' is none of @yearly @monthly @weekly @daily @hourly and "
                            "@every <duration>",
                            shown(text), text.data);
    if (count == 2 && every_parse(pieces[1].data, pieces[1].size, &expression->every_ms) == 0)
        return 0;
    return aw_error_set(reterr, -EINVAL,
                        "@every needs a duration from 1s to 3650d such as 90s or 1h30m, got "
                        "'%.*s'",
                        count > 1 ? shown(pieces[1]) : 0, count > 1 ? pieces[1].data : "");
}

int cron_expression_parse(const char *text, size_t size, struct cron_expression *ret_expression,
                          struct aw_error *reterr)
{
    struct piece all = {text, size};
    while (all.size > 0 && is_blank(all.data[0])) {
        all.data++;
        all.size--;
    }
    while (all.size > 0 && is_blank(all.data[all.size - 1]))
        all.size--;
    if (all.size == 0)
        return aw_error_set(reterr, -EINVAL, "the expression is empty");
    if (size > CRON_EXPRESSION_SIZE_MAX)
        return aw_error_set(reterr, -EINVAL, "the expression is longer than %u bytes",
                            CRON_EXPRESSION_SIZE_MAX);
    struct cron_expression expression = {0};
    int result = all.data[0] == '@' ? read_macro(all, &expression, reterr)
                                    : read_fields(all, &expression, reterr);
    if (result == 0)
        *ret_expression = expression;
    return result;
}

bool cron_expression_runs_through(const struct cron_expression *expression)
{
    return expression->stars[CRON_SECOND] || expression->stars[CRON_MINUTE] ||
           expression->stars[CRON_HOUR];
}
