/* stream_read.c - the reading half of a stream.
 *
 * Bytes leave the input buffer only when a call succeeds, so an interrupted one loses nothing. The
 * two calls that may need more room than the buffer's limit take the bytes straight into the
 * caller's memory; when such a call fails midway the stream has a hole, and read_error says so. */
#include "io/stream_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_START_BYTES ((size_t)4096)

static int begin(struct aw_stream *stream)
{
    if (stream->reading)
        return -EBUSY;
    if (stream->read_error < 0)
        return stream->read_error;
    stream->reading = true;
    return 0;
}

static int finish(struct aw_stream *stream, int result)
{
    stream->reading = false;
    return result;
}

static int receive(struct aw_stream *stream, void *buffer, size_t size)
{
    int result = stream_flush_before_read(stream);
    if (result < 0)
        return result;
    result = stream->transport->type->receive(stream->transport, buffer,
                                              size < INT_MAX ? size : INT_MAX);
    if (result == 0)
        stream->at_end = true;
    return result;
}

/* Makes room behind the buffered bytes, of which there are fewer than the limit. */
static int make_room(struct aw_stream *stream)
{
    size_t buffered = aw_stream_buffered(stream);
    if (buffered == 0) {
        stream->input_start = 0;
        stream->input_end = 0;
    }
    if (stream->input_end < stream->input_capacity)
        return 0;
    if (stream->input_start > 0) {
        memmove(stream->input, stream->input + stream->input_start, buffered);
        stream->input_start = 0;
        stream->input_end = buffered;
        return 0;
    }
    size_t capacity = stream->input_capacity ? stream->input_capacity * 2 : INPUT_START_BYTES;
    if (capacity > stream->input_limit)
        capacity = stream->input_limit;
    char *grown = realloc(stream->input, capacity + 1);
    if (grown == NULL)
        return -ENOMEM;
    stream->input = grown;
    stream->input_capacity = capacity;
    return 0;
}

/* Waits for more bytes in the buffer: above 0, 0 at the end. */
static int fill(struct aw_stream *stream)
{
    if (stream->at_end)
        return 0;
    int result = make_room(stream);
    if (result < 0)
        return result;
    result = receive(stream, stream->input + stream->input_end,
                     stream->input_capacity - stream->input_end);
    if (result > 0)
        stream->input_end += (size_t)result;
    return result;
}

static size_t take(struct aw_stream *stream, void *buffer, size_t size)
{
    size_t buffered = aw_stream_buffered(stream);
    size_t taken = size < buffered ? size : buffered;
    if (taken > 0)
        memcpy(buffer, stream->input + stream->input_start, taken);
    stream->input_start += taken;
    return taken;
}

static int read_some(struct aw_stream *stream, void *buffer, size_t size)
{
    if (size == 0)
        return -EINVAL;
    if (aw_stream_buffered(stream) == 0) {
        if (stream->at_end)
            return 0;
        if (size >= INPUT_START_BYTES)
            return receive(stream, buffer, size);
        int result = fill(stream);
        if (result <= 0)
            return result;
    }
    return (int)take(stream, buffer, size < INT_MAX ? size : INT_MAX);
}

int aw_stream_read_some(struct aw_stream *stream, void *buffer, size_t size)
{
    int result = begin(stream);
    return result < 0 ? result : finish(stream, read_some(stream, buffer, size));
}

static int read_directly(struct aw_stream *stream, char *buffer, size_t size)
{
    size_t done = take(stream, buffer, size);
    while (done < size) {
        int result = stream->at_end ? 0 : receive(stream, buffer + done, size - done);
        if (result <= 0) {
            if (done > 0)
                stream->read_error = -ECONNABORTED;
            return result < 0 ? result : -ENODATA;
        }
        done += (size_t)result;
    }
    return 0;
}

static int read_exactly(struct aw_stream *stream, void *buffer, size_t size)
{
    if (size > stream->input_limit)
        return read_directly(stream, buffer, size);
    while (aw_stream_buffered(stream) < size) {
        int result = fill(stream);
        if (result <= 0)
            return result < 0 ? result : -ENODATA;
    }
    (void)take(stream, buffer, size);
    return 0;
}

int aw_stream_read_exactly(struct aw_stream *stream, void *buffer, size_t size)
{
    int result = begin(stream);
    return result < 0 ? result : finish(stream, read_exactly(stream, buffer, size));
}

/* Where the first delimiter ends, counted from the first buffered byte; 0 at the end of the stream
 * when none came. Leaves everything in the buffer. */
