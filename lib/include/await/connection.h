/* connection.h - a stream to a server as a context manager: connected before the block, closed
 * after it.
 *
 *     struct aw_connection connection = {.host = "example.org", .port = 25};
 *     AW_WITH(result, aw_with_connection(&connection)) {
 *         result = aw_stream_print(connection.stream, "QUIT\r\n");
 *     }
 *     if (result < 0) ... connection.error says why it could not connect
 *
 * A body that completes with `result` 0 or more has what it wrote sent before the stream is closed;
 * one that failed, was cancelled or was left drops it, and closes at once. */
#ifndef AWAIT_CONNECTION_H
#define AWAIT_CONNECTION_H

#include <await/base.h>
#include <await/error.h>
#include <await/stream.h>
#include <await/tls.h>
#include <await/with.h>

struct aw_connection {
    const char *host; /* TCP, to this host and port; NULL: to `path` */
    uint16_t port;
    const char *path;                        /* of a Unix socket */
    struct aw_tls_context *tls;              /* NULL: no TLS */
    const char *server_name;                 /* for TLS; NULL: host */
    const struct aw_stream_options *options; /* may be NULL */
    struct aw_stream *stream;                /* inside the block; NULL outside it */
    struct aw_error error;                   /* why enter failed */
};

/* The block of one connection, which must outlive it with all that it points at. Enter's errors are
 * those of aw_stream_connect_tcp or aw_stream_connect_unix and of aw_stream_start_tls; -EINVAL: no
 * host and no path. Exit's error is aw_stream_close's: what was written may not have arrived. */
AW_API struct aw_with aw_with_connection(struct aw_connection *connection);

#endif
