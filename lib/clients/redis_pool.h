/* redis_pool.h - the inside of struct aw_redis_pool, and what connections tell their pool.
 *
 * Lanes of connections: shared ones for ordinary commands, ones that carry one blocking command at
 * a time, and ones that are leased (redis_lease.c). Commands no connection has room for wait in
 * their lane, in order. A supervisor task keeps one shared connection open at all times, so that an
 * outage is known before a command meets it. */
#ifndef CLIENTS_REDIS_POOL_H
#define CLIENTS_REDIS_POOL_H

#include "clients/redis_connection.h"
#include "clients/redis_cluster.h"
#include "clients/redis_sentinel.h"
#include "clients/redis_uri.h"

struct redis_lane_state {
    struct redis_connection *connections; /* `size` slots */
    uint32_t size;
    uint32_t in_flight_max; /* commands on one connection, queued ones included */
    uint32_t spread;        /* load of the least loaded connection that justifies another one */
    struct redis_command_list waiting;
};

struct aw_redis_pool {
    struct aw_redis_options options; /* with the defaults filled in; its strings are not kept */
    struct redis_endpoint endpoint; /* with sentinels: where the master was last */
    bool borrows_tls;               /* endpoint.tls is another pool's */
    struct redis_sentinel *sentinel; /* NULL: it is one server, or a cluster */
    struct redis_cluster *cluster;   /* NULL: it is one server; else the nodes have the lanes */
    uint64_t generation; /* with sentinels: moves of the master, from 1; 0: not found yet */
    char client_name[64];
    struct redis_lane_state lanes[REDIS_LANES];

    bool up;
    char down_reason[AW_ERROR_MESSAGE_SIZE];
    uint32_t failures;    /* in a row: to connect, or to get a command served */
    uint64_t retry_at_ns; /* no shared connection is opened before */

    struct aw_group group; /* the connections' tasks */
    struct aw_event wanted; /* for the supervisor: look again */
    struct aw_event stopped;
    bool closing;
};

/* From connections. */
void redis_pool_connection_ready(struct redis_connection *connection);
void redis_pool_connection_failed(struct redis_connection *connection,
                                  const struct aw_error *error);
void redis_pool_connection_lost(struct redis_connection *connection);
/* Moves waiting commands to a connection with room. */
void redis_pool_feed(struct redis_connection *connection);
/* Commands have been given back: other connections take them, or the supervisor opens one. */
void redis_pool_rebalance(struct aw_redis_pool *pool, enum redis_lane lane);
/* A reply said that the server cannot serve now: the pool goes down, drains its connections, and
 * comes up when a new one is answered. */
void redis_pool_suspect(struct aw_redis_pool *pool, const char *reason);
/* A reply came that shows the server serves. */
void redis_pool_served(struct aw_redis_pool *pool);
/* The master is there: if that is news, connections to the old one end and a new one is opened. */
void redis_pool_moved(struct aw_redis_pool *pool, const struct redis_endpoint *master);
/* Says so to whoever is told of changes; waiting commands are refused when it goes down. */
void redis_pool_set_up(struct aw_redis_pool *pool);
void redis_pool_set_down(struct aw_redis_pool *pool, const char *reason);

/* Opens a link for commands: to the server, the master of now, or any node of the cluster. 0 with
 * *link open, or a negative errno with why in *reterr. Bounded by connect_timeout_ms for each
 * server that it asks. */
AW_MUST_CHECK AW_SUSPENDS int redis_pool_connect(struct aw_redis_pool *pool,
                                                 struct redis_link *link,
                                                 struct redis_parser *parser,
                                                 struct aw_error *reterr);

/* redis_lease.c */
struct aw_redis_lease {
    struct aw_redis_pool *pool;
    struct redis_connection *connection; /* NULL once it has closed */
    bool in_transaction;
    struct aw_error lost;
    struct aw_event *changed; /* the owner's */
};
void redis_lease_ready(struct redis_connection *connection);
void redis_lease_gone(struct redis_connection *connection, const char *reason);

/* redis_client.c */
/* A pool for one node of a cluster, with the cluster's options, account and group. */
AW_MUST_CHECK int redis_pool_create_node(struct aw_redis_pool *cluster,
                                         const struct redis_endpoint *node,
                                         void (*changed)(void *context, bool up,
                                                         const char *reason),
                                         void *context, struct aw_redis_pool **ret_pool);

struct redis_request {
    enum redis_lane lane;
    size_t count;
    const char *const *arguments;
    const size_t *sizes;
    size_t reply_size_max;
    bool is_asking; /* ASKING goes before it */
};
/* Sends a request to the pool's server and waits for the reply, as aw_redis_command. */
AW_MUST_CHECK AW_SUSPENDS int redis_pool_run(struct aw_redis_pool *pool,
                                             const struct redis_request *request,
                                             struct aw_redis_reply **ret_reply,
                                             struct aw_error *reterr);
/* A command to be queued. -E2BIG, -ENOMEM, -ESHUTDOWN, or the caller is interrupted. */
AW_MUST_CHECK int redis_command_make(struct aw_redis_pool *pool, size_t count,
                                     const char *const arguments[], const size_t sizes[],
                                     size_t reply_size_max, struct redis_command **ret_command,
                                     struct aw_error *reterr);
/* The caller was interrupted while it waited: takes the command back, or leaves it behind. */
int redis_command_leave(struct redis_command *command, int number, struct aw_error *reterr);

/* Gives a command to the best connection, or lets it wait. -ENOTCONN: the server is down. */
AW_MUST_CHECK int redis_pool_submit(struct aw_redis_pool *pool, enum redis_lane lane,
                                    struct redis_command *command);

/* The pool's task: keeps a shared connection open, and cleans up at the end. `argument` is the
 * pool. */
AW_SUSPENDS int redis_pool_supervise(void *argument);

#endif
