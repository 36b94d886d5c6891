/* tls.c - TLS as a transport on top of another; see await/tls.h and transport.h.
 *
 * OpenSSL sees memory only: what the peer sends is put into one BIO, what goes to the peer is taken
 * from another. No call of OpenSSL suspends, so a reading and a writing task share the SSL object;
 * what they have to send goes out under send_lock, record by record in order, and an interrupted
 * sending leaves its rest in `outgoing` for the next one. */
#include "io/source.h"
#include "io/stream_internal.h"
#include "io/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 16384

struct tls {
    struct transport transport;
    struct transport *inner;
    SSL *ssl;
    BIO *received; /* both belong to ssl */
    BIO *to_send;
    struct aw_lock send_lock;
    size_t outgoing_start;
    size_t outgoing_end;
    char protocol[256];
    char incoming[RECORD_BYTES];
    char outgoing[RECORD_BYTES];
};

static int flush_locked(struct tls *tls)
{
    for (;;) {
        if (tls->outgoing_start == tls->outgoing_end) {
            int size = BIO_read(tls->to_send, tls->outgoing, RECORD_BYTES);
            if (size <= 0)
                return 0;
            tls->outgoing_start = 0;
            tls->outgoing_end = (size_t)size;
        }
        int sent = tls->inner->type->send(tls->inner, tls->outgoing + tls->outgoing_start,
                                          tls->outgoing_end - tls->outgoing_start);
        if (sent < 0)
            return sent;
        tls->outgoing_start += (size_t)sent;
    }
}

static int flush(struct transport *transport)
{
    struct tls *tls = (struct tls *)transport;
    if (tls->outgoing_start == tls->outgoing_end && BIO_ctrl_pending(tls->to_send) == 0)
        return 0;
    int result = aw_lock_acquire(&tls->send_lock);
    if (result < 0)
        return result;
    result = flush_locked(tls);
    aw_lock_release(&tls->send_lock);
    return result;
}

/* Waits for bytes of the peer: 0, -ECONNRESET at their end. */
static int feed(struct tls *tls)
{
    int result = flush(&tls->transport);
    if (result < 0)
        return result;
    result = tls->inner->type->receive(tls->inner, tls->incoming, RECORD_BYTES);
    if (result == 0)
        return -ECONNRESET;
    if (result < 0)
        return result;
    return BIO_write(tls->received, tls->incoming, result) == result ? 0 : -ENOMEM;
}

static int receive(struct transport *transport, void *buffer, size_t size)
{
    struct tls *tls = (struct tls *)transport;
    for (;;) {
        ERR_clear_error();
        int result = SSL_read(tls->ssl, buffer, size < INT_MAX ? (int)size : INT_MAX);
        if (result > 0)
            return result;
        switch (SSL_get_error(tls->ssl, result)) {
        case SSL_ERROR_ZERO_RETURN:
            return 0;
        case SSL_ERROR_WANT_READ:
            result = feed(tls);
            break;
        default:
            return -EPROTO;
        }
        if (result < 0)
            return result;
    }
}

static int send_record(struct transport *transport, const void *data, size_t size)
{
    struct tls *tls = (struct tls *)transport;
    int result = flush(transport); /* so that at most one record waits in memory */
    if (result < 0)
        return result;
    ERR_clear_error();
    int taken = SSL_write(tls->ssl, data, size < RECORD_BYTES ? (int)size : RECORD_BYTES);
    if (taken <= 0)
        return -EPROTO;
    result = flush(transport);
    /* interrupted: the record is made and goes out first next time */
    return result < 0 && result != -ECANCELED && result != -ETIME ? result : taken;
}

static int end(struct transport *transport)
{
    struct tls *tls = (struct tls *)transport;
    ERR_clear_error();
    if (SSL_shutdown(tls->ssl) < 0)
        return -EPROTO;
    return flush(transport);
}

static int descriptor(const struct transport *transport)
{
    const struct tls *tls = (const struct tls *)transport;
    return tls->inner->type->descriptor(tls->inner);
}

static void close_all(struct transport *transport)
{
    struct tls *tls = (struct tls *)transport;
    tls->inner->type->close(tls->inner);
    SSL_free(tls->ssl);
    free(tls);
}

static const struct transport_type tls_type = {
    .receive = receive,
    .send = send_record,
    .flush = flush,
    .end = end,
    .descriptor = descriptor,
    .close = close_all,
};

