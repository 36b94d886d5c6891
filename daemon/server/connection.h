/* connection.h - one client.
 *
 * Its reader task receives, parses and executes. A command that waits (AWAIT, RUN ...) runs in a
 * handler task, and the connection is `blocked`: the reader then only stores what arrives (up to a
 * limit), so that it notices at once when the client hangs up, and the handler goes on with the
 * stored input when its command is done. There is at most one handler.
 *
 * The end: `end_of_input` (the client sends no more: what it sent is executed and answered),
 * `closing` (read no more, send what is owed, close) or `gone` (nobody reads: drop everything). The
 * reader owns the connection; it waits for handler, leases and writer before it frees it. */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "protocol/buffer.h"
#include "protocol/request_parser.h"
#include "server/output.h"

#include <await.h>

#define CLIENT_NAME_SIZE 64
#define LIBRARY_NAME_SIZE 32

struct command;
struct lease;
struct multi;
struct server;
struct waiting_request;

struct connection {
    struct server *server;
    struct connection *next;
    struct connection *previous;

    int fd;
    uint64_t id;
    unsigned allowed; /* enum config_allow bits */
    const char *socket_name;
    struct aw_peer peer;
    uint64_t accepted_ns;
    uint64_t commands;
    const char *last_command;
    char name[CLIENT_NAME_SIZE];
    char library_name[LIBRARY_NAME_SIZE];
    char library_version[LIBRARY_NAME_SIZE];
    int version; /* of RESP: 2 or 3 */

    struct request_parser parser;
    struct buffer input; /* received, not yet executed */
    bool unparsed;       /* `input` may hold a complete request */
    bool end_of_input;
    bool closing;
    bool gone;
    bool blocked;        /* a handler runs */
    bool watching;       /* the reader does not receive, it waits for a hang-up only */
    bool writing;        /* a writer runs */

    struct multi *multi; /* between MULTI and EXEC, or NULL */

    struct aw_group handlers;
    struct waiting_request *waiting; /* what the handler begins with */
    const struct command *running;   /* the waiting command that runs, or NULL */

    struct lease *leases; /* leases.h */
    struct aw_group lease_tasks;
    struct subscription *subscriptions;
    uint32_t channel_count; /* of them */
    uint32_t pattern_count;

    struct buffer out;
    size_t sending; /* bytes that left `out` and are on their way */
    struct reply *first_reply;
    struct reply *last_reply;
    uint32_t reply_count;

    struct aw_event changed;    /* output has left, or one of the flags above was set */
    struct aw_scope *attention; /* of the reader while it waits for the client; NULL otherwise */
};

/* Whether it is in RESP2's mode for messages only, as in Redis: replies could not be told from
 * messages. */
static inline bool connection_only_listens(const struct connection *connection)
{
    return connection->version == 2 && connection->channel_count + connection->pattern_count > 0;
}

/* Starts to serve the descriptor, which it owns from then on. Negative errno: closing it is still
 * the caller's. */
AW_MUST_CHECK int connection_start(struct server *server, int fd, const char *socket_name,
                                   unsigned allowed);

/* Has the reader look at the flags. */
void connection_notify(struct connection *connection);
/* Read no more, answer, close. */
void connection_close_soon(struct connection *connection);
/* Drop everything, close. */
void connection_drop(struct connection *connection);
/* The daemon stops: as connection_close_soon, and what waits is ended unless it may go on. */
void connection_stop(struct connection *connection);

#endif
