/* stream_write.c - the writing half of a stream.
 *
 * What fits below the high-water mark is copied; what does not waits until the buffer has been
 * sent, and goes straight from the caller's memory when it is larger than the whole buffer. An
 * interrupted send keeps the rest in order, so that the stream of bytes is never torn, except in
 * the middle of such a direct send: then the stream's writing ends for good. */
#include "io/stream_internal.h"

#include <await/scope.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_START_BYTES ((size_t)4096)

static bool is_interruption(int result)
{
    return result == -ECANCELED || result == -ETIME;
}

/* One send; an error that is the connection's is kept. */
static int send_some(struct aw_stream *stream, const char *data, size_t size)
{
    int result = stream->transport->type->send(stream->transport, data, size);
    if (result < 0 && !is_interruption(result))
        stream->write_error = result;
    return result;
}

static int flush_transport(struct aw_stream *stream)
{
    if (stream->transport->type->flush == NULL)
        return 0;
    int result = stream->transport->type->flush(stream->transport);
    if (result < 0 && !is_interruption(result))
        stream->write_error = result;
    return result;
}

/* Under the lock. */
static int send_pending(struct aw_stream *stream)
{
    while (stream->output_start < stream->output_end) {
        int result = send_some(stream, stream->output + stream->output_start,
                               stream->output_end - stream->output_start);
        if (result < 0)
            return result;
        stream->output_start += (size_t)result;
    }
    stream->output_start = 0;
    stream->output_end = 0;
    return flush_transport(stream);
}

static int reserve(struct aw_stream *stream, size_t size)
{
    if (stream->output_start > 0) {
        stream->output_end -= stream->output_start;
        memmove(stream->output, stream->output + stream->output_start, stream->output_end);
        stream->output_start = 0;
    }
    size_t wanted = stream->output_end + size;
    if (wanted <= stream->output_capacity)
        return 0;
    size_t capacity = stream->output_capacity ? stream->output_capacity : OUTPUT_START_BYTES;
    while (capacity < wanted)
        capacity *= 2;
    char *grown = realloc(stream->output, capacity);
    if (grown == NULL)
        return -ENOMEM;
    stream->output = grown;
    stream->output_capacity = capacity;
    return 0;
}

static int append(struct aw_stream *stream, const char *data, size_t size)
{
    int result = reserve(stream, size);
    if (result < 0)
        return result;
    memcpy(stream->output + stream->output_end, data, size);
    stream->output_end += size;
    return 0;
}

static int send_directly(struct aw_stream *stream, const char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        int result = send_some(stream, data + done, size - done);
        if (result < 0) {
            if (done > 0 && stream->write_error == 0)
                stream->write_error = -ECONNABORTED;
            return result;
        }
        done += (size_t)result;
    }
    return 0;
}

static int write_locked(struct aw_stream *stream, const char *data, size_t size)
{
    if (stream->write_error < 0)
        return stream->write_error;
    if (stream->ended)
        return -EPIPE;
    if (size == 0)
        return 0;
    if (aw_stream_pending(stream) + size <= stream->output_limit)
        return append(stream, data, size);
    int result = send_pending(stream);
    if (result < 0)
        return result;
    if (size >= stream->output_limit)
        return send_directly(stream, data, size);
    return append(stream, data, size);
}

int aw_stream_write(struct aw_stream *stream, const void *data, size_t size)
{
    int result = aw_interrupted();
    if (result == 0)
        result = aw_lock_acquire(&stream->write_lock);
    if (result < 0)
        return result;
    result = write_locked(stream, data, size);
    aw_lock_release(&stream->write_lock);
    return result;
}

int aw_stream_print(struct aw_stream *stream, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return -ENOMEM;
    int result = aw_stream_write(stream, text, (size_t)size);
    free(text);
    return result;
}

static int flush_locked(struct aw_stream *stream)
{
    if (stream->write_error < 0)
        return stream->write_error;
    return send_pending(stream);
}

int aw_stream_flush(struct aw_stream *stream)
{
    int result = aw_interrupted();
    if (result == 0)
        result = aw_lock_acquire(&stream->write_lock);
    if (result < 0)
        return result;
    result = flush_locked(stream);
    aw_lock_release(&stream->write_lock);
    return result;
}

int aw_stream_write_all(struct aw_stream *stream, const void *data, size_t size)
{
    int result = aw_stream_write(stream, data, size);
    return result < 0 ? result : aw_stream_flush(stream);
}

static int end_locked(struct aw_stream *stream)
{
    if (stream->ended)
        return 0;
    int result = flush_locked(stream);
    if (result == 0)
        result = stream->transport->type->end(stream->transport);
    if (result >= 0)
        stream->ended = true;
    return result < 0 ? result : 0;
}

int aw_stream_end(struct aw_stream *stream)
{
    int result = aw_interrupted();
    if (result == 0)
        result = aw_lock_acquire(&stream->write_lock);
    if (result < 0)
        return result;
    result = end_locked(stream);
    aw_lock_release(&stream->write_lock);
    return result;
}

int stream_flush_before_read(struct aw_stream *stream)
{
    /* A failed sending is the writer's to hear of: what the peer has sent can still be read. */
    if (aw_stream_pending(stream) == 0 || stream->write_error < 0 ||
        stream->write_lock.owner != NULL)
        return 0;
    int result = aw_stream_flush(stream);
    return is_interruption(result) ? result : 0;
}
