/* websocket_peer.c - libawait's WebSocket for tests against another implementation.
 *
 *   websocket_peer serve [CERTIFICATE KEY]   an echo server on 127.0.0.1; prints its port. By the
 *       target: /refuse answers 403, /end says farewell with 4001 "as asked" at the first message,
 *       /fragments echoes in frames of 7 bytes, /ping pings before each echo
 *   websocket_peer call URI [AUTHORITIES]    has messages of many sizes echoed, pings, says
 * farewell
 */
#include <await.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES (4u << 20)

static int pings(void *argument)
{
    return aw_websocket_ping(argument, NULL);
}

static int echo(struct aw_websocket *socket, const char *target)
{
    struct aw_websocket_message message;
    struct aw_error error = {0};
    int result;
    while ((result = aw_websocket_receive(socket, &message, &error)) > 0) {
        struct aw_task *task;
        if (strcmp(target, "/end") == 0)
            return aw_websocket_end(socket, 4001, "as asked");
        /* answered while we receive: its end is not waited for here */
        if (strcmp(target, "/ping") == 0 && aw_spawn(&task, pings, socket) == 0)
            aw_detach(task);
        result = aw_websocket_send(socket, message.kind, message.data, message.size);
        if (result < 0)
            return result;
    }
    printf("%s: %d %s %d\n", target, result, error.code, aw_websocket_close_code(socket));
    fflush(stdout);
    return result;
}

static int serve(struct aw_stream *stream, void *argument)
{
    struct aw_tls_context *tls = argument;
    struct aw_websocket_request *request;
    struct aw_websocket_call call = {0};
    struct aw_error error = {0};
    int result = tls ? aw_stream_accept_tls(stream, tls, &error) : 0;
    if (result == 0)
        result = aw_websocket_request_read(&request, stream, 0, &error);
    if (result < 0) {
        printf("%s\n", error.message);
        fflush(stdout);
        return result;
    }
    char *target = strdup(request->target);
    struct aw_websocket_options options = {.protocols = "two, one",
                                           .message_size_max = LIMIT_BYTES,
                                           .send_queue_max = LIMIT_BYTES,
                                           .ping_interval_ms = 20000};
    if (strcmp(target, "/fragments") == 0)
        options.fragment_size = 7;
    if (strcmp(target, "/refuse") == 0)
        result = aw_websocket_refuse(stream, 403, "not here");
    else
        result = aw_websocket_accept(&call.socket, stream, request, &options, &error);
    aw_websocket_request_free(request);
    if (call.socket != NULL) {
        AW_WITH(result, aw_websocket_with(&call))
        {
            result = echo(call.socket, target);
        }
    }
    free(target);
    return result;
}

static int run_server(void *argument)
{
    char **files = argument;
    struct aw_error error = {0};
    struct aw_tls_context *tls = NULL;
    struct aw_server *server;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    AW_CLEANUP(aw_cleanup_close) int stop = aw_signal_open(&signals);
    struct aw_tls_options options = {.certificate = files[0], .key = files[0] ? files[1] : NULL};
    int result = files[0] ? aw_tls_server(&tls, &options, &error) : 0;
    int listener = result == 0 ? aw_listen_tcp("127.0.0.1", 0, 0, &error) : result;
    if (listener < 0) {
        fprintf(stderr, "%s\n", error.message);
        return listener;
    }
    printf("%d\n", aw_local_port(listener));
    fflush(stdout);
    result = aw_server_start(&server, listener, serve, tls, NULL);
    if (result < 0)
        return result;
    result = aw_signal_wait(stop);
    AW_IGNORE(aw_server_stop(server, aw_after_ms(5000)));
    aw_tls_free(tls);
    return result;
}

/* --- the client --------------------------------------------------------------------------------
 */
static int echoed(struct aw_websocket *socket, enum aw_websocket_kind kind, size_t size,
                  struct aw_error *reterr)
{
    struct aw_websocket_message message;
    char *bytes = malloc(size + 1);
    if (bytes == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(kind == AW_WEBSOCKET_TEXT ? 'a' + i % 26 : i * 7);
    int result = aw_websocket_send(socket, kind, bytes, size);
    if (result == 0)
        result = aw_websocket_receive(socket, &message, reterr);
    bool same = result == 1 && message.kind == kind && message.size == size &&
                memcmp(message.data, bytes, size) == 0;
    free(bytes);
    return result < 0 ? result : same ? 0 : -EBADMSG;
}

static int ask(struct aw_websocket *socket, struct aw_error *reterr)
{
    int result = 0;
    for (size_t size = 0; size < LIMIT_BYTES && result == 0; size = size * 3 + 41) {
        result = echoed(socket, AW_WEBSOCKET_TEXT, size, reterr);
        if (result == 0)
            result = echoed(socket, AW_WEBSOCKET_BINARY, size, reterr);
    }
    return result;
}

static int keep_receiving(void *argument)
{
    struct aw_websocket_message message;
    int result;
    while ((result = aw_websocket_receive(argument, &message, NULL)) > 0) {
    }
    return result;
}

static int converse(struct aw_websocket *socket, struct aw_error *reterr)
{
    struct aw_task *receiving;
    int result = ask(socket, reterr);
    if (result == 0)
        result = aw_spawn(&receiving, keep_receiving, socket);
    if (result < 0)
        return result;
    result = aw_websocket_ping(socket, NULL);
    if (result == 0)
        result = aw_websocket_end(socket, 4002, "done");
    int received = aw_await(receiving);
    printf("%s %d %s\n", aw_websocket_protocol(socket), aw_websocket_close_code(socket),
           aw_websocket_close_reason(socket));
    return result < 0 ? result : received;
}

static int run_client(void *argument)
{
    char **words = argument;
    struct aw_error error = {0};
    struct aw_tls_context *tls = NULL;
    struct aw_tls_options trusted = {.authorities = words[1]};
    int result = words[1] ? aw_tls_client(&tls, &trusted, &error) : 0;
    struct aw_websocket_options options = {.protocols = "one, two",
                                           .tls = tls,
                                           .message_size_max = LIMIT_BYTES,
                                           .fragment_size = 100000};
    struct aw_websocket_call call = {.uri = words[0], .options = &options, .error = &error};
    if (result == 0)
        AW_WITH(result, aw_websocket_with(&call))
        {
            result = converse(call.socket, &error);
        }
    aw_tls_free(tls);
    if (result < 0)
        fprintf(stderr, "%s %s %s\n", aw_error_name(result), error.code, error.message);
    return result;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return aw_run(run_server, argv + 2) < 0;
    if (argc >= 3 && strcmp(argv[1], "call") == 0)
        return aw_run(run_client, argv + 2) < 0;
    fprintf(stderr, "usage: websocket_peer serve [CERTIFICATE KEY] | call URI [AUTHORITIES]\n");
    return 2;
}
