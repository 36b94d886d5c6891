/* http_proxy.c - see http_proxy.h. */
#include "support/http_proxy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ends {
    struct aw_stream *from;
    struct aw_stream *to;
};

static int copy(void *argument)
{
    struct ends *ends = argument;
    char bytes[4096];
    int size;
    while ((size = aw_stream_read_some(ends->from, bytes, sizeof bytes)) > 0)
        if (aw_stream_write_all(ends->to, bytes, (size_t)size) < 0)
            break;
    return size < 0 ? size : aw_stream_end(ends->to);
}

static int tunnel(struct aw_stream *client, const char *head)
{
    const char *port = strrchr(strtok(strdupa(head + 8), " "), ':');
    struct aw_stream *server;
    int result = aw_stream_connect_tcp(&server, "127.0.0.1", (uint16_t)atoi(port + 1), NULL, NULL);
    if (result < 0)
        return result;
    result = aw_stream_print(client, "HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n");
    if (result == 0)
        result = aw_stream_flush(client);
    struct ends up = {client, server};
    struct ends down = {server, client};
    struct aw_task *task;
    if (result == 0 && (result = aw_spawn(&task, copy, &up)) == 0) {
        AW_IGNORE(copy(&down));
        aw_cancel(task);
        AW_IGNORE(aw_await(task));
    }
    aw_stream_abort(server);
    return -EPIPE;
}

static int refuse(struct aw_stream *stream, const char *status)
{
    int result = aw_stream_print(stream, "HTTP/1.1 %s\r\nContent-Length: 0\r\n"
                                         "Proxy-Authenticate: Basic realm=\"p\"\r\n\r\n", status);
    return result == 0 ? aw_stream_flush(stream) : result;
}

static int answer(struct aw_stream *stream, struct http_proxy *proxy)
{
    if (proxy->credentials != NULL && strstr(proxy->last, proxy->credentials) == NULL)
        return refuse(stream, "407 Proxy Authentication Required");
    if (strncmp(proxy->last, "CONNECT ", 8) == 0) {
        if (proxy->refusal != NULL)
            return refuse(stream, proxy->refusal);
        proxy->tunnels++;
        return tunnel(stream, proxy->last);
    }
    int result = aw_stream_print(stream, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                                 strlen(proxy->last), proxy->last);
    return result == 0 ? aw_stream_flush(stream) : result;
}

static int serve(struct aw_stream *stream, void *argument)
{
    struct http_proxy *proxy = argument;
    const char *head;
    int size;
    while ((size = aw_stream_read_until(stream, "\r\n\r\n", 4, 0, &head)) > 0) {
        snprintf(proxy->last, sizeof proxy->last, "%.*s", size, head);
        proxy->requests++;
        if (answer(stream, proxy) < 0)
            break;
    }
    return 0;
}

void http_proxy_start(struct http_proxy *proxy)
{
    *proxy = (struct http_proxy){.server = NULL};
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    cr_assert_geq(listener, 0);
    proxy->port = (uint16_t)aw_local_port(listener);
    cr_assert_eq(aw_server_start(&proxy->server, listener, serve, proxy, NULL), 0);
}

void http_proxy_stop(struct http_proxy *proxy)
{
    aw_server_stop(proxy->server, 0);
}
