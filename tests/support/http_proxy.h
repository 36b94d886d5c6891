/* http_proxy.h - a small HTTP proxy in the test's own process: tunnels for CONNECT, to 127.0.0.1
 * and the port that was asked for whatever the name; everything else it answers itself with 200 and
 * the head it was sent. */
#ifndef SUPPORT_HTTP_PROXY_H
#define SUPPORT_HTTP_PROXY_H

#include <await.h>

struct http_proxy {
    struct aw_server *server;
    const char *credentials; /* what Proxy-Authorization must hold, else 407; NULL: nothing */
    const char *refusal;     /* the status line's end for every CONNECT; NULL: a tunnel */
    uint16_t port;
    uint32_t requests;
    uint32_t tunnels;        /* that were made */
    char last[8192];         /* the last request's head */
};

void http_proxy_start(struct http_proxy *proxy);
void http_proxy_stop(struct http_proxy *proxy);

#endif
