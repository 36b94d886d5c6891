/* buffer.c - see buffer.h. Capacity doubles, so that n appended bytes cost O(n) copies in all. */
#include "protocol/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 96

int buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed)
        return -ENOMEM;
    if (buffer->capacity - buffer->size >= more)
        return 0;
    if (more > (size_t)PTRDIFF_MAX - buffer->size) {
        buffer->failed = true;
        return -ENOMEM;
    }
    size_t needed = buffer->size + more;
    size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity;
    while (capacity < needed)
        capacity = capacity > (size_t)PTRDIFF_MAX / 2 ? (size_t)PTRDIFF_MAX : capacity * 2;
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return -ENOMEM;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (size == 0 || buffer_reserve(buffer, size) < 0)
        return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    if (buffer->failed)
        return;
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t room = buffer->capacity - buffer->size;
    int length = vsnprintf(room ? buffer->data + buffer->size : NULL, room, format, arguments);
    if (length < 0) {
        buffer->failed = true;
    } else if ((size_t)length < room) {
        buffer->size += (size_t)length;
    } else if (buffer_reserve(buffer, (size_t)length + 1) == 0) {
        vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, again);
        buffer->size += (size_t)length;
    }
    va_end(again);
    va_end(arguments);
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    if (size >= buffer->size) {
        buffer->size = 0;
        return;
    }
    if (size == 0)
        return;
    buffer->size -= size;
    memmove(buffer->data, buffer->data + size, buffer->size);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
