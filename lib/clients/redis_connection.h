/* redis_connection.h - one connection to Redis: a writer that sends all queued commands in one go,
 * a reader that hands replies out in order.
 *
 *   CLOSED -> OPENING (connect, AUTH, SELECT, PING) -> READY -> CLOSING -> CLOSED
 *
 * A READY connection that is `retiring` takes no more commands and closes when the last reply is
 * there. The slot (its memory) belongs to the pool for the pool's whole life. */
#ifndef CLIENTS_REDIS_CONNECTION_H
#define CLIENTS_REDIS_CONNECTION_H

#include "clients/redis_command.h"
#include "clients/redis_link.h"
#include "clients/redis_parser.h"

#include <await.h>

struct aw_redis_lease;
struct aw_redis_pool;
struct redis_endpoint;

enum redis_lane { REDIS_LANE_SHARED, REDIS_LANE_BLOCKING, REDIS_LANE_LEASED, REDIS_LANES };

enum redis_connection_state {
    REDIS_CONNECTION_CLOSED,
    REDIS_CONNECTION_OPENING,
    REDIS_CONNECTION_READY,
    REDIS_CONNECTION_CLOSING,
};

struct redis_connection {
    struct aw_redis_pool *pool;
    enum redis_lane lane;
    enum redis_connection_state state;
    bool retiring;
    struct aw_redis_lease *lease; /* of the lane of leases: whose it is */
    struct redis_link link;
    uint64_t opened_ns;
    uint64_t heard_ns; /* when bytes came last */

    struct redis_command_list queued;    /* not sent: can be taken back */
    struct redis_command_list in_flight; /* sent, in the order of their replies */
    size_t in_flight_bytes;

    struct aw_event work; /* for the writer: something is queued, or room has come up */
    char *output;         /* what the writer is sending */
    size_t output_size;
    size_t output_capacity;
    uint64_t gathered_position; /* bytes put into `output` since the connection opened */
    uint64_t sent_position;     /* of those, bytes the kernel took */

    struct redis_parser parser;
    struct aw_scope scope; /* the connection's task; cancelled to end it */
    int broken;            /* the negative errno that ended it, 0: none yet */
    char broken_reason[200];
};

/* The connection's task: opens, serves, closes. `argument` is the connection, in OPENING. */
AW_SUSPENDS int redis_connection_run(void *argument);

/* How many more commands it takes. */
uint32_t redis_connection_room(const struct redis_connection *connection);

/* Queues a command on a connection with room. */
void redis_connection_queue(struct redis_connection *connection, struct redis_command *command);

/* Takes no more commands; gives what is queued back to the pool; closes once all is answered. */
void redis_connection_retire(struct redis_connection *connection);

/* Ends the connection; the first reason is kept. */
void redis_connection_break(struct redis_connection *connection, int number, const char *reason);

#endif
