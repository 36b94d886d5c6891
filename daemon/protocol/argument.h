/* argument.h - one argument of a command or a job, as a view into bytes somebody else owns. */
#ifndef PROTOCOL_ARGUMENT_H
#define PROTOCOL_ARGUMENT_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that may hold NULs and do not end with one; whoever gets the view does not change them. */
struct argument {
    const char *data;
    uint32_t size;
    bool null; /* SQL NULL (option NULL n); the parser never sets it */
};

#endif
