/* test_websocket_handshake.c - both halves of the handshake against what is right and what is not.
 */
#include "support/process.h"
#include "support/websocket_pair.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int descriptors_before;

static void count_descriptors(void)
{
    descriptors_before = open_descriptors();
}

static void expect_all_closed(void)
{
    cr_expect_eq(open_descriptors(), descriptors_before, "a descriptor is left");
}

TestSuite(websocket_handshake, .init = count_descriptors, .fini = expect_all_closed,
          .timeout = 120);

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define REST "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"

static void open_both(struct aw_stream **ours, struct aw_stream **theirs)
{
    int ends[2];
    cr_assert_eq(aw_socket_pair(SOCK_STREAM, ends), 0);
    cr_assert_eq(aw_stream_open(ours, ends[0], NULL), 0);
    cr_assert_eq(aw_stream_open(theirs, ends[1], NULL), 0);
}

/* What a server answers to the text; NUL-terminated, the caller's to free. */
static char *answer_to(const char *text, int expected, const char *code)
{
    struct aw_stream *server, *client;
    struct aw_websocket_request *request = NULL;
    struct aw_error error = {0};
    char *answer = NULL;
    size_t size;
    open_both(&server, &client);
    cr_assert_eq(aw_stream_write_all(client, text, strlen(text)), 0);
    cr_assert_eq(aw_stream_end(client), 0);
    int result = aw_websocket_request_read(&request, server, 0, &error);
    cr_expect_eq(result, expected, "%d for %s", result, text);
    if (code != NULL)
        cr_expect_str_eq(error.code, code, "%s: %s", error.message, text);
    cr_expect_null(request);
    cr_expect_eq(aw_stream_close(server), 0);
    cr_assert_eq(aw_stream_read_to_end(client, 1 << 20, &answer, &size), 0);
    aw_stream_abort(client);
    return answer;
}

static int refused_body(void *argument)
{
    (void)argument;
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\nHost: a\r\n" KEY REST "\r\n", "HTTP/1.1 405 "},
        {"GET / HTTP/1.0\r\nHost: a\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/2.0\r\nHost: a\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET http://a/ HTTP/1.1\r\nHost: a\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET  / HTTP/1.1\r\nHost: a\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1 \r\nHost: a\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET /\x80 HTTP/1.1\r\nHost: a\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"nonsense\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n" KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n"
         "Sec-WebSocket-Version: 13\r\n" KEY "\r\n",
         "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 8\r\n" KEY "\r\n",
         "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: a\r\n" REST "\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\n" KEY KEY REST "\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: short\r\n" REST "\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" KEY REST "\r\nhello",
         "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" KEY REST "\r\n",
         "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nOrigin: b\r\n" KEY REST "\r\n",
         "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *answer = answer_to(cases[i].request, -EPROTO, "HANDSHAKE");
        cr_expect(strncmp(answer, cases[i].answer, 13) == 0, "%zu: %s", i, answer);
        cr_expect_not_null(strstr(answer, "Connection: close\r\n"));
        if (strncmp(answer, "HTTP/1.1 426", 12) == 0)
            cr_expect_not_null(strstr(answer, "Sec-WebSocket-Version: 13\r\n"));
        free(answer);
    }
    char *answer = answer_to("", -ENODATA, "LOST");
    cr_expect_str_empty(answer);
    free(answer);
    answer = answer_to("GET / HTTP/1.1\r\nHo", -ECONNRESET, "LOST");
    cr_expect_str_empty(answer);
    free(answer);
    return 0;
}

Test(websocket_handshake, what_is_no_request_is_answered_with_a_status)
{
    cr_assert_eq(aw_run(refused_body, NULL), 0);
}

