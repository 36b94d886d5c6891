/* fuzz_value.c - what value_write accepts is what value_length measures; the RESP3 form is the
 * value itself, and a refusal leaves the output as it was. */
#include "protocol/value.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether the input is complete values and nothing else, by value_length. */
static bool is_whole(const char *text, size_t size)
{
    while (size > 0) {
        long length = value_length(text, size);
        if (length <= 0)
            return false;
        if ((size_t)length > size)
            abort();
        text += length;
        size -= (size_t)length;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    bool whole = is_whole(text, size);
    for (int version = 2; version <= 3; version++) {
        struct buffer out = {0};
        buffer_append_text(&out, "kept");
        int result = value_write(&out, text, size, version);
        if ((result == 0) != whole || memcmp(out.data, "kept", 4) != 0)
            abort();
        if (result < 0 && out.size != 4)
            abort();
        if (result == 0 && version == 3 &&
            (out.size != size + 4 || (size > 0 && memcmp(out.data + 4, text, size) != 0)))
            abort();
        buffer_free(&out);
    }
    return 0;
}
