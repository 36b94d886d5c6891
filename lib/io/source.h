/* source.h - the ring's request has one pointer for both directions; this makes it from a buffer
 * that the kernel only reads from. */
#ifndef IO_SOURCE_H
#define IO_SOURCE_H

static inline void *source_buffer(const void *buffer)
{
    union {
        const void *constant;
        void *writable;
    } pointer = {.constant = buffer};
    return pointer.writable;
}

#endif
