/* registry.c - the queues, targets and lanes by name; see broker_state.h. */
#include "queue/broker_state.h"

#include <stdlib.h>
#include <string.h>

uint64_t lane_keep_dead_ms(const struct lane *lane)
{
    return lane->queue->settings ? lane->queue->settings->keep_dead_ms : 0;
}

bool lane_is_sql(const struct lane *lane)
{
    return lane->target && (lane->target->target.type == &target_type_postgres ||
                            lane->target->target.type == &target_type_sqlite);
}

struct lane_slot *lane_slot_of(struct lane *lane)
{
    return (struct lane_slot *)((char *)lane - offsetof(struct lane_slot, lane));
}

const char *lane_queue_name(const struct lane *lane)
{
    return lane->queue->name;
}

static bool same(const char *name, const char *other, size_t other_size)
{
    return strlen(name) == other_size && memcmp(name, other, other_size) == 0;
}

struct target_lanes *registry_target(struct broker *broker, const char *name, size_t name_size)
{
    for (uint32_t i = 0; i < broker->target_count; i++)
        if (same(broker->targets[i].target.settings.name, name, name_size))
            return &broker->targets[i];
    return NULL;
}

static uint32_t hash_of(const char *queue, size_t queue_size, const char *target,
                        size_t target_size)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < queue_size; i++)
        hash = (hash ^ (unsigned char)queue[i]) * 16777619u;
    hash = (hash ^ 0xffu) * 16777619u;
    for (size_t i = 0; i < target_size; i++)
        hash = (hash ^ (unsigned char)target[i]) * 16777619u;
    return hash % LANE_BUCKETS;
}

/* Names are views into a client's request: not strndup, which wants a string's end somewhere. */
static char *copy_name(const char *name, size_t size)
{
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, name, size);
    copy[size] = '\0';
    return copy;
}

struct job_queue *registry_queue(struct broker *broker, const char *name, size_t name_size,
                                 bool make)
{
    struct job_queue *queue = broker->queues;
    while (queue && !same(queue->name, name, name_size))
        queue = queue->next;
    if (queue || !make || broker->queue_count >= LANES_MAX)
        return queue;
    queue = calloc(1, sizeof *queue);
    char *copy = copy_name(name, name_size);
    if (!queue || !copy) {
        free(queue);
        free(copy);
        return NULL;
    }
    queue->name = copy;
    queue->settings = config_find_queue(broker->configuration, name, name_size);
    token_bucket_init(&queue->bucket, queue->settings->rate_interval_ns,
                      queue->settings->rate_burst);
    traffic_init(&queue->traffic, aw_now_ns());
    queue->next = broker->queues;
    broker->queues = queue;
    broker->queue_count++;
    return queue;
}

/* Puts the slot at its id; NULL: no memory. */
static struct lane *add_lane(struct broker *broker, struct lane_slot *slot, uint32_t bucket)
{
    uint32_t id = slot->lane.id;
    if (id > broker->lane_count) {
        struct lane **lanes = realloc(broker->lanes, id * sizeof *lanes);
        if (!lanes)
            return NULL;
        memset(lanes + broker->lane_count, 0, (id - broker->lane_count) * sizeof *lanes);
        broker->lanes = lanes;
        broker->lane_count = id;
    }
    broker->lanes[id - 1] = &slot->lane;
    slot->next = broker->lane_buckets[bucket];
    broker->lane_buckets[bucket] = slot;
    return &slot->lane;
}

static struct lane *make_lane(struct broker *broker, uint32_t id, const char *queue,
                              size_t queue_size, const char *target, size_t target_size)
{
    /* before anything is made: refused submissions must not leave queues behind */
    if (id == 0 || id > LANES_MAX)
        return NULL;
    struct lane_slot *slot = calloc(1, sizeof *slot);
    if (!slot)
        return NULL;
    struct lane *lane = &slot->lane;
    lane->id = id;
    lane->queue = registry_queue(broker, queue, queue_size, true);
    lane->target_name = copy_name(target, target_size);
    lane->target = registry_target(broker, target, target_size);
    lane->complete = true;
    if (lane->queue && lane->target_name &&
        add_lane(broker, slot, hash_of(queue, queue_size, target, target_size))) {
        lane->queue_next = lane->queue->lanes;
        lane->queue->lanes = lane;
        return lane;
    }
    free(lane->target_name);
    free(slot);
    return NULL;
}

struct lane *registry_lane(struct broker *broker, const char *queue, size_t queue_size,
                           const char *target, size_t target_size)
{
    struct lane_slot *slot =
        broker->lane_buckets[hash_of(queue, queue_size, target, target_size)];
    for (; slot; slot = slot->next)
        if (same(slot->lane.queue->name, queue, queue_size) &&
            same(slot->lane.target_name, target, target_size))
            return &slot->lane;
    return make_lane(broker, broker->lane_count + 1, queue, queue_size, target, target_size);
}

struct lane *registry_lane_by_id(void *context, uint32_t id)
{
    struct broker *broker = context;
    return id > 0 && id <= broker->lane_count ? broker->lanes[id - 1] : NULL;
}

struct lane *registry_stored_lane(void *context, const char *queue, const char *target,
                                  uint32_t id)
{
    struct broker *broker = context;
    struct lane *lane =
        make_lane(broker, id, queue, strlen(queue), target, strlen(target));
    /* nothing of it is in memory yet: the cursor stands before everything */
    if (lane)
        lane->complete = false;
    return lane;
}

void registry_look_up_settings(struct broker *broker)
{
    uint64_t now_ns = aw_now_ns();
    for (struct job_queue *queue = broker->queues; queue; queue = queue->next) {
        queue->settings =
            config_find_queue(broker->configuration, queue->name, strlen(queue->name));
        token_bucket_change(&queue->bucket, queue->settings->rate_interval_ns,
                            queue->settings->rate_burst, now_ns);
    }
}

void registry_free(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->lane_count; i++) {
        if (!broker->lanes[i])
            continue;
        free(broker->lanes[i]->window);
        free(broker->lanes[i]->target_name);
        free(lane_slot_of(broker->lanes[i]));
    }
    free(broker->lanes);
    broker->lanes = NULL;
    broker->lane_count = 0;
    while (broker->queues) {
        struct job_queue *queue = broker->queues;
        broker->queues = queue->next;
        traffic_free(&queue->traffic);
        free(queue->name);
        free(queue);
    }
}
