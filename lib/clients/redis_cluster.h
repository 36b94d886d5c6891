/* redis_cluster.h - the nodes of a Redis cluster behind one pool.
 *
 * Each node has an ordinary pool of its own (connections, pipelines, backoff, health); the cluster
 * decides which node a command goes to, by the slot of its first key and a map of all slots. The
 * map comes from CLUSTER SLOTS, at the start and whenever it proves wrong: a MOVED, or a node that
 * is gone. MOVED is followed at once, ASK for the one command, TRYAGAIN after a pause; each command
 * is redirected a bounded number of times.
 *
 *   node: found (MOVED, ASK, the map, the URI) -> master (has slots) -> left over -> closed
 *
 * The cluster is up while the map is known and covers all slots, and all masters in it are up: when
 * one node fails, commands wait for its replica to be promoted, also those to other nodes. */
#ifndef CLIENTS_REDIS_CLUSTER_H
#define CLIENTS_REDIS_CLUSTER_H

#include "clients/redis_site.h"

#include <await/redis.h>
#include <await/redis_key.h>
#include <await/sync.h>

#define REDIS_NODES_MAX 1024
#define REDIS_NO_NODE UINT16_MAX

struct aw_redis_pool;
struct redis_cluster;
struct redis_request;

struct redis_node {
    struct redis_cluster *cluster;
    struct aw_redis_pool *pool;
    bool is_master;
    uint32_t users; /* commands on their way; it is not closed before they are back */
};

struct redis_cluster {
    struct aw_redis_pool *front; /* what its users have; owns the cluster and has no connections */
    struct redis_endpoint *seeds;
    uint32_t seed_count;
    struct redis_node *nodes[REDIS_NODES_MAX]; /* with gaps */
    uint16_t slots[AW_REDIS_SLOTS];            /* index of the node, or REDIS_NO_NODE */
    uint32_t turn;          /* which node is asked next, for the map and for what has no key */
    bool is_mapped;         /* a map has come */
    bool is_stale;          /* the map has proved wrong, or a node is down */
    uint32_t failures;      /* refreshes in a row that did not help */
    uint64_t refresh_at_ns; /* not before */
    struct aw_event news;   /* a map has come, or will not come for now */
    uint32_t users;         /* commands inside redis_cluster_run */
    struct aw_event idle;
};

/* -ENOMEM. */
AW_MUST_CHECK int redis_cluster_make(struct redis_cluster **ret_cluster,
                                     struct aw_redis_pool *front, const struct redis_site *site);
/* Once the front's task has ended: waits for those who are still inside, and frees the nodes. */
AW_SUSPENDS void redis_cluster_close(struct redis_cluster *cluster);
void redis_cluster_free(struct redis_cluster *cluster);

/* As redis_pool_run, on the node that has the key. */
AW_MUST_CHECK AW_SUSPENDS int redis_cluster_run(struct redis_cluster *cluster,
                                                const struct redis_request *request,
                                                struct aw_redis_reply **ret_reply,
                                                struct aw_error *reterr);

/* Where any master is; NULL: the cluster is down, and the front's down_reason says why. */
const struct redis_endpoint *redis_cluster_any(struct redis_cluster *cluster);

/* The front's task: keeps the map right and closes nodes that are left over. `argument` is the
 * front. */
AW_SUSPENDS int redis_cluster_supervise(void *argument);

/* --- between its files ----------------------------------------------------------------- */

/* redis_cluster_node.c */
/* The index of the node at an address, made if it is new (ret_index). -ENOSPC: too many nodes;
 * -ENOMEM, what aw_group_spawn gives. */
AW_MUST_CHECK int redis_cluster_find(struct redis_cluster *cluster, const char *host,
                                     size_t host_size, uint16_t port, uint16_t *ret_index);
/* Closes nodes that have no slots and no users. */
AW_SUSPENDS void redis_cluster_tidy(struct redis_cluster *cluster);
/* The next master in turn, REDIS_NO_NODE if there is none that is up. */
uint16_t redis_cluster_next(struct redis_cluster *cluster);
/* Up or down? Tells the front. */
void redis_cluster_review(struct redis_cluster *cluster);
/* The map is to be asked for again. */
void redis_cluster_doubt(struct redis_cluster *cluster);

/* redis_cluster_map.c */
/* Asks nodes in turn for the slots until one answers. 0, or why the last one did not. */
AW_MUST_CHECK AW_SUSPENDS int redis_cluster_refresh(struct redis_cluster *cluster,
                                                    struct aw_error *reterr);

#endif
