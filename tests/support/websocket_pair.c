/* websocket_pair.c - see websocket_pair.h. */
#include "support/websocket_pair.h"

#include <errno.h>

static int accept_one(void *argument)
{
    struct websocket_pair *pair = argument;
    struct aw_websocket_request *request;
    int result = aw_websocket_request_read(&request, pair->server_stream, 0, NULL);
    if (result == 0) {
        result = aw_websocket_accept(&pair->server, pair->server_stream, request,
                                     pair->server_options, NULL);
        aw_websocket_request_free(request);
    }
    if (result < 0)
        AW_IGNORE(aw_stream_end(pair->server_stream)); /* or the client waits for an answer */
    return result;
}

static int open_streams(struct websocket_pair *pair)
{
    int ends[2];
    int result = aw_socket_pair(SOCK_STREAM, ends);
    if (result < 0)
        return result;
    result = aw_stream_open(&pair->client_stream, ends[0], NULL);
    if (result < 0) {
        (void)aw_close(ends[0]);
        (void)aw_close(ends[1]);
        return result;
    }
    result = aw_stream_open(&pair->server_stream, ends[1], NULL);
    if (result < 0)
        (void)aw_close(ends[1]);
    return result;
}

int websocket_pair_open(struct websocket_pair *pair, const struct aw_websocket_options *client,
                        const struct aw_websocket_options *server)
{
    *pair = (struct websocket_pair){.server_options = server};
    struct aw_task *task;
    int result = open_streams(pair);
    if (result == 0)
        result = aw_spawn(&task, accept_one, pair);
    if (result == 0) {
        result = aw_websocket_start(&pair->client, pair->client_stream, "ws://pair/", client, NULL);
        if (result < 0)
            aw_cancel(task);
        int accepted = aw_await(task);
        result = accepted < 0 && accepted != -ECANCELED ? accepted : result;
    }
    if (result < 0)
        websocket_pair_abort(pair);
    return result;
}

void websocket_pair_abort(struct websocket_pair *pair)
{
    aw_websocket_abort(pair->client);
    aw_websocket_abort(pair->server);
    aw_stream_abort(pair->client_stream);
    aw_stream_abort(pair->server_stream);
    *pair = (struct websocket_pair){0};
}
