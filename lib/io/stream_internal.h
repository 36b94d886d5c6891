/* stream_internal.h - the inside of a stream, shared by its reading and its writing half.
 *
 * input holds the bytes [input_start, input_end) of `input`; one byte more than input_capacity is
 * allocated, for the NUL after a line. output holds what is not sent yet; its memory never moves
 * while a send runs, since only the holder of write_lock touches it. */
#ifndef IO_STREAM_INTERNAL_H
#define IO_STREAM_INTERNAL_H

#include "io/transport.h"

#include <await/stream.h>
#include <await/sync.h>

struct aw_stream {
    struct transport *transport;

    char *input;
    size_t input_start;
    size_t input_end;
    size_t input_capacity;
    size_t input_limit;
    int read_error; /* bytes were lost: given to every later read */
    bool reading;
    bool at_end;

    struct aw_lock write_lock;
    char *output;
    size_t output_start;
    size_t output_end;
    size_t output_capacity;
    size_t output_limit;
    int write_error; /* given to every later write */
    bool ended;      /* aw_stream_end has been called */
};

/* Whether a stream can have these limits. `options` may be NULL. */
bool stream_options_hold(const struct aw_stream_options *options);

/* Makes a stream over a transport, which it owns on success. -ENOMEM, -EINVAL. */
AW_MUST_CHECK int stream_create(struct aw_stream **ret_stream, struct transport *transport,
                                const struct aw_stream_options *options);

/* Sends what is pending unless another task is about it: before a read waits for the answer. */
AW_MUST_CHECK AW_SUSPENDS int stream_flush_before_read(struct aw_stream *stream);

#endif
