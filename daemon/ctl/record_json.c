/* record_json.c - one line of JSON into a job; see record.h. Strict: what RFC 8259 does not allow
 * is an error, and so is what a job has no place for. */
#include "ctl/record.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct parser {
    const char *at;
    const char *end;
    struct record *record;
    struct text *error;
};

static bool fail(struct parser *parser, const char *sentence)
{
    if (parser->error->size == 0)
        text_printf(parser->error, "%s", sentence);
    return false;
}

static void skip_space(struct parser *parser)
{
    while (parser->at < parser->end && strchr(" \t\r\n", *parser->at) && *parser->at != '\0')
        parser->at++;
}

/* Takes the character if it stands there. */
static bool take(struct parser *parser, char wanted)
{
    skip_space(parser);
    if (parser->at == parser->end || *parser->at != wanted)
        return false;
    parser->at++;
    return true;
}

/* --- strings --------------------------------------------------------------------------- */

static bool take_hex(struct parser *parser, uint32_t *ret_unit)
{
    uint32_t unit = 0;
    if (parser->end - parser->at < 4)
        return fail(parser, "a \\u needs four hexadecimal digits");
    for (int i = 0; i < 4; i++) {
        unsigned char digit = (unsigned char)*parser->at++;
        if (!isxdigit(digit))
            return fail(parser, "a \\u needs four hexadecimal digits");
        unit = unit * 16 + (uint32_t)(isdigit(digit) ? digit - '0' : tolower(digit) - 'a' + 10);
    }
    *ret_unit = unit;
    return true;
}

static void append_character(struct text *text, uint32_t character)
{
    char bytes[4];
    size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    bytes[0] = (char)(first[size] | character);
    text_append(text, bytes, size);
}

static bool take_unicode(struct parser *parser, struct text *text)
{
    uint32_t unit;
    uint32_t low;
    if (!take_hex(parser, &unit))
        return false;
    if (unit >= 0xd800 && unit < 0xdc00) {
        if (parser->end - parser->at < 2 || parser->at[0] != '\\' || parser->at[1] != 'u')
            return fail(parser, "half of a \\u pair");
        parser->at += 2;
        if (!take_hex(parser, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(parser, "half of a \\u pair");
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    } else if (unit >= 0xdc00 && unit < 0xe000) {
        return fail(parser, "half of a \\u pair");
    }
    append_character(text, unit);
    return true;
}

static bool take_escape(struct parser *parser, struct text *text)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (parser->at == parser->end)
        return fail(parser, "a string does not end");
    char name = *parser->at++;
    if (name == 'u')
        return take_unicode(parser, text);
    const char *place = name != '\0' ? strchr(names, name) : NULL;
    if (place == NULL)
        return fail(parser, "an unknown escape in a string");
    text_append(text, &values[place - names], 1);
    return true;
}

/* Behind the opening quote. */
static bool take_string(struct parser *parser, struct text *text)
{
    text->size = 0;
    while (parser->at < parser->end && *parser->at != '"') {
        if ((unsigned char)*parser->at < 0x20)
            return fail(parser, "a control character in a string");
        if (*parser->at == '\\') {
            parser->at++;
            if (!take_escape(parser, text))
                return false;
        } else {
            text_append(text, parser->at++, 1);
        }
    }
    if (parser->at == parser->end)
        return fail(parser, "a string does not end");
    parser->at++;
    return true;
}

/* --- other scalars --------------------------------------------------------------------- */

static bool take_digits(struct parser *parser)
{
    const char *first = parser->at;
    while (parser->at < parser->end && isdigit((unsigned char)*parser->at))
        parser->at++;
    return parser->at > first;
}

static bool take_number(struct parser *parser)
{
    if (parser->at < parser->end && *parser->at == '-')
        parser->at++;
    bool zero = parser->at < parser->end && *parser->at == '0';
    const char *first = parser->at;
    if (!take_digits(parser) || (zero && parser->at - first > 1))
        return false;
    if (parser->at < parser->end && *parser->at == '.') {
        parser->at++;
        if (!take_digits(parser))
            return false;
    }
    if (parser->at < parser->end && (*parser->at == 'e' || *parser->at == 'E')) {
        parser->at++;
        if (parser->at < parser->end && (*parser->at == '+' || *parser->at == '-'))
            parser->at++;
        return take_digits(parser);
    }
    return true;
}

static bool take_word(struct parser *parser, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(parser->end - parser->at) < size || memcmp(parser->at, word, size) != 0)
        return false;
    parser->at += size;
    return true;
}

