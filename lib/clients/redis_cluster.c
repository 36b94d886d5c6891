/* redis_cluster.c - a command's way through a cluster; see redis_cluster.h. */
#include "clients/redis_pool.h"

#include <errno.h>
#include <string.h>

#define REDIRECTS_MAX 16
#define REDIRECTS_AT_ONCE 4 /* then with a pause: the nodes do not agree yet */
#define PAUSE_MIN_MS UINT64_C(10)
#define PAUSE_MAX_MS UINT64_C(500)
#define WAITS_MAX 40 /* for TRYAGAIN: about 18 s */

struct way {
    struct redis_cluster *cluster;
    uint32_t slot; /* AW_REDIS_SLOTS: no key, any node */
    uint16_t node; /* where an ASK points, else REDIS_NO_NODE */
    uint32_t redirects;
    uint32_t waits;
};

/* Nothing is sent before the first map is there. */
static int wait_for_map(struct redis_cluster *cluster, struct aw_error *reterr)
{
    const struct aw_redis_pool *front = cluster->front;
    while (!cluster->is_mapped && front->up && !front->closing) {
        aw_event_clear(&cluster->news);
        int result = aw_event_wait(&cluster->news);
        if (result < 0)
            return aw_error_set_code(reterr, result, "WITHDRAWN",
                                     "interrupted before the command was sent: it did not run");
    }
    if (front->closing)
        return aw_error_set(reterr, -ESHUTDOWN, "the Redis pool is being closed");
    return front->up ? 0 : aw_error_set(reterr, -ENOTCONN, "%s", front->down_reason);
}

static int choose(struct way *way, struct redis_node **ret_node, struct aw_error *reterr)
{
    struct redis_cluster *cluster = way->cluster;
    int result = wait_for_map(cluster, reterr);
    if (result < 0)
        return result;
    uint16_t index = way->node;
    if (index == REDIS_NO_NODE || !cluster->nodes[index]) /* closed during a pause */
        index =
            way->slot < AW_REDIS_SLOTS ? cluster->slots[way->slot] : redis_cluster_next(cluster);
    if (index == REDIS_NO_NODE) {
        redis_cluster_doubt(cluster);
        return aw_error_set(reterr, -ENOTCONN, "%.200s has no node for slot %u",
                            cluster->front->endpoint.label, way->slot);
    }
    *ret_node = cluster->nodes[index];
    return 0;
}

/* Reads "MOVED 3999 host:port" or "ASK ..."; an empty host is that of who says so. */
static int read_redirect(struct redis_cluster *cluster, const struct redis_endpoint *said,
                         const char *text, uint32_t *ret_slot, uint16_t *ret_node)
{
    const char *number = strchr(text, ' ');
    const char *address = number ? strchr(number + 1, ' ') : NULL;
    const char *colon = address ? strrchr(address, ':') : NULL;
    uint32_t port = 0;
    if (!colon ||
        !redis_uri_number(number + 1, (size_t)(address - number - 1), AW_REDIS_SLOTS - 1,
                          ret_slot) ||
        !redis_uri_number(colon + 1, strcspn(colon + 1, " "), UINT16_MAX, &port))
        return -EPROTO;
    size_t size = (size_t)(colon - address - 1);
    return redis_cluster_find(cluster, size > 0 ? address + 1 : said->host,
                              size > 0 ? size : strlen(said->host), (uint16_t)port, ret_node);
}

static int pause_for(uint32_t turn)
{
    uint64_t pause_ms = turn < 6 ? PAUSE_MIN_MS << turn : PAUSE_MAX_MS;
    return aw_sleep(pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
}

/* What a node said: 0, the command goes on its way again; or the result is its caller's. */
static int follow(struct way *way, const struct redis_node *node, const struct aw_error *error)
{
    struct redis_cluster *cluster = way->cluster;
    bool moved = strcmp(error->code, "MOVED") == 0;
    way->node = REDIS_NO_NODE;
    if (strcmp(error->code, "TRYAGAIN") == 0)
        return ++way->waits <= WAITS_MAX ? pause_for(way->waits) : -EREMOTEIO;
    if ((!moved && strcmp(error->code, "ASK") != 0) || ++way->redirects > REDIRECTS_MAX)
        return -EREMOTEIO;
    uint32_t slot = 0;
    uint16_t index = 0;
    int result = read_redirect(cluster, &node->pool->endpoint, error->message, &slot, &index);
    if (result < 0)
        return -EREMOTEIO;
    if (moved) {
        way->slot = slot;
        cluster->slots[slot] = index;
        cluster->nodes[index]->is_master = true;
        redis_cluster_doubt(cluster); /* others may have moved with it */
    } else {
        way->node = index;
    }
    return way->redirects > REDIRECTS_AT_ONCE ? pause_for(way->redirects - REDIRECTS_AT_ONCE) : 0;
}

static int go(struct way *way, struct redis_request request, struct aw_redis_reply **ret_reply,
              struct aw_error *error)
{
    for (;;) {
        struct redis_node *node = NULL;
        int result = choose(way, &node, error);
        if (result < 0)
            return result;
        request.is_asking = way->node != REDIS_NO_NODE;
        node->users++;
        result = redis_pool_run(node->pool, &request, ret_reply, error);
        if (result == -ENOTCONN)
            redis_cluster_doubt(way->cluster);
        int followed = result == -EREMOTEIO ? follow(way, node, error) : result;
        node->users--;
        if (followed != 0 && followed != result) /* interrupted; the node had refused it */
            return aw_error_set_code(error, followed, "WITHDRAWN",
                                     "interrupted before a node took the command: it did not run");
        if (followed != 0 || result == 0)
            return result;
    }
}

int redis_cluster_run(struct redis_cluster *cluster, const struct redis_request *request,
                      struct aw_redis_reply **ret_reply, struct aw_error *reterr)
{
    size_t key = aw_redis_first_key(request->count, request->arguments, request->sizes);
    struct way way = {
        .cluster = cluster,
        .slot =
            key > 0 ? aw_redis_slot(request->arguments[key], request->sizes[key]) : AW_REDIS_SLOTS,
        .node = REDIS_NO_NODE,
    };
    struct aw_error error = {0};
    cluster->users++;
    int result = go(&way, *request, ret_reply, &error);
    if (--cluster->users == 0)
        aw_event_set(&cluster->idle);
    if (result < 0 && reterr)
        *reterr = error;
    return result;
}