static bool is_numeric(const char *name)
{
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

static int set_name(struct tls *tls, const struct aw_tls_context *context, const char *name)
{
    if (name == NULL)
        return context->accept_anybody ? 0 : -EINVAL;
    if (is_numeric(name)) {
        X509_VERIFY_PARAM *rules = SSL_get0_param(tls->ssl);
        return X509_VERIFY_PARAM_set1_ip_asc(rules, name) == 1 ? 0 : -ENOMEM;
    }
    if (SSL_set1_host(tls->ssl, name) != 1)
        return -EINVAL;
    /* SSL_set_tlsext_host_name, whose macro casts a const away */
    long set = SSL_ctrl(tls->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                        source_buffer(name));
    return set == 1 ? 0 : -EINVAL;
}

static int create(struct tls **ret_tls, struct transport *inner,
                  const struct aw_tls_context *context)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return -ENOMEM;
    tls->transport.type = &tls_type;
    tls->inner = inner;
    aw_lock_init(&tls->send_lock);
    tls->ssl = SSL_new(context->rules);
    tls->received = BIO_new(BIO_s_mem());
    tls->to_send = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->received == NULL || tls->to_send == NULL) {
        BIO_free(tls->received);
        BIO_free(tls->to_send);
        SSL_free(tls->ssl);
        free(tls);
        return -ENOMEM;
    }
    SSL_set_bio(tls->ssl, tls->received, tls->to_send);
    *ret_tls = tls;
    return 0;
}

static int explain(struct tls *tls, struct aw_error *reterr)
{
    long verified = SSL_get_verify_result(tls->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    if (verified != X509_V_OK)
        return aw_error_set(reterr, -EKEYREJECTED, "TLS: the peer's certificate is refused: %s",
                            X509_verify_cert_error_string(verified));
    return aw_error_set(reterr, -EPROTO, "TLS: the handshake failed: %s",
                        reason ? reason : "the peer does not speak TLS");
}

static int shake_hands(struct tls *tls, struct aw_error *reterr)
{
    for (;;) {
        ERR_clear_error();
        int done = SSL_do_handshake(tls->ssl);
        if (done == 1)
            break;
        if (SSL_get_error(tls->ssl, done) != SSL_ERROR_WANT_READ) {
            int result = explain(tls, reterr);
            AW_IGNORE(flush(&tls->transport)); /* the alert that tells the peer why */
            return result;
        }
        int result = feed(tls);
        if (result < 0)
            return aw_error_set(reterr, result, "TLS: the handshake failed: %s",
                                aw_error_text(result));
    }
    const unsigned char *protocol;
    unsigned size;
    SSL_get0_alpn_selected(tls->ssl, &protocol, &size);
    if (size > 0 && size < sizeof tls->protocol)
        memcpy(tls->protocol, protocol, size);
    return flush(&tls->transport);
}

/* From here on the stream runs over TLS, also when the handshake fails: no plain byte follows. */
static int start(struct aw_stream *stream, struct aw_tls_context *context, const char *name,
                 struct aw_error *reterr)
{
    struct tls *tls;
    int result = create(&tls, stream->transport, context);
    if (result < 0)
        return aw_error_set(reterr, result, "TLS: no memory");
    stream->transport = &tls->transport;
    if (context->server)
        SSL_set_accept_state(tls->ssl);
    else
        SSL_set_connect_state(tls->ssl);
    result = context->server ? 0 : set_name(tls, context, name);
    if (result < 0)
        return aw_error_set(reterr, result, "TLS: \"%s\" is no name of a server", name ? name : "");
    return shake_hands(tls, reterr);
}

static int upgrade(struct aw_stream *stream, struct aw_tls_context *context, const char *name,
                   bool server, struct aw_error *reterr)
{
    if (context->server != server)
        return aw_error_set(reterr, -EINVAL, "TLS: the context is for the other side");
    if (stream->transport->type == &tls_type)
        return aw_error_set(reterr, -EALREADY, "TLS: it is on already");
    if (stream->reading)
        return aw_error_set(reterr, -EBUSY, "TLS: another task reads from the stream");
    if (aw_stream_buffered(stream) > 0)
        return aw_error_set(reterr, -EPROTO, "TLS: the peer has sent bytes before the handshake");
    int result = aw_stream_flush(stream);
    if (result < 0)
        return aw_error_set(reterr, result, "TLS: cannot send: %s", aw_error_text(result));
    result = aw_lock_acquire(&stream->write_lock);
    if (result < 0)
        return result;
    stream->reading = true;
    result = start(stream, context, name, reterr);
    stream->reading = false;
    if (result < 0) {
        stream->read_error = -ECONNABORTED;
        stream->write_error = -ECONNABORTED;
    }
    aw_lock_release(&stream->write_lock);
    return result;
}

int aw_stream_start_tls(struct aw_stream *stream, struct aw_tls_context *context,
                        const char *server_name, struct aw_error *reterr)
{
    return upgrade(stream, context, server_name, false, reterr);
}

int aw_stream_accept_tls(struct aw_stream *stream, struct aw_tls_context *context,
                         struct aw_error *reterr)
{
    return upgrade(stream, context, NULL, true, reterr);
}

const char *aw_stream_protocol(const struct aw_stream *stream)
{
    if (stream->transport->type != &tls_type)
        return "";
    return ((const struct tls *)stream->transport)->protocol;
}
