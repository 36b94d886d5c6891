/* server.h - the sockets clients connect to, and everybody who is connected.
 *
 * Life: server_open listens and accepts; server_close stops accepting, ends what waits, lets
 * replies out until a deadline and closes all. The broker must be open from before the one until
 * after the other. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/config.h"
#include "queue/broker.h"
#include "queue/spares.h"
#include "server/subscriptions.h"

#include <await.h>

struct connection;
struct control;
struct reply;
struct listener;

#define COMMANDS_MAX 64u
#define COMMAND_UNKNOWN (COMMANDS_MAX - 1)

struct command_statistics {
    uint64_t calls;
    uint64_t errors; /* of these: answered with an error */
};

struct server_statistics {
    uint64_t connections_received;
    uint64_t connections_rejected;
    uint64_t commands_processed;
    uint64_t input_bytes;
    uint64_t output_bytes;
};

struct server {
    const struct config *configuration;
    struct broker *broker;
    struct control *control;
    struct aw_group accepting; /* a task a listener */
    struct aw_group tasks;     /* readers and writers */

    struct listener *listeners;
    uint32_t listener_count;

    struct connection *connections;
    uint32_t connection_count;
    uint64_t next_connection_id;
    struct aw_event changed; /* a connection has ended */
    bool stopping;

    struct buffer scratch;   /* one reader's received bytes, while it executes them */
    struct buffer answer;    /* the reply of a command that does not wait, while it is made */
    struct buffer event_text; /* of the event that is being told */
    struct buffer message;    /* to one subscriber, likewise */
    struct subscriptions subscriptions;
    struct spares replies; /* struct reply */

    uint64_t refused_ns; /* when the log last told of a client that may not use a target */
    uint64_t refused_silently; /* refusals since */

    uint64_t started_ns;
    struct server_statistics statistics;
    /* In the order of command_table; the last one is for names that are not in it. */
    struct command_statistics commands[COMMANDS_MAX];
};

/* Listens on every [socket] of the configuration, or on the descriptors systemd has handed over for
 * it, and starts to accept. Negative errno with one line in *reterr, nothing left open. */
AW_MUST_CHECK AW_SUSPENDS int server_open(const struct config *configuration, struct broker *broker,
                                          struct control *control, struct server **ret_server,
                                          struct aw_error *reterr);

/* Stops accepting and reading, ends waiting commands with -UNAVAILABLE, gives RUN and the replies
 * of what was submitted until the deadline, closes all connections, removes the socket files (not
 * systemd's) and frees the server. */
AW_SUSPENDS void server_close(struct server *server, uint64_t deadline_ns);

#endif
