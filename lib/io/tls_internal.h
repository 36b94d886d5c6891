/* tls_internal.h - a TLS context, shared by making it and using it. */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include <await/tls.h>
#include <openssl/ssl.h>

#define TLS_PROTOCOLS_BYTES 256u

struct aw_tls_context {
    SSL_CTX *rules;
    bool server;
    bool accept_anybody;
    unsigned char protocols[TLS_PROTOCOLS_BYTES]; /* as ALPN sends them: each after its length */
    unsigned protocols_size;
};

#endif
