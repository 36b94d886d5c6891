/* websocket_connect.c - the client's half of the handshake. */
#include "clients/http_text.h"
#include "clients/websocket_handshake.h"
#include "clients/websocket_internal.h"
#include "clients/websocket_uri.h"

#include <await/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define no_handshake(reterr, ...) aw_error_set_code(reterr, -EPROTO, "HANDSHAKE", __VA_ARGS__)

static int send_request(struct aw_stream *stream, const struct websocket_uri *uri, const char *key,
                        const struct aw_websocket_options *options, struct aw_error *reterr)
{
    struct websocket_text text;
    int result = websocket_text_init(&text);
    if (result < 0)
        return aw_error_set_code(reterr, result, "FAILED", "WebSocket: no memory");
    websocket_text_add(&text,
                       "GET %s%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                       "Sec-WebSocket-Version: 13\r\n",
                       uri->target[0] == '/' ? "" : "/", uri->target, uri->authority, key);
    if (options->protocols != NULL)
        websocket_text_add(&text, "Sec-WebSocket-Protocol: %s\r\n", options->protocols);
    if (options->origin != NULL)
        websocket_text_add(&text, "Origin: %s\r\n", options->origin);
    websocket_text_add_headers(&text, options);
    websocket_text_add(&text, "\r\n");
    result = websocket_text_send(&text, stream);
    if (result == -EINVAL)
        return aw_error_set_code(reterr, result, "REQUEST",
                                 "WebSocket: URI and headers are longer than %u bytes",
                                 AW_WEBSOCKET_HEAD_SIZE_MAX);
    if (result < 0)
        return aw_error_set_code(reterr, result, "LOST", "WebSocket: cannot send the handshake: %s",
                                 aw_error_text(result));
    return 0;
}

/* "HTTP/1.1 101 Switching Protocols" */
static int check_status(struct websocket_head *head, struct aw_error *reterr)
{
    const char *words[3];
    const char *location;
    if (!websocket_head_cut_line(head, words) || strcmp(words[0], "HTTP/1.1") != 0 ||
        strlen(words[1]) != 3 || strspn(words[1], "0123456789") != 3)
        return no_handshake(reterr, "WebSocket: the answer is not HTTP/1.1");
    if (strcmp(words[1], "101") == 0)
        return 0;
    if (websocket_head_find(head, "Location", &location) > 0)
        return aw_error_set_code(reterr, -EACCES, words[1],
                                 "WebSocket: the server answered %s %.100s, Location: %.200s",
                                 words[1], words[2], location);
    return aw_error_set_code(reterr, -EACCES, words[1], "WebSocket: the server answered %s %.100s",
                             words[1], words[2]);
}

static int check_head(struct websocket_head *head, const char *key,
                      const struct aw_websocket_options *options, char **ret_protocol,
                      struct aw_error *reterr)
{
    char expected[WEBSOCKET_ANSWER_SIZE];
    const char *value;
    const char *protocol;
    int result = check_status(head, reterr);
    if (result == 0 && websocket_answer_key(key, expected) < 0)
        result = aw_error_set_code(reterr, -ENOMEM, "FAILED", "WebSocket: no memory");
    if (result < 0)
        return result;
    if (websocket_head_find(head, "Upgrade", &value) != 1 || !http_name_is(value, "websocket") ||
        !websocket_head_lists(head, "Connection", "Upgrade"))
        return no_handshake(reterr, "WebSocket: the server switched to another protocol");
    if (websocket_head_find(head, "Sec-WebSocket-Accept", &value) != 1 ||
        strcmp(value, expected) != 0)
        return no_handshake(reterr, "WebSocket: the server's answer to the key is wrong");
    if (websocket_head_find(head, "Sec-WebSocket-Extensions", &value) > 0 && value[0] != '\0')
        return no_handshake(reterr, "WebSocket: the server uses an extension that nobody offered");
    size_t protocols = websocket_head_find(head, "Sec-WebSocket-Protocol", &protocol);
    if (protocols > 1 ||
        (protocols == 1 && (options->protocols == NULL || strchr(protocol, ',') != NULL ||
                            !websocket_list_has(options->protocols, protocol, strlen(protocol)))))
        return no_handshake(reterr,
                            "WebSocket: the server chose a subprotocol that nobody offered");
    if (protocols == 1 && (*ret_protocol = websocket_copy(protocol, strlen(protocol))) == NULL)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "WebSocket: no memory");
    return 0;
}

