/* websocket_accept.c - the server's half of the handshake. What is no WebSocket request is answered
 * here, so that a browser or a health check learns what it did. */
#include "clients/http_text.h"
#include "clients/websocket_handshake.h"
#include "clients/websocket_internal.h"

#include <await/clock.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_TIMEOUT_MS 10000u
#define REFUSAL_TIMEOUT_MS 1000u

struct request {
    struct aw_websocket_request shown; /* first: the caller has its address */
    struct websocket_head head;
    char *protocols; /* the list of shown.protocols, two bytes before it */
    char key[WEBSOCKET_KEY_SIZE];
};

/* --- refusing -------------------------------------------------------------------------------- */
static const char *words_of(int status)
{
    static const struct {
        int status;
        const char *words;
    } known[] = {
        {301, "Moved Permanently"},
        {302, "Found"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {410, "Gone"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].words;
    return "Refused";
}

int aw_websocket_refuse(struct aw_stream *stream, int status, const char *text)
{
    if (status < 300 || status > 599)
        return -EINVAL;
    if (text == NULL)
        text = words_of(status);
    const char *more = status == 426   ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       : status == 405 ? "Allow: GET\r\n"
                                       : "";
    int result = aw_stream_print(stream,
                                 "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                 "Content-Length: %zu\r\n%sConnection: close\r\n\r\n%s\n",
                                 status, words_of(status), strlen(text) + 1, more, text);
    return result < 0 ? result : aw_stream_flush(stream);
}

/* Answers, says so in *reterr and returns `number`. What the client still sends is dropped: closing
 * before it is read would take the answer back on its way. That the client does not hear it changes
 * nothing. */
static int refuse(struct aw_stream *stream, int status, int number, const char *text,
                  struct aw_error *reterr)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(REFUSAL_TIMEOUT_MS));
    if (aw_websocket_refuse(stream, status, text) == 0 && aw_stream_end(stream) == 0)
        websocket_drain(stream);
    aw_scope_leave(&scope);
    return aw_error_set_code(reterr, number, "HANDSHAKE", "WebSocket: refused with %d: %s", status,
                             text);
}

/* --- the request ----------------------------------------------------------------------------- */
struct verdict { /* status 0: it is a WebSocket request */
    int status;
    const char *text;
};

static bool is_target(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return text[0] == '/';
}

static struct verdict check_line(struct request *request)
{
    const char *words[3];
    if (!websocket_head_cut_line(&request->head, words) || !http_is_token(words[0]) ||
        !is_target(words[1]))
        return (struct verdict){400, "the first line is not that of a request"};
    if (strcmp(words[2], "HTTP/1.1") != 0)
        return (struct verdict){400, "only HTTP/1.1 is spoken here"};
    if (strcmp(words[0], "GET") != 0)
        return (struct verdict){405, "a WebSocket handshake is a GET request"};
    request->shown.target = words[1];
    return (struct verdict){0, NULL};
}

static struct verdict check_headers(struct request *request)
{
    const struct websocket_head *head = &request->head;
    const char *value;
    if (websocket_head_find(head, "Host", &request->shown.host) != 1)
        return (struct verdict){400, "a request needs one Host header"};
    if (websocket_head_find(head, "Transfer-Encoding", &value) > 0 ||
        websocket_head_find(head, "Content-Length", &value) > 1 ||
        (value != NULL && strcmp(value, "0") != 0))
        return (struct verdict){400, "a WebSocket handshake has no body"};
    if (!websocket_head_lists(head, "Upgrade", "websocket") ||
        !websocket_head_lists(head, "Connection", "Upgrade"))
        return (struct verdict){426, "only WebSocket is spoken here"};
    if (websocket_head_find(head, "Sec-WebSocket-Version", &value) != 1 || strcmp(value, "13") != 0)
        return (struct verdict){426, "only version 13 of WebSocket is spoken here"};
    if (websocket_head_find(head, "Sec-WebSocket-Key", &value) != 1 || !websocket_is_key(value))
        return (struct verdict){400, "Sec-WebSocket-Key must be 16 bytes in base64, once"};
    memcpy(request->key, value, sizeof request->key);
    if (websocket_head_find(head, "Origin", &request->shown.origin) > 1)
        return (struct verdict){400, "a request has one Origin header at most"};
    return (struct verdict){0, NULL};
}

/* The offers of all Sec-WebSocket-Protocol headers as one list. -ENOMEM. */
static int join_protocols(struct request *request)
{
    const struct websocket_head *head = &request->head;
    char *list = NULL;
    size_t size = 0;
    for (size_t i = 0; i < head->header_count; i++) {
        if (!http_name_is(head->headers[i].name, "Sec-WebSocket-Protocol"))
            continue;
        size_t more = strlen(head->headers[i].value);
        char *grown = realloc(list, size + more + 3);
        if (grown == NULL) {
            free(list);
            return -ENOMEM;
        }
        list = grown;
        memcpy(list + size, ", ", 2);
        memcpy(list + size + 2, head->headers[i].value, more + 1);
        size += more + 2;
    }
    if (list == NULL)
        list = websocket_copy(", ", 2);
    request->protocols = list;
    if (list == NULL)
        return -ENOMEM;
    request->shown.protocols = list + 2;
    return 0;
}

