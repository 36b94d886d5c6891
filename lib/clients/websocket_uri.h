/* websocket_uri.h - whom a ws:// or wss:// URI goes to, and what it asks for (RFC 6455 3). */
#ifndef CLIENTS_WEBSOCKET_URI_H
#define CLIENTS_WEBSOCKET_URI_H

#include <await/base.h>
#include <await/error.h>

#define WEBSOCKET_HOST_SIZE 256

struct websocket_uri {
    bool tls;
    char host[WEBSOCKET_HOST_SIZE]; /* an IPv6 address without its brackets */
    uint16_t port;
    char authority[WEBSOCKET_HOST_SIZE + 10]; /* for the Host header: with brackets, and with the
                                                 port when it is not the scheme's */
    const char *target;                       /* path and query in the caller's string: "/...",
                                                 "?..." or "" */
};

/* -EINVAL "REQUEST" with the reason. `uri` must outlive ret_uri. */
AW_MUST_CHECK int websocket_uri_parse(struct websocket_uri *ret_uri, const char *uri,
                                      struct aw_error *reterr);

#endif