static int too_long_body(void *argument)
{
    (void)argument;
    char *text = malloc(AW_WEBSOCKET_HEAD_SIZE_MAX + 64);
    strcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n" KEY REST "X: ");
    size_t size = strlen(text);
    memset(text + size, 'x', AW_WEBSOCKET_HEAD_SIZE_MAX - size - 4);
    strcpy(text + AW_WEBSOCKET_HEAD_SIZE_MAX - 4, "\r\n\r\n");
    struct aw_stream *server, *client;
    struct aw_websocket_request *request;
    open_both(&server, &client);
    cr_assert_eq(aw_stream_write_all(client, text, AW_WEBSOCKET_HEAD_SIZE_MAX), 0);
    cr_assert_eq(aw_websocket_request_read(&request, server, 0, NULL), 0, "at the limit");
    aw_websocket_request_free(request);
    aw_stream_abort(server);
    aw_stream_abort(client);
    strcpy(text + AW_WEBSOCKET_HEAD_SIZE_MAX - 4, "x\r\n\r\n");
    char *answer = answer_to(text, -EMSGSIZE, "HANDSHAKE");
    cr_expect(strncmp(answer, "HTTP/1.1 431 ", 13) == 0, "%s", answer);
    free(answer);
    strcpy(text, "GET / HTTP/1.1\r\nHost: a\r\n" KEY REST);
    for (unsigned i = 0; i < AW_WEBSOCKET_HEADERS_MAX; i++)
        strcat(text, "a: b\r\n");
    strcat(text, "\r\n");
    answer = answer_to(text, -EMSGSIZE, "HANDSHAKE");
    cr_expect(strncmp(answer, "HTTP/1.1 431 ", 13) == 0, "%s", answer);
    free(answer);
    free(text);
    return 0;
}

Test(websocket_handshake, a_request_has_limits)
{
    cr_assert_eq(aw_run(too_long_body, NULL), 0);
}

/* A byte now and then, for ever. */
static int dribble(void *argument)
{
    for (;;) {
        int result = aw_stream_write_all(argument, "x", 1);
        if (result == 0)
            result = aw_sleep(2);
        if (result < 0)
            return result;
    }
}

static int slow_body(void *argument)
{
    (void)argument;
    struct aw_stream *server, *client;
    struct aw_websocket_request *request;
    struct aw_error error = {0};
    struct aw_task *task;
    open_both(&server, &client);
    cr_assert_eq(aw_spawn(&task, dribble, client), 0);
    cr_expect_eq(aw_websocket_request_read(&request, server, 30, &error), -ETIMEDOUT);
    cr_expect_str_eq(error.code, "HANDSHAKE");
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    char *line = NULL;
    cr_assert_gt(aw_stream_read_line(client, 0, &line, NULL), 0);
    cr_expect_str_eq(line, "HTTP/1.1 408 Request Timeout");
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    cr_expect_eq(aw_websocket_request_read(&request, server, 0, &error), -ETIME,
                 "the caller's own deadline");
    aw_scope_leave(&scope);
    struct aw_websocket *socket;
    struct aw_websocket_options options = {.handshake_timeout_ms = 10};
    cr_expect_eq(aw_websocket_start(&socket, client, "ws://a/", &options, &error), -EPROTO,
                 "what came before is no answer");
    aw_stream_abort(server);
    aw_stream_abort(client);
    open_both(&server, &client);
    cr_expect_eq(aw_websocket_start(&socket, client, "ws://a/", &options, &error), -ETIMEDOUT);
    cr_expect_str_eq(error.code, "HANDSHAKE");
    aw_stream_abort(server);
    aw_stream_abort(client);
    return 0;
}

Test(websocket_handshake, a_slow_peer_is_given_up)
{
    cr_assert_eq(aw_run(slow_body, NULL), 0);
}

/* --- the client against a server of our making ------------------------------------------------ */
struct false_server {
    struct aw_stream *stream;
    const char *answer; /* %s becomes the right key */
    char request[4096];
};

static int answer_falsely(void *argument)
{
    struct false_server *server = argument;
    const char *head;
    int size = aw_stream_read_until(server->stream, "\r\n\r\n", 4, 0, &head);
    if (size <= 0)
        return size;
    memcpy(server->request, head, (size_t)size);
    const char *key = strstr(server->request, "Sec-WebSocket-Key: ");
    char command[128] = "";
    if (key != NULL)
        memcpy(command, key + 19, 24);
    /* the right answer, made by another implementation */
    struct aw_process_output output = {0};
    const char *arguments[] = {"sh",
                               "-c",
                               "printf '%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' \"$1\" | "
                               "openssl dgst -sha1 -binary | openssl base64 | tr -d '\\n'",
                               "sh",
                               command,
                               NULL};
    struct aw_process_options options = {.arguments = arguments};
    int result = aw_process_run(&options, NULL, 0, 4096, &output, NULL);
    if (result < 0)
        return result;
    char *text = NULL;
    const char *mark = strstr(server->answer, "%s");
    if (asprintf(&text, "%.*s%s%s", mark ? (int)(mark - server->answer) : 0, server->answer,
                 mark ? output.output : server->answer, mark ? mark + 2 : "") < 0)
        return -ENOMEM;
    aw_process_output_free(&output);
    result = aw_stream_write_all(server->stream, text, strlen(text));
    free(text);
    return result < 0 ? result : aw_stream_end(server->stream);
}

