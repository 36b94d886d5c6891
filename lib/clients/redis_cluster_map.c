/* redis_cluster_map.c - the map of slots: asked for, read, kept right. */
#include "clients/redis_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_MIN_MS UINT64_C(50) /* between two refreshes, doubling while they do not help */
#define PAUSE_MAX_MS UINT64_C(1000)

struct map {
    uint16_t slots[AW_REDIS_SLOTS];
    bool is_master[REDIS_NODES_MAX];
};

/* One range: [first, last, [host, port, ...], replica ...]. */
static int read_range(struct redis_cluster *cluster, const struct redis_endpoint *asked,
                      const struct aw_redis_reply *range, struct map *map)
{
    if (range->type != AW_REDIS_ARRAY || range->count < 3 ||
        range->elements[0]->type != AW_REDIS_INTEGER ||
        range->elements[1]->type != AW_REDIS_INTEGER)
        return -EPROTO;
    int64_t first = range->elements[0]->integer;
    int64_t last = range->elements[1]->integer;
    const struct aw_redis_reply *master = range->elements[2];
    if (first < 0 || last < first || last >= AW_REDIS_SLOTS || master->type != AW_REDIS_ARRAY ||
        master->count < 2 || master->elements[1]->type != AW_REDIS_INTEGER ||
        master->elements[1]->integer < 1 || master->elements[1]->integer > UINT16_MAX)
        return -EPROTO;
    const struct aw_redis_reply *host = master->elements[0];
    /* A node that does not know its own name is where it was asked. */
    bool named = host->type == AW_REDIS_STRING && host->size > 0;
    uint16_t index = 0;
    int result = redis_cluster_find(cluster, named ? host->text : asked->host,
                                    named ? host->size : strlen(asked->host),
                                    (uint16_t)master->elements[1]->integer, &index);
    if (result < 0)
        return result;
    map->is_master[index] = true;
    for (int64_t slot = first; slot <= last; slot++)
        map->slots[slot] = index;
    return 0;
}

static void use_map(struct redis_cluster *cluster, const struct map *map)
{
    memcpy(cluster->slots, map->slots, sizeof cluster->slots);
    for (uint32_t i = 0; i < REDIS_NODES_MAX; i++)
        if (cluster->nodes[i])
            cluster->nodes[i]->is_master = map->is_master[i];
    cluster->is_mapped = true;
}

static int read_map(struct redis_cluster *cluster, const struct redis_endpoint *asked,
                    const struct aw_redis_reply *reply)
{
    if (reply->type != AW_REDIS_ARRAY)
        return -EPROTO;
    struct map *map = calloc(1, sizeof *map);
    if (!map)
        return -ENOMEM;
    memset(map->slots, 0xff, sizeof map->slots);
    int result = 0;
    for (size_t i = 0; i < reply->count && result == 0; i++)
        result = read_range(cluster, asked, reply->elements[i], map);
    if (result == 0)
        use_map(cluster, map);
    free(map);
    return result;
}

static int ask(struct redis_cluster *cluster, struct redis_node *node, struct aw_error *reterr)
{
    static const char *const words[] = {"CLUSTER", "SLOTS"};
    static const size_t sizes[] = {7, 5};
    const struct redis_request request = {REDIS_LANE_SHARED, 2, words, sizes, 0, false};
    struct aw_redis_reply *reply = NULL;
    const struct redis_endpoint *endpoint = &node->pool->endpoint;
    struct aw_scope timeout;
    aw_scope_enter(&timeout, aw_after_ms(cluster->front->options.connect_timeout_ms));
    node->users++;
    int result = redis_pool_run(node->pool, &request, &reply, reterr);
    node->users--;
    aw_scope_leave(&timeout);
    if (result < 0)
        return result;
    result = read_map(cluster, endpoint, reply);
    aw_redis_reply_free(reply);
    return result < 0 ? aw_error_set(reterr, result, "the map of slots of %s cannot be used: %s",
                                     endpoint->label, aw_error_text(result))
                      : 0;
}

static int ask_seeds(struct redis_cluster *cluster, struct aw_error *reterr)
{
    int result = -ENOTCONN;
    for (uint32_t i = 0; i < cluster->seed_count && aw_interrupted() == 0; i++) {
        const struct redis_endpoint *seed = &cluster->seeds[i];
        uint16_t index = 0;
        result = redis_cluster_find(cluster, seed->host, strlen(seed->host), seed->port, &index);
        if (result < 0)
            aw_error_set(reterr, result, "no connection to %s: %s", seed->label,
                         aw_error_text(result));
        else
            result = ask(cluster, cluster->nodes[index], reterr);
        if (result == 0)
            return 0;
    }
    return result;
}

int redis_cluster_refresh(struct redis_cluster *cluster, struct aw_error *reterr)
{
    for (uint32_t i = 0; i < REDIS_NODES_MAX && aw_interrupted() == 0; i++) {
        uint16_t index = redis_cluster_next(cluster);
        if (index == REDIS_NO_NODE)
            break;
        if (ask(cluster, cluster->nodes[index], reterr) == 0)
            return 0;
    }
    return ask_seeds(cluster, reterr);
}

/* --- the front's task ------------------------------------------------------------------- */

static void refresh(struct redis_cluster *cluster)
{
    struct aw_redis_pool *front = cluster->front;
    struct aw_error error = {0};
    cluster->is_stale = false;
    int result = redis_cluster_refresh(cluster, &error);
    if (front->closing)
        return;
    if (result < 0) {
        redis_pool_set_down(front, error.message);
    } else {
        redis_cluster_tidy(cluster);
        redis_cluster_review(cluster);
    }
    /* A node is still away: who takes over is not decided yet. */
    if (!front->up)
        cluster->is_stale = true;
    cluster->failures = front->up ? 0 : cluster->failures + 1;
    uint64_t pause_ms = cluster->failures < 5 ? PAUSE_MIN_MS << cluster->failures : PAUSE_MAX_MS;
    pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
    cluster->refresh_at_ns = aw_after_ms(pause_ms / 2 + aw_random_below(pause_ms / 2 + 1));
    aw_event_set(&cluster->news);
}

int redis_cluster_supervise(void *argument)
{
    struct aw_redis_pool *front = argument;
    struct redis_cluster *cluster = front->cluster;
    while (!front->closing) {
        aw_event_clear(&front->wanted);
        if (cluster->is_stale && aw_now_ns() >= cluster->refresh_at_ns)
            refresh(cluster);
        struct aw_scope pause;
        aw_scope_enter(&pause, cluster->is_stale ? cluster->refresh_at_ns : AW_NEVER);
        int result = aw_event_wait(&front->wanted);
        aw_scope_leave(&pause);
        if (result < 0 && aw_interrupted() != 0)
            break;
    }
    front->closing = true;
    aw_group_cancel(&front->group);
    int result = aw_group_wait(&front->group);
    aw_event_set(&cluster->news);
    aw_event_set(&front->stopped);
    return result == -ECANCELED ? 0 : result;
}
