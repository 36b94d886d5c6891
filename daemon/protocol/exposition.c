/* exposition.c - see exposition.h. */
#include "protocol/exposition.h"

#include <inttypes.h>

void exposition_family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Bytes in a well-formed UTF-8 sequence at `text`, which ends with a NUL; 0: it is none. */
static size_t sequence_size(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t size = at[0] < 0x80 ? 1
                  : at[0] >= 0xc2 && at[0] < 0xe0 ? 2
                  : at[0] >= 0xe0 && at[0] < 0xf0 ? 3
                  : at[0] >= 0xf0 && at[0] < 0xf5 ? 4
                                                  : 0;
    for (size_t i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

static void append_escaped(struct buffer *out, const char *text)
{
    while (*text) {
        size_t size = sequence_size(text);
        if (*text == '\\' || *text == '"')
            buffer_printf(out, "\\%c", *text);
        else if (*text == '\n')
            buffer_append(out, "\\n", 2);
        else
            buffer_append(out, size > 0 ? text : "?", size > 0 ? size : 1);
        text += size > 0 ? size : 1;
    }
}

static void append_name(struct buffer *out, const char *name, const struct labels *labels)
{
    bool open = false;
    buffer_append_text(out, name);
    for (size_t i = 0; i < EXPOSITION_LABELS_MAX; i++) {
        if (!labels->list[i].name)
            continue;
        buffer_printf(out, "%s%s=\"", open ? "," : "{", labels->list[i].name);
        append_escaped(out, labels->list[i].value);
        buffer_append(out, "\"", 1);
        open = true;
    }
    buffer_append_text(out, open ? "} " : " ");
}

void exposition_count(struct buffer *out, const char *name, struct labels labels, uint64_t value)
{
    append_name(out, name, &labels);
    buffer_printf(out, "%" PRIu64 "\n", value);
}

void exposition_number(struct buffer *out, const char *name, struct labels labels, double value)
{
    append_name(out, name, &labels);
    buffer_printf(out, "%.9g\n", value);
}
