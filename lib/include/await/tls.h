/* tls.h - TLS on streams, as client and as server (OpenSSL, TLS 1.2 and newer).
 *
 *     result = aw_stream_connect_tcp(&stream, host, 443, NULL, &error);
 *     if (result == 0)
 *         result = aw_stream_start_tls(stream, context, host, &error);
 *
 * A context holds certificates and rules and serves any number of streams of one thread. A client
 * verifies the server's certificate and name unless it is told not to. A stream that ends without
 * the peer's farewell (close_notify) gives -ECONNRESET, never a quiet end: somebody may have cut
 * it. aw_stream_end and aw_stream_close say farewell. */
#ifndef AWAIT_TLS_H
#define AWAIT_TLS_H

#include <await/base.h>
#include <await/error.h>
#include <await/stream.h>

struct aw_tls_context;

struct aw_tls_options {
    const char *authorities;  /* PEM file of those trusted; NULL: the system's. A server that has
                                 one demands a certificate of its clients */
    const char *certificate;  /* PEM file of the own certificate (chain); a server needs it */
    const char *key;          /* PEM file of its key */
    const char *protocols;    /* ALPN, in order of preference, such as "h2,http/1.1"; NULL: none */
    bool accept_anybody;      /* client: do not verify the server; anyone can then listen in */
};

/* Makes a context, the caller's to aw_tls_free. The files are read at once, without the loop: do it
 * at the start. -EINVAL (a server without certificate, a list of protocols that cannot be), -ENOENT
 * or -EBADMSG (a file that cannot be read or used, named in *reterr), -ENOMEM. 0: *ret_context is
 * made. Never suspend. */
AW_API AW_MUST_CHECK int aw_tls_client(struct aw_tls_context **ret_context,
                                       const struct aw_tls_options *options,
                                       struct aw_error *reterr);
AW_API AW_MUST_CHECK int aw_tls_server(struct aw_tls_context **ret_context,
                                       const struct aw_tls_options *options,
                                       struct aw_error *reterr);

/* Gives the context up; streams that use it go on. NULL does nothing. Never suspends. */
AW_API void aw_tls_free(struct aw_tls_context *context);

/* Turns TLS on for an open stream, as its client or server, after sending what is pending.
 * server_name (or a numeric address) is sent along (SNI) and verified; NULL only with
 * accept_anybody. The context may be freed afterwards. -EPROTO: the peer spoke otherwise, or bytes
 * had come before (they could be forged); -EKEYREJECTED: its certificate does not hold;
 * -ECONNRESET: it hung up; -EBUSY: another task reads; -EALREADY: TLS is on. After a failure the
 * stream can only be closed. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_start_tls(struct aw_stream *stream,
                                                         struct aw_tls_context *context,
                                                         const char *server_name,
                                                         struct aw_error *reterr);
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_stream_accept_tls(struct aw_stream *stream,
                                                          struct aw_tls_context *context,
                                                          struct aw_error *reterr);

/* The protocol both sides agreed on (ALPN), "" when there is none or no TLS; the stream's, valid
 * until it is closed. Never suspends. */
AW_API const char *aw_stream_protocol(const struct aw_stream *stream);

#endif
