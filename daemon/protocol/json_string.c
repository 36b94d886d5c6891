/* json_string.c - see json_string.h. */
#include "protocol/json_string.h"

/* The length of a well-formed UTF-8 sequence, 0 if it is none. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                    : (text[0] & 0xf0) == 0xe0                                ? 3
                    : text[0] >= 0xf0 && text[0] < 0xf5                       ? 4
                                                                              : 0;
    if (length == 0 || length > left) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xed && text[1] >= 0xa0;
    bool too_large = text[0] == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : length;
}

void json_string(struct buffer *out, const char *data, size_t size)
{
    const unsigned char *text = (const unsigned char *)data;
    buffer_append(out, "\"", 1);
    for (size_t at = 0; at < size;) {
        size_t run = at;
        size_t length = 0;
        while (run < size && text[run] >= 0x20 && text[run] != '"' && text[run] != '\\' &&
               (length = utf8_length(text + run, size - run)) > 0) {
            run += length;
        }
        buffer_append(out, data + at, run - at);
        at = run;
        if (at == size) {
            break;
        }
        if (text[at] == '"' || text[at] == '\\') {
            buffer_printf(out, "\\%c", text[at]);
        } else if (text[at] < 0x20) {
            buffer_printf(out, "\\u%04x", text[at]);
        } else {
            buffer_append_text(out, "\xef\xbf\xbd"); /* U+FFFD in place of the broken byte */
        }
        at++;
    }
    buffer_append(out, "\"", 1);
}
