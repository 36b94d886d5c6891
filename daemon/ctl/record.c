/* record.c - CSV records, and lines; see record.h. */
#include "ctl/record.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void record_free(struct record *record)
{
    words_free(&record->options);
    words_free(&record->target);
    words_free(&record->arguments);
    free(record->nulls);
    *record = (struct record){0};
}

static enum record_result wrong(struct text *reterr, const char *sentence)
{
    text_printf(reterr, "%s", sentence);
    return RECORD_WRONG;
}

static enum record_result end_of(FILE *file, struct text *reterr)
{
    return ferror(file) ? wrong(reterr, strerror(errno)) : RECORD_END;
}

/* --- CSV ------------------------------------------------------------------------------- */

struct csv {
    FILE *file;
    size_t *line;
    size_t bytes;
    struct text field;
    struct text *reterr;
};

static int next_byte(struct csv *csv)
{
    int byte = getc(csv->file);
    csv->bytes++;
    if (byte == '\n')
        ++*csv->line;
    return byte;
}

static void keep(struct csv *csv, int byte)
{
    char one = (char)byte;
    text_append(&csv->field, &one, 1);
}

/* What stands behind the opening quote; *ret_byte is what follows the closing one. */
static enum record_result read_quoted(struct csv *csv, int *ret_byte)
{
    for (;;) {
        int byte = next_byte(csv);
        if (byte == EOF || csv->bytes > RECORD_SIZE_MAX)
            return wrong(csv->reterr, byte == EOF ? "a quoted field does not end"
                                                  : "a record is larger than 64 MiB");
        if (byte == '"') {
            byte = next_byte(csv);
            if (byte != '"') {
                *ret_byte = byte;
                return RECORD_READ;
            }
        }
        keep(csv, byte);
    }
}

/* One field; *byte is its first byte, then what ends it: a comma, a line break or EOF. */
static enum record_result read_field(struct csv *csv, int *byte)
{
    if (*byte == '"') {
        enum record_result result = read_quoted(csv, byte);
        if (result != RECORD_READ)
            return result;
        if (*byte == '\r')
            *byte = next_byte(csv);
        if (*byte != ',' && *byte != '\n' && *byte != EOF)
            return wrong(csv->reterr, "text behind a closing quote");
        return RECORD_READ;
    }
    while (*byte != ',' && *byte != '\n' && *byte != EOF) {
        if (*byte == '"')
            return wrong(csv->reterr, "a quote inside a field that does not begin with one");
        if (csv->bytes > RECORD_SIZE_MAX)
            return wrong(csv->reterr, "a record is larger than 64 MiB");
        keep(csv, *byte);
        *byte = next_byte(csv);
    }
    if (*byte == '\n' && csv->field.size > 0 && csv->field.data[csv->field.size - 1] == '\r')
        csv->field.size--;
    return RECORD_READ;
}

enum record_result record_read_csv(FILE *file, size_t *line, size_t *ret_line,
                                   struct record *record, struct text *reterr)
{
    struct csv csv = {.file = file, .line = line, .reterr = reterr};
    enum record_result result = RECORD_READ;
    int byte;
    do {
        *ret_line = *line + 1;
        byte = next_byte(&csv);
        if (byte == '\r')
            byte = next_byte(&csv);
    } while (byte == '\n');
    if (byte == EOF)
        return end_of(file, reterr);
    for (;;) {
        csv.field.size = 0;
        result = read_field(&csv, &byte);
        if (result == RECORD_READ && record->arguments.count == RECORD_FIELDS_MAX)
            result = wrong(reterr, "more than 100,000 fields");
        if (result != RECORD_READ)
            break;
        words_add_bytes(&record->arguments, csv.field.size > 0 ? csv.field.data : "",
                        csv.field.size);
        if (byte != ',')
            break;
        byte = next_byte(&csv);
    }
    text_free(&csv.field);
    return ferror(file) ? wrong(reterr, strerror(errno)) : result;
}

/* --- JSON lines ------------------------------------------------------------------------ */

static bool is_blank(const struct text *text)
{
    return text->size == 0 || strspn(text->data, " \t\r") >= text->size;
}

enum record_result record_read_json(FILE *file, size_t *line, size_t *ret_line,
                                    struct record *record, struct text *reterr)
{
    struct text text = {0};
    int byte;
    enum record_result result = RECORD_END;
    do {
        text.size = 0;
        while ((byte = getc(file)) != EOF && byte != '\n' && text.size <= RECORD_SIZE_MAX) {
            char one = (char)byte;
            text_append(&text, &one, 1);
        }
        *ret_line = ++*line;
    } while (byte == '\n' && is_blank(&text));
    if (text.size > RECORD_SIZE_MAX)
        result = wrong(reterr, "a line is larger than 64 MiB");
    else if (is_blank(&text))
        result = end_of(file, reterr);
    else
        result = record_parse_json(text.data, text.size, record, reterr);
    text_free(&text);
    return result;
}
