/* redis_cluster_node.c - the nodes of a cluster: found, told apart, closed; and whether all that
 * matter are up. */
#include "clients/redis_pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void redis_cluster_doubt(struct redis_cluster *cluster)
{
    cluster->is_stale = true;
    aw_event_set(&cluster->front->wanted);
}

void redis_cluster_review(struct redis_cluster *cluster)
{
    if (!cluster->is_mapped || cluster->front->closing)
        return;
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        const struct redis_node *node = cluster->nodes[i];
        if (node && node->is_master && !node->pool->up) {
            redis_pool_set_down(cluster->front, node->pool->down_reason);
            return;
        }
    }
    for (uint32_t slot = 0; slot < AW_REDIS_SLOTS; slot++)
        if (cluster->slots[slot] == REDIS_NO_NODE) {
            char reason[AW_ERROR_MESSAGE_SIZE];
            snprintf(reason, sizeof reason, "%.200s has no node for slot %u and perhaps others",
                     cluster->front->endpoint.label, slot);
            redis_pool_set_down(cluster->front, reason);
            return;
        }
    redis_pool_set_up(cluster->front);
}

static void node_changed(void *context, bool up, const char *reason)
{
    struct redis_node *node = context;
    (void)reason; /* it is in the node's pool */
    if (!up)
        redis_cluster_doubt(node->cluster); /* its replica may take over */
    redis_cluster_review(node->cluster);
}

static int open_node(struct redis_cluster *cluster, const struct redis_endpoint *endpoint,
                     struct redis_node **ret_node)
{
    struct redis_node *node = calloc(1, sizeof *node);
    if (!node)
        return -ENOMEM;
    node->cluster = cluster;
    int result = redis_pool_create_node(cluster->front, endpoint, node_changed, node, &node->pool);
    if (result < 0) {
        free(node);
        return result;
    }
    *ret_node = node;
    return 0;
}

int redis_cluster_find(struct redis_cluster *cluster, const char *host, size_t host_size,
                       uint16_t port, uint16_t *ret_index)
{
    uint32_t gap = REDIS_NODES_MAX;
    for (uint32_t i = REDIS_NODES_MAX; i-- > 0;) {
        const struct redis_node *node = cluster->nodes[i];
        if (!node) {
            gap = i;
            continue;
        }
        const struct redis_endpoint *at = &node->pool->endpoint;
        if (at->port == port && strlen(at->host) == host_size &&
            memcmp(at->host, host, host_size) == 0) {
            *ret_index = (uint16_t)i;
            return 0;
        }
    }
    if (gap == REDIS_NODES_MAX)
        return -ENOSPC;
    struct redis_endpoint endpoint = cluster->front->endpoint;
    int result = redis_endpoint_place(&endpoint, host, host_size, port)
                     ? open_node(cluster, &endpoint, &cluster->nodes[gap])
                     : -EPROTO;
    explicit_bzero(&endpoint, sizeof endpoint); /* the password */
    *ret_index = (uint16_t)gap;
    return result;
}

static void close_node(struct redis_cluster *cluster, uint32_t index)
{
    struct redis_node *node = cluster->nodes[index];
    cluster->nodes[index] = NULL;
    aw_redis_pool_close(node->pool);
    free(node);
}

void redis_cluster_tidy(struct redis_cluster *cluster)
{
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++)
        if (cluster->nodes[i] && !cluster->nodes[i]->is_master && cluster->nodes[i]->users == 0)
            close_node(cluster, i);
}

uint16_t redis_cluster_next(struct redis_cluster *cluster)
{
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++) {
        uint32_t at = cluster->turn++ % REDIS_NODES_MAX;
        const struct redis_node *node = cluster->nodes[at];
        if (node && node->is_master && node->pool->up)
            return (uint16_t)at;
    }
    return REDIS_NO_NODE;
}

const struct redis_endpoint *redis_cluster_any(struct redis_cluster *cluster)
{
    uint16_t index = redis_cluster_next(cluster);
    return index == REDIS_NO_NODE ? NULL : &cluster->nodes[index]->pool->endpoint;
}

/* --- life ------------------------------------------------------------------------------- */

int redis_cluster_make(struct redis_cluster **ret_cluster, struct aw_redis_pool *front,
                       const struct redis_site *site)
{
    struct redis_cluster *cluster = calloc(1, sizeof *cluster);
    struct redis_endpoint *seeds = calloc(site->address_count, sizeof *seeds);
    if (!cluster || !seeds) {
        free(cluster);
        free(seeds);
        return -ENOMEM;
    }
    memcpy(seeds, site->addresses, site->address_count * sizeof *seeds);
    cluster->front = front;
    cluster->seeds = seeds;
    cluster->seed_count = site->address_count;
    cluster->is_stale = true;
    memset(cluster->slots, 0xff, sizeof cluster->slots);
    aw_event_init(&cluster->news);
    aw_event_init(&cluster->idle);
    *ret_cluster = cluster;
    return 0;
}

void redis_cluster_close(struct redis_cluster *cluster)
{
    aw_event_set(&cluster->news);
    while (cluster->users > 0) {
        aw_event_clear(&cluster->idle);
        if (aw_event_wait(&cluster->idle) < 0)
            break;
    }
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++)
        if (cluster->nodes[i])
            close_node(cluster, i);
}

void redis_cluster_free(struct redis_cluster *cluster)
{
    if (!cluster)
        return;
    explicit_bzero(cluster->seeds, cluster->seed_count * sizeof *cluster->seeds);
    free(cluster->seeds);
    free(cluster);
}
