/* websocket_utf8.c - see websocket_utf8.h; the table is 3-7 of the Unicode standard. */
#include "clients/websocket_utf8.h"

#include <string.h>

static size_t count_ascii(const uint8_t *data, size_t size)
{
    size_t count = 0;
    uint64_t eight;
    while (size - count >= sizeof eight) {
        memcpy(&eight, data + count, sizeof eight);
        if ((eight & UINT64_C(0x8080808080808080)) != 0)
            break;
        count += sizeof eight;
    }
    while (count < size && data[count] < 0x80)
        count++;
    return count;
}

static bool begin(struct websocket_utf8 *text, uint8_t byte)
{
    text->low = 0x80;
    text->high = 0xbf;
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    text->missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    if (byte == 0xe0)
        text->low = 0xa0; /* below it would be overlong */
    else if (byte == 0xed)
        text->high = 0x9f; /* above it are the surrogates */
    else if (byte == 0xf0)
        text->low = 0x90; /* overlong */
    else if (byte == 0xf4)
        text->high = 0x8f; /* above U+10FFFF */
    return true;
}

bool websocket_utf8_take(struct websocket_utf8 *text, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        if (text->missing > 0) {
            if (bytes[i] < text->low || bytes[i] > text->high)
                return false;
            text->missing--;
            text->low = 0x80;
            text->high = 0xbf;
            continue;
        }
        i += count_ascii(bytes + i, size - i);
        if (i < size && !begin(text, bytes[i]))
            return false;
    }
    return true;
}
