/* file_temporary.c - see await/file.h and file_temporary.h. A name that is taken is tried again
 * with other digits: O_EXCL and mkdir(2) decide, so nobody can slip a link under it. */
#include "io/file_temporary.h"

#include <await/clock.h>
#include <await/file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define ATTEMPTS_MAX 16

static int make_name(const char *prefix, const char *separator, char *path, size_t size)
{
    uint64_t number;
    aw_random_bytes(&number, sizeof number);
    int length = snprintf(path, size, "%s%s%016llx.tmp", prefix, separator,
                          (unsigned long long)number);
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static int open_new(const char *prefix, const char *separator, mode_t mode, char *path,
                    size_t size)
{
    int result = -EEXIST;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && result == -EEXIST; attempt++) {
        result = make_name(prefix, separator, path, size);
        if (result == 0)
            result = aw_open(path, O_RDWR | O_CREAT | O_EXCL, mode);
    }
    return result;
}

int temporary_open(const char *prefix, mode_t mode, char *ret_path, size_t size)
{
    return open_new(prefix, ".", mode, ret_path, size);
}

int aw_temporary_file(const char *directory, char *ret_path, size_t size)
{
    return open_new(directory, "/", 0600, ret_path, size);
}

int aw_temporary_unnamed(const char *directory)
{
    return aw_open(directory, O_RDWR | O_TMPFILE, 0600);
}

int aw_temporary_directory(const char *directory, char *ret_path, size_t size)
{
    int result = -EEXIST;
    for (int attempt = 0; attempt < ATTEMPTS_MAX && result == -EEXIST; attempt++) {
        result = make_name(directory, "/", ret_path, size);
        if (result == 0)
            result = aw_make_directory(ret_path, 0700);
    }
    return result;
}
