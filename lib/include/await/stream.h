/* stream.h - buffered streams of bytes over a socket, a pipe or a terminal.
 *
 * A stream owns its descriptor and two buffers with limits. Reading fills the input buffer and
 * hands out lines, messages or exact sizes; writing collects in the output buffer, which goes out
 * when it reaches its high-water mark, at aw_stream_flush, aw_stream_end and aw_stream_close, and
 * before a read of the same stream has to wait: a question is out before its answer is awaited.
 *
 * One task reads at a time (-EBUSY for a second one) while others write; writers take turns, each
 * call's bytes stay together. Deadlines are those of scopes (scope.h). An interrupted read loses
 * nothing, the bytes stay buffered; the exceptions say so below. No task may use a stream that is
 * being closed. */
#ifndef AWAIT_STREAM_H
#define AWAIT_STREAM_H

#include <await/base.h>
#include <await/error.h>

struct aw_stream;

struct aw_stream_options {
    size_t input_limit_bytes;  /* what the input buffer may hold; 0: 64 KiB; at most 1 GiB. The
                                  longest line or message that read_line and read_until can give */
    size_t output_limit_bytes; /* the output buffer's high-water mark; 0: 64 KiB; at most 1 GiB */
};

/* Makes a stream of an open descriptor, which it owns from then on. `options` may be NULL. -ENOMEM,
 * -EBADF, -EINVAL (a limit is too large): the descriptor is still the caller's. */
AW_API AW_MUST_CHECK int aw_stream_open(struct aw_stream **ret_stream, int fd,
                                        const struct aw_stream_options *options);

/* As aw_stream_open, with one descriptor to read from and another to write to, such as the ends of
 * two pipes (read_fd, write_fd); -1 where there is none (using that direction gives -EBADF). */
AW_API AW_MUST_CHECK int aw_stream_open_pair(struct aw_stream **ret_stream, int read_fd,
                                             int write_fd,
                                             const struct aw_stream_options *options);

/* Connects (aw_connect_tcp, aw_connect_unix: their errors) and opens a stream over it. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_connect_tcp(struct aw_stream **ret_stream,
                                                           const char *host, uint16_t port,
                                                           const struct aw_stream_options *options,
                                                           struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_connect_unix(struct aw_stream **ret_stream,
                                                            const char *path,
                                                            const struct aw_stream_options *options,
                                                            struct aw_error *reterr);

/* Sends what is pending, unless the task is interrupted, then closes and frees the stream, always.
 * The result is that of the sending (0, -EPIPE, -ECANCELED ...): whoever needs to know that the
 * bytes went out looks at it. NULL does nothing. */
AW_API AW_SUSPENDS int aw_stream_close(struct aw_stream *stream);

/* Closes and frees the stream and drops what is pending. Also when interrupted. NULL does nothing.
 */
AW_API AW_SUSPENDS void aw_stream_abort(struct aw_stream *stream);

/* --- reading --------------------------------------------------------------------------------- */
/* Waits for bytes and gives as many as there are, at most `size`: their number, or 0 at the end of
 * the stream. -EINVAL: size is 0. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_read_some(struct aw_stream *stream, void *buffer,
                                                         size_t size);

/* Gives exactly `size` bytes: 0, or -ENODATA when the stream ends first. Up to the input limit
 * nothing is taken by a call that fails; above it the bytes that had come are lost with the
 * failure, and every later read gives -ECONNABORTED. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_read_exactly(struct aw_stream *stream, void *buffer,
                                                            size_t size);

/* Waits until the delimiter has come: the number of bytes up to its end, in the stream's own memory
 * at *ret_data, valid until the next read. 0: the stream has ended with nothing left. -ENODATA: it
 * ended before a delimiter (read_some gives the rest). -EMSGSIZE: none within `bound` bytes (0: the
 * input limit). -EINVAL: an empty delimiter. A failed call takes nothing. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_read_until(struct aw_stream *stream,
                                                          const void *delimiter,
                                                          size_t delimiter_size, size_t bound,
                                                          const char **ret_data);

/* The next line: the number of bytes taken (with the line's end), or 0 at the end of the stream.
 * *ret_line is the line without its "\n" or "\r\n", *ret_size bytes (may be NULL) and a NUL, in the
 * stream's own memory, valid until the next read. What follows the last "\n" counts as a line.
 * -EMSGSIZE: no line's end within `bound` bytes (0: the input limit), and nothing was taken. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_read_line(struct aw_stream *stream, size_t bound,
                                                         char **ret_line, size_t *ret_size);

/* All bytes up to the end, at most size_max, in memory that the caller frees; it ends with a NUL
 * that *ret_size does not count. -EFBIG: there are more. The bytes of a failed call are lost, and
 * every later read gives -ECONNABORTED. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_read_to_end(struct aw_stream *stream,
                                                           size_t size_max, char **ret_data,
                                                           size_t *ret_size);

/* How many bytes are in the input buffer, and whether the stream has ended and all were read. Never
 * suspend. */
AW_API size_t aw_stream_buffered(const struct aw_stream *stream);
AW_API bool aw_stream_at_end(const struct aw_stream *stream);

/* --- writing --------------------------------------------------------------------------------- */
/* Hands over `size` bytes: 0 once all are buffered or sent. Suspends only when they do not fit
 * below the high-water mark, until there is room. An error of the connection is given to every
 * later write too. When a call is interrupted after a part of its bytes went out, the message is
 * torn: every later write gives -ECONNABORTED. -EPIPE after aw_stream_end. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_write(struct aw_stream *stream, const void *data,
                                                     size_t size);

/* As aw_stream_write with text: printf(3)'s format. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_print(struct aw_stream *stream, const char *format,
                                                     ...) AW_PRINTF(2, 3);

/* Sends all that is pending: 0. When it is interrupted the rest stays pending, in order. Errors of
 * the connection (-EPIPE, -ECONNRESET ...) are given to every later write too. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_flush(struct aw_stream *stream);

/* aw_stream_write, then aw_stream_flush, with the errors of both. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_write_all(struct aw_stream *stream,
                                                         const void *data, size_t size);

/* Half close: sends what is pending, then tells the peer that no more comes (its reads give the end
 * of the stream). Reading goes on. 0; again it does nothing. Of a pair the
 * descriptor to write to is closed. -ENOTSOCK: one descriptor for both directions that is no socket
 * cannot be half closed; further errors as aw_stream_flush. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_end(struct aw_stream *stream);

/* How many bytes are written but not sent. Never suspends. */
AW_API size_t aw_stream_pending(const struct aw_stream *stream);

/* The descriptor read from (else the one written to), for aw_peer_of and options; the stream's. */
AW_API int aw_stream_descriptor(const struct aw_stream *stream);

#endif
