/* echo_uv.c - an echo server on libuv: prints its port, serves until it is killed. Writes are tried
 * at once (uv_try_write), which is its fastest way. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUFFER_BYTES 4096

struct peer {
    uv_tcp_t socket;
    char buffer[BUFFER_BYTES];
};

struct rest {
    uv_write_t request;
    char bytes[];
};

static void check(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "echo_uv: %s: %s\n", what, uv_strerror(result));
    exit(1);
}

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)suggested;
    struct peer *peer = (struct peer *)handle;
    *ret_buffer = uv_buf_init(peer->buffer, sizeof peer->buffer);
}

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void written(uv_write_t *request, int status)
{
    (void)status; /* the reading side hears of a lost connection */
    free(request);
}

static void answer(uv_stream_t *stream, char *bytes, size_t size)
{
    uv_buf_t buffer = uv_buf_init(bytes, (unsigned)size);
    int sent = uv_try_write(stream, &buffer, 1);
    if (sent == (int)size)
        return;
    size_t done = sent > 0 ? (size_t)sent : 0;
    struct rest *rest = malloc(sizeof *rest + size - done);
    if (!rest)
        check(UV_ENOMEM, "write");
    memcpy(rest->bytes, bytes + done, size - done);
    buffer = uv_buf_init(rest->bytes, (unsigned)(size - done));
    check(uv_write(&rest->request, stream, &buffer, 1, written), "write");
}

static void received(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    if (size < 0)
        uv_close((uv_handle_t *)stream, closed);
    else if (size > 0)
        answer(stream, buffer->base, (size_t)size);
}

static void connected(uv_stream_t *listener, int status)
{
    check(status, "listen");
    struct peer *peer = malloc(sizeof *peer);
    if (!peer)
        check(UV_ENOMEM, "accept");
    check(uv_tcp_init(listener->loop, &peer->socket), "accept");
    check(uv_accept(listener, (uv_stream_t *)&peer->socket), "accept");
    check(uv_tcp_nodelay(&peer->socket, 1), "nodelay");
    check(uv_read_start((uv_stream_t *)&peer->socket, lend, received), "read");
}

int main(void)
{
    uv_tcp_t listener;
    struct sockaddr_in address;
    int size = sizeof address;
    check(uv_tcp_init(uv_default_loop(), &listener), "socket");
    check(uv_ip4_addr("127.0.0.1", 0, &address), "address");
    check(uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0), "bind");
    check(uv_listen((uv_stream_t *)&listener, 4096, connected), "listen");
    check(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size), "name");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
