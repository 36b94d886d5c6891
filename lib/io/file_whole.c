/* file_whole.c - what takes several operations on one file: reading all of it, making its directory
 * entry durable. The descriptors opened here are closed here, on every path. */
#include <await/file.h>

#include "io/file_chunk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define READ_START_BYTES 4096u

int aw_sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory;
    if (slash == NULL)
        directory = strdup(".");
    else if (slash == path)
        directory = strdup("/");
    else
        directory = strndup(path, (size_t)(slash - path));
    if (directory == NULL)
        return -ENOMEM;
    int fd = aw_open(directory, O_RDONLY | O_DIRECTORY, 0);
    free(directory);
    if (fd < 0)
        return fd;
    int result = aw_sync(fd, false);
    aw_close(fd);
    return result;
}

/* The contents so far; one more byte than `capacity` is allocated, for the NUL at the end. */
struct contents {
    char *data;
    size_t size;
    size_t capacity;
};

/* Makes room for at least one more byte, but never for more than limit + 1 in all: the byte above
 * the limit is how a file that is too big shows itself. */
static int contents_grow(struct contents *contents, size_t limit)
{
    if (contents->data != NULL && contents->size < contents->capacity)
        return 0;
    size_t wanted = contents->capacity;
    if (contents->data != NULL)
        wanted = wanted <= limit / 2 ? wanted * 2 : limit + 1;
    char *grown = realloc(contents->data, wanted + 1);
    if (grown == NULL)
        return -ENOMEM;
    contents->data = grown;
    contents->capacity = wanted;
    return 0;
}

/* The size stat(2) tells is a first guess only: files of /proc say 0, and a file may be growing. */
static int guess_capacity(int fd, size_t limit, size_t *ret_capacity)
{
    struct stat status;
    int result = aw_stat_fd(fd, &status);
    if (result < 0)
        return result;
    size_t capacity = READ_START_BYTES;
    if (S_ISREG(status.st_mode) && status.st_size >= READ_START_BYTES) {
        if ((uint64_t)status.st_size > limit)
            return -EFBIG;
        capacity = (size_t)status.st_size + 1;
    }
    *ret_capacity = capacity <= limit ? capacity : limit + 1;
    return 0;
}

static int read_to_end(int fd, size_t limit, struct contents *contents)
{
    int result = guess_capacity(fd, limit, &contents->capacity);
    while (result >= 0) {
        result = contents_grow(contents, limit);
        if (result < 0)
            break;
        size_t room = contents->capacity - contents->size;
        result = aw_read(fd, contents->data + contents->size,
                         room < FILE_CHUNK_BYTES ? room : FILE_CHUNK_BYTES, AW_AT_POSITION);
        if (result <= 0)
            break;
        contents->size += (size_t)result;
        if (contents->size > limit)
            result = -EFBIG;
    }
    return result;
}

int aw_read_file(const char *path, size_t size_max, char **ret_data, size_t *ret_size)
{
    int fd = aw_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    struct contents contents = {0};
    int result = read_to_end(fd, size_max < SIZE_MAX / 4 ? size_max : SIZE_MAX / 4, &contents);
    aw_close(fd);
    if (result < 0) {
        free(contents.data);
        return result;
    }
    contents.data[contents.size] = '\0';
    *ret_data = contents.data;
    *ret_size = contents.size;
    return 0;
}
