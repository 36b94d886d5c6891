/* websocket_utf8.h - whether text that comes in pieces is UTF-8, found at the first wrong byte.
 *
 * All-zero is the start of a text. Surrogates, overlong forms and what is above U+10FFFF are wrong
 * (RFC 3629). */
#ifndef CLIENTS_WEBSOCKET_UTF8_H
#define CLIENTS_WEBSOCKET_UTF8_H

#include <await/base.h>

struct websocket_utf8 {
    uint8_t missing; /* bytes of the character that has begun */
    uint8_t low;     /* what the next of them may be */
    uint8_t high;
};

/* Whether the text can go on like this; after false it is over. */
AW_MUST_CHECK bool websocket_utf8_take(struct websocket_utf8 *text, const void *data, size_t size);

/* Whether the text may end here. */
static inline bool websocket_utf8_is_whole(const struct websocket_utf8 *text)
{
    return text->missing == 0;
}

#endif
