/* redis_link.h - the bytes of one connection to Redis, plain or in TLS.
 *
 * One task receives while another sends. Plain bytes go straight to the socket; in TLS a stream
 * stands between, so that it is not known how much of an interrupted send went out. */
#ifndef CLIENTS_REDIS_LINK_H
#define CLIENTS_REDIS_LINK_H

#include "clients/redis_uri.h"

struct aw_stream;

struct redis_link {
    int fd;                   /* plain; else -1 */
    struct aw_stream *stream; /* TLS, or NULL */
};

/* 0, or a negative errno with why in *reterr (may be NULL). */
AW_MUST_CHECK AW_SUSPENDS int redis_link_open(struct redis_link *link,
                                              const struct redis_endpoint *endpoint,
                                              struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int redis_link_receive(struct redis_link *link, void *buffer,
                                                 size_t size);
/* Sends a part, at least one byte: how much. *ret_attempted is how much of `data` may have gone out
 * when it failed. */
AW_MUST_CHECK AW_SUSPENDS int redis_link_send(struct redis_link *link, const void *data,
                                              size_t size, size_t *ret_attempted);
AW_MUST_CHECK AW_SUSPENDS int redis_link_send_all(struct redis_link *link, const void *data,
                                                  size_t size);
/* Not a cancellation point; a closed one stays closed. */
AW_SUSPENDS void redis_link_close(struct redis_link *link);

#endif
