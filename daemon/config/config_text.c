/* config_text.c - one file's text through inih into the builder.
 *
 * inih splits keys from values. Lines are handed to it one by one by a reader of ours, which counts
 * them (inih's handler is told no line number) and keeps from it what its builds differ in or cut
 * silently: section headers (it cuts them at 49 bytes, and says nothing of a section without keys),
 * comments after a value, indented lines, which it may take for continuations, and long lines. */
#include "config/config_builder.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE_MAX 8192
#define HEADER_SIZE_MAX 128

/* Debian builds inih with its compile-time choices as variables; elsewhere they do not exist, and a
 * line is limited to what inih was built with (the reader sees that limit and says so). */
extern bool ini_use_stack __attribute__((weak));
extern int ini_initial_alloc __attribute__((weak));
extern int ini_max_line __attribute__((weak));

struct text_reader {
    struct config_builder *builder;
    const char *at;
    const char *end;
    struct source source;    /* the line that inih has now */
    struct section *section; /* NULL before the first one */
    int result;              /* the first failure; nothing is read after it */
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\v' || byte == '\f';
}

/* Takes the next line without its end, blanks around it and a " ; comment". */
static const char *next_line(struct text_reader *reader, size_t *ret_size)
{
    const char *line = reader->at;
    const char *stop = memchr(line, '\n', (size_t)(reader->end - line));
    reader->at = stop ? stop + 1 : reader->end;
    if (!stop)
        stop = reader->end;
    reader->source.line++;
    while (line < stop && is_blank(*line))
        line++;
    for (const char *at = line; at < stop; at++)
        if (*at == ';' && at > line && is_blank(at[-1]))
            stop = at;
    while (stop > line && is_blank(stop[-1]))
        stop--;
    *ret_size = (size_t)(stop - line);
    return line;
}

static int refuse_line(struct text_reader *reader, const char *reason)
{
    return config_refuse(reader->builder, reader->source, "%s", reason);
}

static int check_line(struct text_reader *reader, const char *line, size_t size, size_t room)
{
    if (size + 2 > room)
        return config_refuse(reader->builder, reader->source,
                             "the line is longer than %zu bytes", room - 2);
    for (size_t i = 0; i < size; i++) {
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
            return refuse_line(reader, "the line has a control character");
        if (line[i] == '#' && i > 0 && is_blank(line[i - 1]))
            return refuse_line(reader, "a comment after a value begins with ' ;', not with ' #'");
    }
    return 0;
}

/* "[kind name]" */
static int open_section(struct text_reader *reader, const char *line, size_t size)
{
    if (size < 2 || line[size - 1] != ']')
        return refuse_line(reader, "a section's line must end with ']'");
    if (size > HEADER_SIZE_MAX)
        return refuse_line(reader, "a section's line is too long");
    char header[HEADER_SIZE_MAX];
    const char *start = line + 1;
    const char *stop = line + size - 1;
    while (start < stop && is_blank(*start))
        start++;
    while (stop > start && is_blank(stop[-1]))
        stop--;
    memcpy(header, start, (size_t)(stop - start));
    header[stop - start] = '\0';
    int result;
    reader->section = config_builder_open(reader->builder, reader->source, header, &result);
    return result;
}

/* fgets for inih. */
static char *read_line(char *out, int out_size, void *stream)
{
    struct text_reader *reader = stream;
    if (reader->at == reader->end || reader->result < 0)
        return NULL;
    size_t room = out_size > LINE_SIZE_MAX ? LINE_SIZE_MAX : (size_t)out_size;
    size_t size;
    const char *line = next_line(reader, &size);
    if (size > 0 && (*line == ';' || *line == '#'))
        size = 0;
    reader->result = check_line(reader, line, size, room);
    if (reader->result == 0 && size > 0 && *line == '[') {
        reader->result = open_section(reader, line, size);
        size = 0;
    }
    if (reader->result < 0)
        return NULL;
    memcpy(out, line, size);
    out[size] = '\n';
    out[size + 1] = '\0';
    return out;
}

/* inih's handler: 0 is failure. */
static int take_value(void *user, const char *section, const char *name, const char *value)
{
    struct text_reader *reader = user;
    (void)section;
    if (reader->result < 0)
        return 0;
    if (!reader->section)
        reader->result = config_refuse(reader->builder, reader->source,
                                       "key '%.40s' is before the first section", name);
    else
        reader->result = config_builder_set(reader->builder, reader->section, reader->source, name,
                                            value ? value : "");
    return reader->result == 0;
}

/* Keeps a copy of the file's name for as long as the builder lives. */
static const char *add_file(struct config_builder *builder, const char *file)
{
    char **files = realloc(builder->files, (builder->file_count + 1) * sizeof *files);
    if (!files)
        return NULL;
    builder->files = files;
    char *copy = strdup(file);
    if (copy)
        files[builder->file_count++] = copy;
    return copy;
}

int config_builder_add_text(struct config_builder *builder, const char *file, const char *text,
                            size_t size)
{
    struct text_reader reader = {.builder = builder, .at = text, .end = text + size};
    reader.source.file = add_file(builder, file);
    if (!reader.source.file)
        return -ENOMEM;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        reader.at += 3;
    if (&ini_use_stack && &ini_initial_alloc && &ini_max_line) {
        ini_use_stack = false;
        ini_initial_alloc = LINE_SIZE_MAX;
        ini_max_line = LINE_SIZE_MAX;
    }
    int line = ini_parse_stream(read_line, &reader, take_value, &reader);
    if (line < 0)
        return -ENOMEM;
    if (line > 0 && (reader.result == 0 || (uint32_t)line < reader.source.line)) {
        reader.source.line = (uint32_t)line;
        return refuse_line(&reader, "the line is neither '[section]' nor 'key = value'");
    }
    return reader.result;
}
