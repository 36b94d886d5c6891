/* websocket_handshake.h - what both halves of a handshake share (RFC 6455 section 4). */
#ifndef CLIENTS_WEBSOCKET_HANDSHAKE_H
#define CLIENTS_WEBSOCKET_HANDSHAKE_H

#include "clients/websocket_head.h"

#include <await/scope.h>

#define WEBSOCKET_KEY_SIZE 25    /* base64 of 16 bytes, and the NUL */
#define WEBSOCKET_ANSWER_SIZE 29 /* base64 of a SHA-1, and the NUL */

/* Memory that the caller frees; NULL: there is none. */
AW_MUST_CHECK char *websocket_copy(const char *text, size_t size);

/* A head that is written; what does not fit AW_WEBSOCKET_HEAD_SIZE_MAX makes it too_long. */
struct websocket_text {
    char *data;
    size_t size;
    bool too_long;
};

/* -ENOMEM. */
AW_MUST_CHECK int websocket_text_init(struct websocket_text *text);
void websocket_text_add(struct websocket_text *text, const char *format, ...) AW_PRINTF(2, 3);
void websocket_text_add_headers(struct websocket_text *text,
                                const struct aw_websocket_options *options);
/* Sends it: 0, -EINVAL when it is too long, or as aw_stream_write. Frees it. */
AW_MUST_CHECK AW_SUSPENDS int websocket_text_send(struct websocket_text *text,
                                                  struct aw_stream *stream);

/* A key of 16 random bytes; the answer that proves that somebody understood it. */
void websocket_make_key(char ret_key[WEBSOCKET_KEY_SIZE]);
AW_MUST_CHECK int websocket_answer_key(const char *key, char ret_answer[WEBSOCKET_ANSWER_SIZE]);
bool websocket_is_key(const char *text);

/* Checks the options and fills the defaults in (`options` may be NULL). -EINVAL "REQUEST". */
AW_MUST_CHECK int websocket_take_options(const struct aw_websocket_options *options,
                                         struct aw_websocket_options *ret_options,
                                         struct aw_error *reterr);

/* Whether the list "a, b" has the item text[0, size), in exactly this spelling. */
bool websocket_list_has(const char *list, const char *text, size_t size);

/* Leaves the scope around a handshake: its own deadline becomes -ETIMEDOUT "HANDSHAKE". */
AW_MUST_CHECK int websocket_leave_handshake(struct aw_scope *scope, int result,
                                            struct aw_error *reterr);

#endif
