/* websocket_handshake.c - see websocket_handshake.h. */
#include "clients/websocket_handshake.h"

#include "clients/http_text.h"

#include <await/clock.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SIZE_LIMIT ((size_t)1 << 30)
#define HEADERS_MAX 64u
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

char *websocket_copy(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* --- writing a head -------------------------------------------------------------------------- */
int websocket_text_init(struct websocket_text *text)
{
    *text = (struct websocket_text){.data = malloc(AW_WEBSOCKET_HEAD_SIZE_MAX)};
    return text->data != NULL ? 0 : -ENOMEM;
}

void websocket_text_add(struct websocket_text *text, const char *format, ...)
{
    size_t room = AW_WEBSOCKET_HEAD_SIZE_MAX - text->size;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text->data + text->size, room, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= room)
        text->too_long = true;
    else
        text->size += (size_t)size;
}

void websocket_text_add_headers(struct websocket_text *text,
                                const struct aw_websocket_options *options)
{
    for (size_t i = 0; i < options->header_count; i++)
        websocket_text_add(text, "%s: %s\r\n", options->headers[i].name, options->headers[i].value);
}

int websocket_text_send(struct websocket_text *text, struct aw_stream *stream)
{
    int result = text->too_long ? -EINVAL : aw_stream_write_all(stream, text->data, text->size);
    free(text->data);
    text->data = NULL;
    return result;
}

/* --- keys ------------------------------------------------------------------------------------ */
void websocket_make_key(char ret_key[WEBSOCKET_KEY_SIZE])
{
    unsigned char bytes[16];
    aw_random_bytes(bytes, sizeof bytes);
    (void)EVP_EncodeBlock((unsigned char *)ret_key, bytes, sizeof bytes);
}

bool websocket_is_key(const char *text)
{
    unsigned char bytes[18];
    return strlen(text) == WEBSOCKET_KEY_SIZE - 1 && strcspn(text, "=") == WEBSOCKET_KEY_SIZE - 3 &&
           EVP_DecodeBlock(bytes, (const unsigned char *)text, WEBSOCKET_KEY_SIZE - 1) == 18;
}

int websocket_answer_key(const char *key, char ret_answer[WEBSOCKET_ANSWER_SIZE])
{
    char text[WEBSOCKET_KEY_SIZE + sizeof GUID];
    unsigned char hash[SHA_DIGEST_LENGTH];
    int size = snprintf(text, sizeof text, "%s" GUID, key);
    /* fails only for lack of memory */
    if (EVP_Digest(text, (size_t)size, hash, NULL, EVP_sha1(), NULL) != 1)
        return -ENOMEM;
    (void)EVP_EncodeBlock((unsigned char *)ret_answer, hash, sizeof hash);
    return 0;
}

/* --- options --------------------------------------------------------------------------------- */
#define refuse(reterr, ...) aw_error_set_code(reterr, -EINVAL, "REQUEST", __VA_ARGS__)

/* What the handshake itself says, and what would change how its head is read. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"Host",   "Upgrade",        "Connection",
                                        "Origin", "Content-Length", "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (http_name_is(name, names[i]))
            return true;
    return strncasecmp(name, "Sec-WebSocket-", 14) == 0;
}

static int check_headers(const struct aw_websocket_options *options, struct aw_error *reterr)
{
    if (options->header_count > HEADERS_MAX)
        return refuse(reterr, "WebSocket: %zu headers, at most %u are possible",
                      options->header_count, HEADERS_MAX);
    for (size_t i = 0; i < options->header_count; i++) {
        const struct aw_http_header *header = &options->headers[i];
        if (!http_is_token(header->name) || is_ours(header->name))
            return refuse(reterr, "WebSocket: \"%.60s\" is no header that can be set",
                          header->name ? header->name : "");
        if (!http_is_value(header->value))
            return refuse(reterr,
                          "WebSocket: the value of the header %.60s is missing or holds a "
                          "control character",
                          header->name);
    }
    if (options->origin != NULL && !http_is_value(options->origin))
        return refuse(reterr, "WebSocket: the origin holds a control character");
    return 0;
}

static int check_protocols(const char *list, struct aw_error *reterr)
{
    const char *item;
    size_t size;
    while (list != NULL && websocket_list_next(&list, &item, &size)) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", size < 200 ? (int)size : 200, item);
        if (size >= sizeof name || !http_is_token(name))
            return refuse(reterr, "WebSocket: \"%.60s\" is no name of a subprotocol", name);
    }
    return 0;
}

int websocket_take_options(const struct aw_websocket_options *options,
                           struct aw_websocket_options *ret_options, struct aw_error *reterr)
{
    struct aw_websocket_options taken = {0};
    if (options != NULL)
        taken = *options;
    if (taken.message_size_max == 0)
        taken.message_size_max = (size_t)1 << 20;
    if (taken.send_queue_max == 0)
        taken.send_queue_max = (size_t)256 << 10;
    if (taken.handshake_timeout_ms == 0)
        taken.handshake_timeout_ms = 10000;
    if (taken.close_timeout_ms == 0)
        taken.close_timeout_ms = 3000;
    if (taken.message_size_max > SIZE_LIMIT || taken.send_queue_max > SIZE_LIMIT)
        return refuse(reterr, "WebSocket: a limit is above 1 GiB");
    int result = check_headers(&taken, reterr);
    if (result == 0)
        result = check_protocols(taken.protocols, reterr);
    if (result == 0)
        *ret_options = taken;
    return result;
}

bool websocket_list_has(const char *list, const char *text, size_t size)
{
    const char *item;
    size_t item_size;
    while (websocket_list_next(&list, &item, &item_size))
        if (item_size == size && memcmp(item, text, size) == 0)
            return true;
    return false;
}

int websocket_leave_handshake(struct aw_scope *scope, int result, struct aw_error *reterr)
{
    bool expired = aw_scope_expired(scope);
    aw_scope_leave(scope);
    if (result != -ETIME || !expired || aw_interrupted() != 0)
        return result;
    return aw_error_set_code(reterr, -ETIMEDOUT, "HANDSHAKE",
                             "WebSocket: the handshake took longer than it may");
}
