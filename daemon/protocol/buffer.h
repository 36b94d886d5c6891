/* buffer.h - a growing run of bytes. All-zero is an empty buffer; buffer_free gives the memory
 * back and makes it empty again.
 *
 * Growth can fail: the buffer then keeps what it held, remembers the failure (`failed`) and drops
 * what is added from then on, so that a writer checks once, at the end. */
#ifndef PROTOCOL_BUFFER_H
#define PROTOCOL_BUFFER_H

#include <await/base.h>

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    bool failed; /* an allocation failed: the content is incomplete */
};

/* Makes room for `more` bytes at the end: 0 or -ENOMEM. The room is data[size .. capacity). */
AW_MUST_CHECK int buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...) AW_PRINTF(2, 3);
/* Removes the first `size` bytes. */
void buffer_consume(struct buffer *buffer, size_t size);
void buffer_clear(struct buffer *buffer); /* keeps the memory */
void buffer_free(struct buffer *buffer);

#endif
