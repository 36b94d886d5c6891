/* echo_await.c - an echo server on libawait: prints its port, serves until it is killed. */
#include <await.h>

#include <errno.h>
#include <stdio.h>

#define BUFFER_BYTES 4096

static int echo(struct aw_stream *stream, void *argument)
{
    (void)argument;
    char buffer[BUFFER_BYTES];
    int result;
    while ((result = aw_stream_read_some(stream, buffer, sizeof buffer)) > 0) {
        result = aw_stream_write_all(stream, buffer, (size_t)result);
        if (result < 0)
            break;
    }
    return result;
}

static int serve(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, &error);
    if (listener < 0) {
        fprintf(stderr, "echo_await: %s\n", error.message);
        return listener;
    }
    printf("%d\n", aw_local_port(listener));
    fflush(stdout);
    return aw_serve(listener, echo, NULL, NULL, 0);
}

int main(void)
{
    return aw_run(serve, NULL) < 0 ? 1 : 0;
}