/* A string, a number, true, false or null as text. */
static bool take_scalar(struct parser *parser, struct text *text, bool *ret_null)
{
    *ret_null = false;
    if (take(parser, '"'))
        return take_string(parser, text);
    const char *first = parser->at;
    text->size = 0;
    if (take_word(parser, "null")) {
        *ret_null = true;
        return true;
    }
    if (!take_word(parser, "true") && !take_word(parser, "false") && !take_number(parser))
        return fail(parser, "needs a string, a number, true, false or null");
    text_append(text, first, (size_t)(parser->at - first));
    return true;
}

/* --- the job --------------------------------------------------------------------------- */

static void add_text(struct words *words, const struct text *text)
{
    words_add_bytes(words, text->size > 0 ? text->data : "", text->size);
}

static void add_null(struct record *record)
{
    record->nulls = memory_need(
        realloc(record->nulls, (record->null_count + 1) * sizeof *record->nulls));
    record->nulls[record->null_count++] = record->arguments.count;
    words_add(&record->arguments, "");
}

/* The scalars of an array behind its bracket; with `nulls` they are arguments. */
static bool take_list(struct parser *parser, struct words *words, bool nulls)
{
    struct text text = {0};
    bool good = true;
    bool null;
    if (take(parser, ']'))
        return true;
    do {
        good = take_scalar(parser, &text, &null);
        if (good && words->count >= RECORD_FIELDS_MAX)
            good = fail(parser, "more than 100,000 values");
        if (good && null && !nulls)
            good = fail(parser, "null stands only among the arguments");
        if (good && null)
            add_null(parser->record);
        else if (good)
            add_text(words, &text);
    } while (good && take(parser, ','));
    text_free(&text);
    return good && (take(parser, ']') || fail(parser, "an array does not end"));
}

/* One option of SUBMIT: its word, then its value or values. */
static bool take_option(struct parser *parser, const struct text *name)
{
    struct words *options = &parser->record->options;
    struct text text = {0};
    bool null;
    for (size_t i = 0; i < name->size; i++)
        if (!isalpha((unsigned char)name->data[i]))
            return fail(parser, "a key is no option of SUBMIT, nor target or args");
    add_text(options, name);
    if (take(parser, '['))
        return take_list(parser, options, false);
    bool good = take_scalar(parser, &text, &null);
    if (good && null)
        good = fail(parser, "null stands only among the arguments");
    if (good)
        add_text(options, &text);
    text_free(&text);
    return good;
}

static bool take_member(struct parser *parser, const struct text *name)
{
    struct record *record = parser->record;
    if (name->size == 0)
        return fail(parser, "an empty key");
    if (strcmp(name->data, "args") == 0) {
        if (record->arguments.count > 0)
            return fail(parser, "args are given twice");
        return take(parser, '[') ? take_list(parser, &record->arguments, true)
                                 : fail(parser, "args needs an array");
    }
    if (strcmp(name->data, "target") != 0)
        return take_option(parser, name);
    struct text text = {0};
    bool null = true;
    bool good = record->target.count == 0 && take_scalar(parser, &text, &null) && !null;
    if (good)
        add_text(&record->target, &text);
    text_free(&text);
    return good || fail(parser, "target needs one name");
}

static bool take_object(struct parser *parser)
{
    struct text name = {0};
    bool good = true;
    if (take(parser, '}'))
        return true;
    do {
        good = take(parser, '"') ? take_string(parser, &name) : fail(parser, "needs a key");
        if (good)
            good = take(parser, ':') || fail(parser, "needs a colon behind a key");
        if (good)
            good = take_member(parser, &name);
    } while (good && take(parser, ','));
    text_free(&name);
    return good && (take(parser, '}') || fail(parser, "an object does not end"));
}

enum record_result record_parse_json(const char *data, size_t size, struct record *record,
                                     struct text *reterr)
{
    struct parser parser = {.at = data, .end = data + size, .record = record, .error = reterr};
    bool good = take(&parser, '[')   ? take_list(&parser, &record->arguments, true)
                : take(&parser, '{') ? take_object(&parser)
                                     : fail(&parser, "a line must be an array or an object");
    skip_space(&parser);
    if (good && parser.at < parser.end)
        good = fail(&parser, "text behind the end of the value");
    return good ? RECORD_READ : RECORD_WRONG;
}
