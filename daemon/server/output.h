/* output.h - a connection's replies, in the order of its requests.
 *
 * `out` holds the replies that may leave; behind it stands a queue of slots for replies that come
 * later (SUBMIT's, which waits for the disk) and for finished ones behind those. A slot is filled
 * once; when the first one is ready it moves to `out`, and so on. A writer task exists only while
 * `out` holds something; it takes the whole buffer and sends it, so that all replies of a turn of
 * the loop, or of a group commit, leave in one send. */
#ifndef SERVER_OUTPUT_H
#define SERVER_OUTPUT_H

#include "protocol/buffer.h"

struct connection;
struct server;

#define OUTPUT_HIGH_BYTES (1u << 20)  /* above it no more requests are executed */
#define OUTPUT_MAX_BYTES (256u << 20) /* above it the connection is closed */
#define REPLIES_MAX 16384u            /* slots of one connection before it stops reading */
#define SPARE_REPLIES_MAX 65536u      /* empty slots the server keeps */

struct reply {
    struct reply *next;
    struct connection *connection; /* NULL: it has ended, nobody wants the reply */
    bool ready;
    uint64_t id;          /* the reply when `value` is empty */
    struct buffer value;  /* in the client's RESP version */
};

/* Adds a finished reply: a RESP3 value, sent in the connection's version. */
void output_reply(struct connection *connection, const struct buffer *value);

/* A reply that comes later: taken (NULL: out of memory), then either put at its place, behind the
 * replies before it, or given back. */
struct reply *output_take(struct connection *connection);
void output_put(struct connection *connection, struct reply *reply);
void output_give_back(struct connection *connection, struct reply *reply);
/* Fills a reply that was put, once: with an id, or with "-code message". Works also when the
 * connection has ended meanwhile. The reply is not the caller's any more. */
void output_fill_id(struct reply *reply, uint64_t id);
/* With finished values in the connection's RESP version; takes the buffer's memory. */
void output_fill_value(struct reply *reply, struct buffer *value);
void output_fill_error(struct reply *reply, const char *code, const char *message);

/* Whether another request may be executed, as far as replies are concerned. */
bool output_has_room(const struct connection *connection);
/* Whether nothing is owed and nothing is being sent. */
bool output_is_idle(const struct connection *connection);

/* The connection ends: slots that are not filled yet are orphaned. Not while a writer runs. */
void output_abandon(struct connection *connection);

#endif
