/* stream.c - a stream's life; reading is in stream_read.c, writing in stream_write.c. */
#include "io/stream_internal.h"

#include <await/file.h>
#include <await/scope.h>
#include <await/socket.h>

#include <errno.h>
#include <stdlib.h>

#define LIMIT_DEFAULT_BYTES ((size_t)64 << 10)
#define LIMIT_MAX_BYTES ((size_t)1 << 30)

bool stream_options_hold(const struct aw_stream_options *options)
{
    return options == NULL || (options->input_limit_bytes <= LIMIT_MAX_BYTES &&
                               options->output_limit_bytes <= LIMIT_MAX_BYTES);
}

int stream_create(struct aw_stream **ret_stream, struct transport *transport,
                  const struct aw_stream_options *options)
{
    size_t input_limit = options && options->input_limit_bytes ? options->input_limit_bytes
                                                               : LIMIT_DEFAULT_BYTES;
    size_t output_limit = options && options->output_limit_bytes ? options->output_limit_bytes
                                                                 : LIMIT_DEFAULT_BYTES;
    if (!stream_options_hold(options))
        return -EINVAL;
    struct aw_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return -ENOMEM;
    stream->transport = transport;
    stream->input_limit = input_limit;
    stream->output_limit = output_limit;
    aw_lock_init(&stream->write_lock);
    *ret_stream = stream;
    return 0;
}

int aw_stream_open_pair(struct aw_stream **ret_stream, int read_fd, int write_fd,
                        const struct aw_stream_options *options)
{
    /* the stream first: a transport that was made owns the descriptors and could not give them back
     */
    struct aw_stream *stream;
    int result = stream_create(&stream, NULL, options);
    if (result < 0)
        return result;
    result = transport_open_descriptors(read_fd, write_fd, &stream->transport);
    if (result < 0) {
        free(stream);
        return result;
    }
    *ret_stream = stream;
    return 0;
}

int aw_stream_open(struct aw_stream **ret_stream, int fd, const struct aw_stream_options *options)
{
    return aw_stream_open_pair(ret_stream, fd, fd, options);
}

static int open_connected(struct aw_stream **ret_stream, int fd,
                          const struct aw_stream_options *options, struct aw_error *reterr)
{
    if (fd < 0)
        return fd;
    int result = aw_stream_open(ret_stream, fd, options);
    if (result < 0) {
        (void)aw_close(fd);
        return aw_error_set(reterr, result, "cannot open a stream: %s", aw_error_text(result));
    }
    return 0;
}

int aw_stream_connect_tcp(struct aw_stream **ret_stream, const char *host, uint16_t port,
                          const struct aw_stream_options *options, struct aw_error *reterr)
{
    return open_connected(ret_stream, aw_connect_tcp(host, port, reterr), options, reterr);
}

int aw_stream_connect_unix(struct aw_stream **ret_stream, const char *path,
                           const struct aw_stream_options *options, struct aw_error *reterr)
{
    return open_connected(ret_stream, aw_connect_unix(path, reterr), options, reterr);
}

void aw_stream_abort(struct aw_stream *stream)
{
    if (stream == NULL)
        return;
    stream->transport->type->close(stream->transport);
    free(stream->input);
    free(stream->output);
    free(stream);
}

int aw_stream_close(struct aw_stream *stream)
{
    if (stream == NULL)
        return 0;
    /* a transport that keeps bytes has a farewell, without which the peer sees a cut */
    int result = stream->transport->type->flush ? aw_stream_end(stream) : aw_stream_flush(stream);
    aw_stream_abort(stream);
    return result;
}

size_t aw_stream_buffered(const struct aw_stream *stream)
{
    return stream->input_end - stream->input_start;
}

bool aw_stream_at_end(const struct aw_stream *stream)
{
    return stream->at_end && aw_stream_buffered(stream) == 0;
}

size_t aw_stream_pending(const struct aw_stream *stream)
{
    return stream->output_end - stream->output_start;
}

int aw_stream_descriptor(const struct aw_stream *stream)
{
    return stream->transport->type->descriptor(stream->transport);
}
