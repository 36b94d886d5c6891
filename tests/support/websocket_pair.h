/* websocket_pair.h - a client's and a server's socket over a pair of Unix sockets, for tests. */
#ifndef SUPPORT_WEBSOCKET_PAIR_H
#define SUPPORT_WEBSOCKET_PAIR_H

#include <await.h>

struct websocket_pair {
    struct aw_stream *client_stream;
    struct aw_stream *server_stream;
    struct aw_websocket *client;
    struct aw_websocket *server;
    const struct aw_websocket_options *server_options;
};

/* Shakes hands; options may be NULL. 0 or the first error; what was opened is closed then. */
int websocket_pair_open(struct websocket_pair *pair, const struct aw_websocket_options *client,
                        const struct aw_websocket_options *server);

/* Aborts what is left of it. */
void websocket_pair_abort(struct websocket_pair *pair);

#endif
