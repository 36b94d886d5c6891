/* library.h - shared libraries that are loaded when they are first needed, so that programs that
 * never do so need not have them nor pay for them. */
#ifndef CLIENTS_LIBRARY_H
#define CLIENTS_LIBRARY_H

#include <await/base.h>
#include <await/error.h>

struct library_function {
    const char *name;
    void *place; /* of the pointer to it */
};

/* Loads the file for the life of the process and fills in the functions. -ENOENT: it is not
 * installed, or lacks one of them; then nothing stays loaded. */
AW_MUST_CHECK int library_load(const char *file, const struct library_function *functions,
                               size_t count, struct aw_error *reterr);

#endif
