/* websocket_head.h - the head of an HTTP/1.1 message, as a handshake sends it: a first line and
 * headers. Pure code, strict: what two readers could understand differently is refused. */
#ifndef CLIENTS_WEBSOCKET_HEAD_H
#define CLIENTS_WEBSOCKET_HEAD_H

#include <await/websocket.h>

struct websocket_head {
    char *text; /* owned; the strings below are inside */
    char *line; /* the first one */
    struct aw_http_header headers[AW_WEBSOCKET_HEADERS_MAX];
    size_t header_count;
};

/* Parses text[0, size), which ends with the empty line. -EPROTO: it is no head; -EMSGSIZE: too many
 * headers; -ENOMEM. The head needs a websocket_head_free only after 0. */
AW_MUST_CHECK int websocket_head_parse(struct websocket_head *head, const char *text, size_t size);
void websocket_head_free(struct websocket_head *head);

/* Cuts the first line into the three words that one blank each divides; false: it has no three. The
 * last one of a response may hold blanks and may be empty. */
AW_MUST_CHECK bool websocket_head_cut_line(struct websocket_head *head, const char *ret_words[3]);

/* How many headers have that name; *ret_value is the first one's (NULL: there is none). */
size_t websocket_head_find(const struct websocket_head *head, const char *name,
                           const char **ret_value);

/* Whether one of the headers of that name lists the token: "Connection: keep-alive, Upgrade". */
bool websocket_head_lists(const struct websocket_head *head, const char *name, const char *token);

/* The next item of a comma-separated list, without the blanks around it; *list moves behind it.
 * False at the end. Empty items are left out. */
bool websocket_list_next(const char **list, const char **ret_item, size_t *ret_size);

#endif