static int start_against(const char *answer, const struct aw_websocket_options *options,
                         struct aw_error *reterr, struct false_server *server)
{
    struct aw_stream *client;
    struct aw_websocket *socket = NULL;
    struct aw_task *task;
    *server = (struct false_server){.answer = answer};
    open_both(&client, &server->stream);
    cr_assert_eq(aw_spawn(&task, answer_falsely, server), 0);
    int result = aw_websocket_start(&socket, client, "ws://there:81/a?b", options, reterr);
    cr_expect_eq(aw_await(task), 0);
    cr_expect((result == 0) == (socket != NULL));
    aw_websocket_abort(socket);
    aw_stream_abort(client);
    aw_stream_abort(server->stream);
    return result;
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n"

static int client_body(void *argument)
{
    (void)argument;
    struct aw_error error = {0};
    struct false_server server;
    struct aw_http_header headers[] = {{"Authorization", "Bearer x"}, {"X-More", "1"}};
    struct aw_websocket_options options = {
        .protocols = "v2, v1", .origin = "https://page", .headers = headers, .header_count = 2};
    cr_expect_eq(start_against(SWITCH
                               "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: v1\r\n\r\n",
                               &options, &error, &server),
                 0, "%s", error.message);
    cr_expect(strncmp(server.request, "GET /a?b HTTP/1.1\r\nHost: there:81\r\n", 35) == 0);
    cr_expect_not_null(strstr(server.request, "\r\nSec-WebSocket-Version: 13\r\n"));
    cr_expect_not_null(strstr(server.request, "\r\nSec-WebSocket-Protocol: v2, v1\r\n"));
    cr_expect_not_null(strstr(server.request, "\r\nOrigin: https://page\r\n"));
    cr_expect_not_null(strstr(server.request, "\r\nAuthorization: Bearer x\r\nX-More: 1\r\n\r\n"));
    cr_expect_null(strstr(server.request, "Extensions"));
    static const struct {
        const char *answer;
        int result;
        const char *code;
    } cases[] = {
        {SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", -EPROTO, "HANDSHAKE"},
        {SWITCH "\r\n", -EPROTO, "HANDSHAKE"},
        {SWITCH "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: v3\r\n\r\n", -EPROTO,
         "HANDSHAKE"},
        {SWITCH "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: v1, v2\r\n\r\n", -EPROTO,
         "HANDSHAKE"},
        {SWITCH "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         -EPROTO, "HANDSHAKE"},
        {"HTTP/1.1 101 X\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", -EPROTO,
         "HANDSHAKE"},
        {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", -EPROTO,
         "HANDSHAKE"},
        {"HTTP/1.0 101 X\r\n\r\n", -EPROTO, "HANDSHAKE"},
        {"SSH-2.0-OpenSSH\r\n\r\n", -EPROTO, "HANDSHAKE"},
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", -EACCES, "403"},
        {"HTTP/1.1 302 Found\r\nLocation: wss://else/where\r\n\r\n", -EACCES, "302"},
        {"", -ECONNRESET, "LOST"},
        {"HTTP/1.1 101 X\r\n", -ECONNRESET, "LOST"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        error = (struct aw_error){0};
        cr_expect_eq(start_against(cases[i].answer, &options, &error, &server), cases[i].result,
                     "%zu: %s", i, error.message);
        cr_expect_str_eq(error.code, cases[i].code, "%zu: %s", i, error.message);
        if (strcmp(error.code, "302") == 0)
            cr_expect_not_null(strstr(error.message, "wss://else/where"));
    }
    return 0;
}

Test(websocket_handshake, a_client_believes_only_a_right_answer)
{
    cr_assert_eq(aw_run(client_body, NULL), 0);
}

/* --- both --------------------------------------------------------------------------------------
 */
static int ask(void *argument)
{
    struct websocket_pair *pair = argument;
    struct aw_http_header headers[] = {{"Cookie", "a=b"}};
    struct aw_websocket_options options = {
        .protocols = "one, two", .origin = "https://page", .headers = headers, .header_count = 1};
    struct aw_error error = {0};
    int result = aw_websocket_start(&pair->client, pair->client_stream, "ws://there?room=1",
                                    &options, &error);
    cr_expect(result == 0 || strcmp(error.code, "403") == 0, "%s", error.message);
    return result;
}

static int request_body(void *argument)
{
    (void)argument;
    struct websocket_pair pair = {0};
    struct aw_websocket_request *request;
    struct aw_task *task;
    struct aw_http_header headers[] = {{"Set-Cookie", "c=d"}};
    struct aw_websocket_options options = {
        .protocols = "three,two,one", .headers = headers, .header_count = 1};
    open_both(&pair.client_stream, &pair.server_stream);
    cr_assert_eq(aw_spawn(&task, ask, &pair), 0);
    cr_assert_eq(aw_websocket_request_read(&request, pair.server_stream, 0, NULL), 0);
    cr_expect_str_eq(request->target, "/?room=1");
    cr_expect_str_eq(request->host, "there");
    cr_expect_str_eq(request->origin, "https://page");
    cr_expect_str_eq(request->protocols, "one, two");
    cr_expect_str_eq(aw_websocket_request_header(request, "cookie"), "a=b");
    cr_expect_null(aw_websocket_request_header(request, "none"));
    cr_expect_eq(aw_websocket_accept(&pair.server, pair.server_stream, request, &options, NULL), 0);
    aw_websocket_request_free(request);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_str_eq(aw_websocket_protocol(pair.server), "two", "the server's first that fits");
    cr_expect_str_eq(aw_websocket_protocol(pair.client), "two");
    websocket_pair_abort(&pair);
    open_both(&pair.client_stream, &pair.server_stream);
    cr_assert_eq(aw_spawn(&task, ask, &pair), 0);
    cr_assert_eq(aw_websocket_request_read(&request, pair.server_stream, 0, NULL), 0);
    options = (struct aw_websocket_options){.protocols = "Two"};
    cr_expect_eq(aw_websocket_accept(&pair.server, pair.server_stream, request, &options, NULL), 0);
    cr_expect_eq(aw_await(task), 0);
    cr_expect_str_eq(aw_websocket_protocol(pair.server), "", "none fits");
    websocket_pair_abort(&pair);
    struct aw_error error = {0};
    options = (struct aw_websocket_options){.message_size_max = SIZE_MAX};
    open_both(&pair.client_stream, &pair.server_stream);
    cr_expect_eq(aw_websocket_accept(&pair.server, pair.server_stream, request, &options, &error),
                 -EINVAL);
    cr_expect_str_eq(error.code, "REQUEST");
    cr_expect_eq(aw_websocket_refuse(pair.server_stream, 200, NULL), -EINVAL);
    cr_expect_eq(aw_websocket_refuse(pair.server_stream, 600, NULL), -EINVAL);
    cr_assert_eq(aw_spawn(&task, ask, &pair), 0);
    cr_expect_eq(aw_websocket_refuse(pair.server_stream, 403, "not you"), 0);
    cr_expect_eq(aw_await(task), -EACCES);
    aw_websocket_request_free(request);
    websocket_pair_abort(&pair);
    return 0;
}

Test(websocket_handshake, the_server_sees_the_request_and_decides)
{
    cr_assert_eq(aw_run(request_body, NULL), 0);
}

static int connect_body(void *argument)
{
    (void)argument;
    struct aw_websocket *socket = NULL;
    struct aw_error error = {0};
    int listener = aw_listen_tcp("127.0.0.1", 0, 0, NULL);
    char uri[64];
    snprintf(uri, sizeof uri, "ws://127.0.0.1:%d/", aw_local_port(listener));
    struct aw_websocket_options options = {.handshake_timeout_ms = 20};
    cr_expect_eq(aw_websocket_connect(&socket, uri, &options, &error), -ETIMEDOUT,
                 "nobody answers");
    cr_expect_str_eq(error.code, "HANDSHAKE");
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(10));
    cr_expect_eq(aw_websocket_connect(&socket, uri, NULL, &error), -ETIME);
    aw_scope_leave(&scope);
    aw_close(listener);
    cr_expect_eq(aw_websocket_connect(&socket, uri, NULL, &error), -ECONNREFUSED);
    cr_expect_str_eq(error.code, "CONNECT");
    cr_expect_eq(aw_websocket_connect(&socket, "http://a", NULL, &error), -EINVAL);
    cr_expect_str_eq(error.code, "REQUEST");
    options.message_size_max = SIZE_MAX;
    cr_expect_eq(aw_websocket_connect(&socket, uri, &options, &error), -EINVAL);
    cr_expect_null(socket);
    struct aw_websocket_call call = {.uri = uri, .error = &error};
    int result;
    AW_WITH(result, aw_websocket_with(&call))
    {
        cr_expect_fail("the body of a block that was not entered");
    }
    cr_expect_eq(result, -ECONNREFUSED);
    return 0;
}

Test(websocket_handshake, connecting_fails_with_a_reason)
{
    cr_assert_eq(aw_run(connect_body, NULL), 0);
}
