/* redis_parser.h - replies out of a connection's bytes: the scanner of redis_frame.h in front of
 * hiredis' reader, which builds a struct aw_redis_reply.
 *
 * The reader is fed only bytes the scanner has passed, never beyond one reply, and nothing at all
 * of a reply that is to be dropped. */
#ifndef CLIENTS_REDIS_PARSER_H
#define CLIENTS_REDIS_PARSER_H

#include "clients/redis_frame.h"

#include <await/redis.h>

struct redisReader;

struct redis_parser {
    struct redis_frame frame;
    struct redisReader *reader;
    bool begun;
    bool dropping;
    const char *problem; /* after a negative result */
};

enum redis_parsed {
    REDIS_PARSED_PART,    /* needs more bytes */
    REDIS_PARSED_REPLY,   /* *ret_reply is the caller's */
    REDIS_PARSED_OVER,    /* parser->frame.over has just been exceeded; the rest will be dropped */
    REDIS_PARSED_DROPPED, /* the end of a dropped reply (frame.over is NULL if it was to be dropped)
                             */
};

void redis_parser_init(struct redis_parser *parser);
void redis_parser_free(struct redis_parser *parser);

/* Begins a reply; `drop`: nobody wants it. */
void redis_parser_begin(struct redis_parser *parser, uint64_t size_max, uint64_t elements_max,
                        bool drop);

/* Takes bytes up to the reply's end (*ret_used of them). Needs redis_parser_begin before each
 * reply. An enum redis_parsed, -EPROTO or -ENOMEM: the connection is then of no more use. */
AW_MUST_CHECK int redis_parser_feed(struct redis_parser *parser, const char *data, size_t size,
                                    size_t *ret_used, struct aw_redis_reply **ret_reply);

#endif
