/* redis_handshake.h - what happens on a connection before commands do. */
#ifndef CLIENTS_REDIS_HANDSHAKE_H
#define CLIENTS_REDIS_HANDSHAKE_H

#include "clients/redis_link.h"
#include "clients/redis_parser.h"
#include "clients/redis_uri.h"

/* Connects, identifies, selects the database and asks for a PONG, so that a server that is still
 * loading counts as down. 0 with *link open, or a negative errno with why in *reterr (code: the
 * word Redis answered with, if it did). */
AW_MUST_CHECK AW_SUSPENDS int redis_handshake(struct redis_link *link,
                                              const struct redis_endpoint *endpoint,
                                              const char *client_name,
                                              struct redis_parser *parser,
                                              struct aw_error *reterr);

/* Sends a command of `count` words that end with NULs (sizes NULL), and reads exactly its reply.
 * Only on a link that owes no other reply. 0, or a negative errno: the link is of no more use. */
AW_MUST_CHECK AW_SUSPENDS int redis_exchange(struct redis_link *link, struct redis_parser *parser,
                                             int count, const char *words[],
                                             struct aw_redis_reply **ret_reply);

/* Whether the server is a master, by ROLE; one that this account may not ask counts as one. 0, or a
 * negative errno with why in *reterr. */
AW_MUST_CHECK AW_SUSPENDS int redis_check_master(struct redis_link *link,
                                                 const struct redis_endpoint *endpoint,
                                                 struct redis_parser *parser,
                                                 struct aw_error *reterr);

/* Whether the server answers anything at all to a PING on a new connection. 0 or negative errno. */
AW_MUST_CHECK AW_SUSPENDS int redis_probe(const struct redis_endpoint *endpoint);

/* Copies an error reply's first word, such as "WRONGTYPE", into `code`. */
void redis_error_word(const struct aw_redis_reply *reply, char code[AW_ERROR_CODE_SIZE]);

#endif
