/* transfer.h - what reading and writing have in common, be it a file or a socket. */
#ifndef IO_TRANSFER_H
#define IO_TRANSFER_H

#include <await/base.h>

/* Results are ints, so one transfer moves at most this much. */
static inline size_t transfer_size(size_t size)
{
    return size < INT32_MAX ? size : INT32_MAX;
}

/* The ring's request has one pointer for both directions: for a buffer the kernel only reads from. */
static inline void *transfer_source(const void *buffer)
{
    union {
        const void *constant;
        void *writable;
    } pointer = {.constant = buffer};
    return pointer.writable;
}

#endif