static int read_answer(struct aw_stream *stream, struct websocket_head *head,
                       struct aw_error *reterr)
{
    const char *text;
    int size = aw_stream_read_until(stream, "\r\n\r\n", 4, AW_WEBSOCKET_HEAD_SIZE_MAX, &text);
    int result = size > 0 ? websocket_head_parse(head, text, (size_t)size) : size;
    if (size == 0 || size == -ENODATA)
        return aw_error_set_code(reterr, -ECONNRESET, "LOST",
                                 "WebSocket: the server hung up in the handshake");
    if (result == -EMSGSIZE)
        return aw_error_set_code(reterr, result, "HANDSHAKE",
                                 "WebSocket: the head of the answer is too long");
    if (result == -EPROTO && size > 0)
        return no_handshake(reterr, "WebSocket: the answer is not HTTP/1.1");
    if (result < 0)
        return aw_error_set_code(reterr, result, result == -ENOMEM ? "FAILED" : "LOST",
                                 "WebSocket: cannot read the answer: %s", aw_error_text(result));
    return 0;
}

static int shake_hands(struct aw_websocket **ret_socket, struct aw_stream *stream,
                       const struct websocket_uri *uri, const struct aw_websocket_options *options,
                       struct aw_error *reterr)
{
    char key[WEBSOCKET_KEY_SIZE];
    char *protocol = NULL;
    struct websocket_head head;
    websocket_make_key(key);
    int result = send_request(stream, uri, key, options, reterr);
    if (result == 0)
        result = read_answer(stream, &head, reterr);
    if (result < 0)
        return result;
    result = check_head(&head, key, options, &protocol, reterr);
    websocket_head_free(&head);
    if (result < 0)
        return result;
    result = websocket_create(ret_socket, stream, true, protocol, options);
    if (result < 0) {
        free(protocol);
        return aw_error_set_code(reterr, result, "FAILED", "WebSocket: no memory");
    }
    return 0;
}

int aw_websocket_start(struct aw_websocket **ret_socket, struct aw_stream *stream, const char *uri,
                       const struct aw_websocket_options *options, struct aw_error *reterr)
{
    struct websocket_uri where;
    struct aw_websocket_options taken;
    struct aw_scope scope;
    int result = websocket_uri_parse(&where, uri, reterr);
    if (result == 0)
        result = websocket_take_options(options, &taken, reterr);
    if (result < 0)
        return result;
    aw_scope_enter(&scope, aw_after_ms(taken.handshake_timeout_ms));
    result = shake_hands(ret_socket, stream, &where, &taken, reterr);
    return websocket_leave_handshake(&scope, result, reterr);
}

/* Names the part that failed, in an error whose words are there. */
static int failed_in(const char *part, int result, struct aw_error *reterr)
{
    if (reterr != NULL && result < 0)
        memcpy(reterr->code, part, strlen(part) + 1);
    return result;
}

static int start_tls(struct aw_stream *stream, const struct websocket_uri *uri,
                     struct aw_tls_context *given, struct aw_error *reterr)
{
    struct aw_tls_context *context = given;
    int result = 0;
    if (given == NULL)
        result = aw_tls_client(&context, &(struct aw_tls_options){.protocols = "http/1.1"}, reterr);
    if (result == 0)
        result = aw_stream_start_tls(stream, context, uri->host, reterr);
    if (given == NULL && context != NULL)
        aw_tls_free(context);
    return failed_in("TLS", result, reterr);
}

static int connect_within(struct aw_websocket **ret_socket, const struct websocket_uri *uri,
                          const struct aw_websocket_options *options, struct aw_error *reterr)
{
    struct aw_stream *stream;
    struct aw_websocket *socket = NULL;
    int result = aw_stream_connect_tcp(&stream, uri->host, uri->port, NULL, reterr);
    if (result < 0)
        return failed_in("CONNECT", result, reterr);
    if (uri->tls)
        result = start_tls(stream, uri, options->tls, reterr);
    if (result == 0)
        result = shake_hands(&socket, stream, uri, options, reterr);
    if (result < 0) {
        aw_stream_abort(stream);
        return result;
    }
    socket->owns_stream = true;
    *ret_socket = socket;
    return 0;
}

int aw_websocket_connect(struct aw_websocket **ret_socket, const char *uri,
                         const struct aw_websocket_options *options, struct aw_error *reterr)
{
    struct websocket_uri where;
    struct aw_websocket_options taken;
    struct aw_scope scope;
    int result = websocket_uri_parse(&where, uri, reterr);
    if (result == 0)
        result = websocket_take_options(options, &taken, reterr);
    if (result < 0)
        return result;
    aw_scope_enter(&scope, aw_after_ms(taken.handshake_timeout_ms));
    result = connect_within(ret_socket, &where, &taken, reterr);
    return websocket_leave_handshake(&scope, result, reterr);
}