static int check_request(struct request *request, struct aw_stream *stream, struct aw_error *reterr)
{
    struct verdict verdict = check_line(request);
    if (verdict.status == 0)
        verdict = check_headers(request);
    if (verdict.status != 0)
        return refuse(stream, verdict.status, -EPROTO, verdict.text, reterr);
    request->shown.headers = request->head.headers;
    request->shown.header_count = request->head.header_count;
    if (join_protocols(request) < 0)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "WebSocket: no memory");
    return 0;
}

static int read_head(struct request *request, struct aw_stream *stream, uint32_t timeout_ms,
                     struct aw_error *reterr)
{
    struct aw_scope scope;
    const char *text;
    aw_scope_enter(&scope, aw_after_ms(timeout_ms ? timeout_ms : HANDSHAKE_TIMEOUT_MS));
    int size = aw_stream_read_until(stream, "\r\n\r\n", 4, AW_WEBSOCKET_HEAD_SIZE_MAX, &text);
    size = websocket_leave_handshake(&scope, size, reterr);
    if (size > 0) {
        int result = websocket_head_parse(&request->head, text, (size_t)size);
        if (result == -EPROTO)
            return refuse(stream, 400, result, "that is no request of HTTP/1.1", reterr);
        if (result == 0 || result == -ENOMEM)
            return result < 0 ? aw_error_set_code(reterr, result, "FAILED", "WebSocket: no memory")
                              : 0;
        size = result;
    }
    if (size == -EMSGSIZE)
        return refuse(stream, 431, size, "the request's head is too long", reterr);
    if (size == -ETIMEDOUT)
        return refuse(stream, 408, size, "the handshake took too long", reterr);
    if (size == 0)
        return aw_error_set_code(reterr, -ENODATA, "LOST", "WebSocket: the client has gone");
    if (size == -ENODATA)
        size = -ECONNRESET;
    return aw_error_set_code(reterr, size, "LOST", "WebSocket: cannot read the request: %s",
                             aw_error_text(size));
}

int aw_websocket_request_read(struct aw_websocket_request **ret_request, struct aw_stream *stream,
                              uint32_t handshake_timeout_ms, struct aw_error *reterr)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return aw_error_set_code(reterr, -ENOMEM, "FAILED", "WebSocket: no memory");
    int result = read_head(request, stream, handshake_timeout_ms, reterr);
    if (result == 0)
        result = check_request(request, stream, reterr);
    if (result < 0) {
        aw_websocket_request_free(&request->shown);
        return result;
    }
    *ret_request = &request->shown;
    return 0;
}

const char *aw_websocket_request_header(const struct aw_websocket_request *request,
                                        const char *name)
{
    const char *value;
    (void)websocket_head_find(&((const struct request *)request)->head, name, &value);
    return value;
}

void aw_websocket_request_free(struct aw_websocket_request *request)
{
    struct request *own = (struct request *)request;
    if (own == NULL)
        return;
    websocket_head_free(&own->head);
    free(own->protocols);
    free(own);
}

/* --- accepting ------------------------------------------------------------------------------- */
/* Our first subprotocol that the client offered; NULL when there is none. -ENOMEM. */
static int choose_protocol(const char *ours, const char *offered, char **ret_protocol)
{
    const char *item;
    size_t size;
    *ret_protocol = NULL;
    while (ours != NULL && websocket_list_next(&ours, &item, &size)) {
        if (!websocket_list_has(offered, item, size))
            continue;
        *ret_protocol = websocket_copy(item, size);
        return *ret_protocol != NULL ? 0 : -ENOMEM;
    }
    return 0;
}

static int send_answer(struct aw_stream *stream, const char *key, const char *protocol,
                       const struct aw_websocket_options *options)
{
    char answer[WEBSOCKET_ANSWER_SIZE];
    struct websocket_text text;
    int result = websocket_answer_key(key, answer);
    if (result == 0)
        result = websocket_text_init(&text);
    if (result < 0)
        return result;
    websocket_text_add(&text,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
                       answer);
    if (protocol[0] != '\0')
        websocket_text_add(&text, "Sec-WebSocket-Protocol: %s\r\n", protocol);
    websocket_text_add_headers(&text, options);
    websocket_text_add(&text, "\r\n");
    return websocket_text_send(&text, stream);
}

int aw_websocket_accept(struct aw_websocket **ret_socket, struct aw_stream *stream,
                        const struct aw_websocket_request *request,
                        const struct aw_websocket_options *options, struct aw_error *reterr)
{
    struct aw_websocket_options taken;
    struct aw_websocket *socket;
    struct aw_scope scope;
    char *protocol;
    int result = websocket_take_options(options, &taken, reterr);
    if (result < 0)
        return result;
    result = choose_protocol(taken.protocols, request->protocols, &protocol);
    if (result == 0)
        result = websocket_create(&socket, stream, false, protocol, &taken);
    if (result < 0) {
        free(protocol);
        return aw_error_set_code(reterr, result, "FAILED", "WebSocket: no memory");
    }
    aw_scope_enter(&scope, aw_after_ms(taken.handshake_timeout_ms));
    result = send_answer(stream, ((const struct request *)request)->key,
                         aw_websocket_protocol(socket), &taken);
    result = websocket_leave_handshake(&scope, result, reterr);
    if (result == 0) {
        *ret_socket = socket;
        return 0;
    }
    aw_websocket_abort(socket);
    if (result == -ETIMEDOUT)
        return result; /* the reason is there already */
    return aw_error_set_code(reterr, result, result == -EINVAL ? "REQUEST" : "LOST",
                             "WebSocket: cannot send the answer: %s", aw_error_text(result));
}
