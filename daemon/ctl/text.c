/* text.c - see text.h. */
#include "ctl/text.h"

#include "ctl/exit_code.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void *memory_need(void *pointer)
{
    if (pointer == NULL) {
        fputs("awaitctl: out of memory\n", stderr);
        exit(EXIT_OUTPUT);
    }
    return pointer;
}

void text_append(struct text *text, const char *data, size_t size)
{
    if (text->data == NULL || text->capacity - text->size < size + 1) {
        size_t capacity = text->capacity * 2 + size + 32;
        text->data = memory_need(realloc(text->data, capacity));
        text->capacity = capacity;
    }
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_append_string(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    char *formatted = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&formatted, format, arguments);
    va_end(arguments);
    memory_need(size < 0 ? NULL : formatted);
    text_append(text, formatted, (size_t)size);
    free(formatted);
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

/* Of the character that begins with this byte, 0 when none does. */
static size_t utf8_length(uint8_t first)
{
    if (first < 0x80)
        return 1;
    return first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
}

size_t utf8_decode(const char *data, size_t size, uint32_t *ret_character)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (size == 0)
        return 0;
    uint8_t first = (uint8_t)data[0];
    size_t length = utf8_length(first);
    if (length == 0 || length > size)
        return 0;
    uint32_t character = length == 1 ? first : first & (0x7fU >> length);
    for (size_t index = 1; index < length; index++) {
        uint8_t byte = (uint8_t)data[index];
        if (byte >> 6 != 2)
            return 0;
        character = character << 6 | (byte & 0x3fU);
    }
    bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (character < smallest[length] || character > 0x10ffff || surrogate)
        return 0;
    *ret_character = character;
    return length;
}

bool utf8_valid(const char *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t character;
        size_t length = utf8_decode(data + at, size - at, &character);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* Characters that change the direction of what follows: they make a line read differently from its
 * bytes. */
static bool is_direction_override(uint32_t character)
{
    return (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069);
}

static size_t append_escape(struct text *text, uint32_t character)
{
    size_t before = text->size;
    if (character == '\n')
        text_append_string(text, "\\n");
    else if (character == '\t')
        text_append_string(text, "\\t");
    else if (character == '\r')
        text_append_string(text, "\\r");
    else if (character < 0x100)
        text_printf(text, "\\x%02x", character);
    else
        text_printf(text, "\\u{%x}", character);
    return text->size - before;
}

size_t text_append_visible(struct text *text, const char *data, size_t size, enum text_lines lines)
{
    size_t columns = 0;
    for (size_t at = 0; at < size;) {
        uint32_t character;
        size_t length = utf8_decode(data + at, size - at, &character);
        if (length == 0) {
            columns += append_escape(text, (uint8_t)data[at]);
            at++;
            continue;
        }
        int width = wcwidth((wchar_t)character);
        bool kept = lines == TEXT_KEEP_LINES && (character == '\n' || character == '\t');
        if (kept || (width >= 0 && character != 0 && !is_direction_override(character))) {
            text_append(text, data + at, length);
            columns += width > 0 ? (size_t)width : 0;
        } else {
            columns += append_escape(text, character);
        }
        at += length;
    }
    if (text->data == NULL)
        text_append(text, "", 0);
    return columns;
}

size_t text_cut(struct text *text, size_t columns)
{
    size_t width = 0;
    size_t room = 0; /* bytes that leave one column for the ellipsis */
    size_t room_width = 0;
    for (size_t at = 0; at < text->size;) {
        uint32_t character;
        size_t length = utf8_decode(text->data + at, text->size - at, &character);
        int character_width = length > 0 ? wcwidth((wchar_t)character) : 1;
        width += character_width > 0 ? (size_t)character_width : 0;
        at += length > 0 ? length : 1;
        if (width + 1 <= columns) {
            room = at;
            room_width = width;
        }
    }
    if (width <= columns)
        return width;
    text->size = room;
    if (columns == 0) {
        text->data[0] = '\0';
        return 0;
    }
    text_append_string(text, "…");
    return room_width + 1;
}

void text_append_field(struct text *text, const char *data, size_t size)
{
    text_append(text, "", 0); /* an empty field is text too */
    for (size_t at = 0; at < size; at++) {
        switch (data[at]) {
        case '\\': text_append_string(text, "\\\\"); break;
        case '\t': text_append_string(text, "\\t"); break;
        case '\n': text_append_string(text, "\\n"); break;
        case '\r': text_append_string(text, "\\r"); break;
        default: text_append(text, data + at, 1);
        }
    }
}
