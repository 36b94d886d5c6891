/* text.h - growing text, and text as a terminal may show it.
 *
 * awaitctl prints what other people stored: a value may hold escape sequences, line breaks or
 * bytes that are no text at all. Nothing of that reaches a terminal raw: `text_append_visible`
 * turns it into escapes.
 *
 * Memory: awaitctl runs for one command, so a failed allocation ends it with a message
 * (memory_need). */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns `pointer`; ends the program with exit code 6 when it is NULL. */
void *memory_need(void *pointer);

struct text { /* all-zero is empty; data ends with a NUL once something was appended */
    char *data;
    size_t size;
    size_t capacity;
};

void text_append(struct text *text, const char *data, size_t size);
void text_append_string(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *text);

/* What may stay as it is in visible text. */
enum text_lines { TEXT_ESCAPE_LINES, TEXT_KEEP_LINES };

/* Appends `size` bytes so that a terminal shows them and obeys none: line breaks and tabs as \n
 * and \t (kept with TEXT_KEEP_LINES), other control characters, direction overrides and bytes
 * that are not UTF-8 as \xNN or \u{NNNN}. Returns the columns it takes on the screen (wcwidth(3):
 * needs a UTF-8 LC_CTYPE). */
size_t text_append_visible(struct text *text, const char *data, size_t size, enum text_lines lines);

/* Cuts visible text to at most `columns`, with an ellipsis for what is gone. Returns its new
 * width. */
size_t text_cut(struct text *text, size_t columns);

/* Appends as a field of PostgreSQL's COPY text format: backslash, tab and line breaks escaped. */
void text_append_field(struct text *text, const char *data, size_t size);

/* Decodes one character of strict UTF-8: its length in bytes, 0 when it is none. */
size_t utf8_decode(const char *data, size_t size, uint32_t *ret_character);
bool utf8_valid(const char *data, size_t size);

#endif