static int find(struct aw_stream *stream, const void *delimiter, size_t delimiter_size,
                size_t bound)
{
    if (bound == 0 || bound > stream->input_limit)
        bound = stream->input_limit;
    size_t searched = 0;
    for (;;) {
        size_t buffered = aw_stream_buffered(stream);
        size_t visible = buffered < bound ? buffered : bound;
        if (visible > searched) {
            const char *first = stream->input + stream->input_start;
            const char *found =
                memmem(first + searched, visible - searched, delimiter, delimiter_size);
            if (found != NULL)
                return (int)((size_t)(found - first) + delimiter_size);
        }
        if (buffered >= bound)
            return -EMSGSIZE;
        /* the delimiter may have begun in the last bytes */
        searched = visible >= delimiter_size ? visible - (delimiter_size - 1) : 0;
        int result = fill(stream);
        if (result <= 0)
            return result;
    }
}

static int read_until(struct aw_stream *stream, const void *delimiter, size_t delimiter_size,
                      size_t bound, const char **ret_data)
{
    if (delimiter_size == 0)
        return -EINVAL;
    int size = find(stream, delimiter, delimiter_size, bound);
    if (size == 0 && aw_stream_buffered(stream) > 0)
        return -ENODATA;
    if (size <= 0)
        return size;
    *ret_data = stream->input + stream->input_start;
    stream->input_start += (size_t)size;
    return size;
}

int aw_stream_read_until(struct aw_stream *stream, const void *delimiter, size_t delimiter_size,
                         size_t bound, const char **ret_data)
{
    int result = begin(stream);
    if (result < 0)
        return result;
    return finish(stream, read_until(stream, delimiter, delimiter_size, bound, ret_data));
}

static int read_line(struct aw_stream *stream, size_t bound, char **ret_line, size_t *ret_size)
{
    int taken = find(stream, "\n", 1, bound);
    if (taken < 0)
        return taken;
    size_t size = (size_t)taken;
    if (taken > 0) {
        size--;
    } else {
        size = aw_stream_buffered(stream);
        if (size == 0)
            return 0;
        taken = (int)size;
    }
    char *line = stream->input + stream->input_start;
    stream->input_start += (size_t)taken;
    if (size > 0 && size < (size_t)taken && line[size - 1] == '\r')
        size--;
    line[size] = '\0';
    *ret_line = line;
    if (ret_size != NULL)
        *ret_size = size;
    return taken;
}

int aw_stream_read_line(struct aw_stream *stream, size_t bound, char **ret_line, size_t *ret_size)
{
    int result = begin(stream);
    return result < 0 ? result : finish(stream, read_line(stream, bound, ret_line, ret_size));
}

/* The contents so far; one more byte than `capacity` is allocated. */
struct contents {
    char *data;
    size_t size;
    size_t capacity;
};

static int contents_grow(struct contents *contents, size_t size_max)
{
    if (contents->size < contents->capacity)
        return 0;
    /* one byte above the limit is how a stream that is too long shows itself */
    size_t capacity = contents->capacity ? contents->capacity * 2 : INPUT_START_BYTES;
    if (capacity > size_max)
        capacity = size_max + 1;
    char *grown = realloc(contents->data, capacity + 1);
    if (grown == NULL)
        return -ENOMEM;
    contents->data = grown;
    contents->capacity = capacity;
    return 0;
}

static int read_to_end(struct aw_stream *stream, size_t size_max, struct contents *contents)
{
    if (size_max > SIZE_MAX / 4)
        size_max = SIZE_MAX / 4;
    for (;;) {
        int result = contents_grow(contents, size_max);
        if (result < 0)
            return result;
        char *room = contents->data + contents->size;
        size_t room_size = contents->capacity - contents->size;
        result = aw_stream_buffered(stream) > 0 ? (int)take(stream, room, room_size)
                 : stream->at_end               ? 0
                                                : receive(stream, room, room_size);
        if (result <= 0)
            return result;
        contents->size += (size_t)result;
        if (contents->size > size_max)
            return -EFBIG;
    }
}

int aw_stream_read_to_end(struct aw_stream *stream, size_t size_max, char **ret_data,
                          size_t *ret_size)
{
    int result = begin(stream);
    if (result < 0)
        return result;
    struct contents contents = {0};
    result = finish(stream, read_to_end(stream, size_max, &contents));
    if (result < 0) {
        if (contents.size > 0)
            stream->read_error = -ECONNABORTED;
        free(contents.data);
        return result;
    }
    contents.data[contents.size] = '\0';
    *ret_data = contents.data;
    *ret_size = contents.size;
    return 0;
}
