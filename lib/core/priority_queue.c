/* priority_queue.c - see await/priority_queue.h. A binary heap; equal priorities are told apart
 * by a number that counts up. */
#include "core/park.h"

#include <await/priority_queue.h>

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MAX (1u << 24)

struct aw_priority_item {
    int64_t priority;
    uint64_t sequence;
    void *item;
};

/* A getter that waits for an item, or a putter with one in its hand. */
struct hand {
    struct aw_waiter waiter; /* first: the list leads from one to the other */
    int64_t priority;
    void *item;
    int result;
};

int aw_priority_queue_init(struct aw_priority_queue *queue, uint32_t capacity)
{
    if (capacity == 0 || capacity > CAPACITY_MAX)
        return -EINVAL;
    struct aw_priority_item *items = malloc(capacity * sizeof *items);
    if (!items)
        return -ENOMEM;
    *queue = (struct aw_priority_queue){.items = items, .capacity = capacity};
    return 0;
}

void aw_priority_queue_free(struct aw_priority_queue *queue)
{
    free(queue->items);
    *queue = (struct aw_priority_queue){0};
}

static bool sooner(const struct aw_priority_item *left, const struct aw_priority_item *right)
{
    if (left->priority != right->priority)
        return left->priority < right->priority;
    return left->sequence < right->sequence;
}

static void heap_add(struct aw_priority_queue *queue, int64_t priority, void *item)
{
    struct aw_priority_item added = {priority, queue->sequence++, item};
    uint32_t index = queue->count++;
    while (index > 0 && sooner(&added, &queue->items[(index - 1) / 2])) {
        queue->items[index] = queue->items[(index - 1) / 2];
        index = (index - 1) / 2;
    }
    queue->items[index] = added;
}

static void *heap_take(struct aw_priority_queue *queue)
{
    void *item = queue->items[0].item;
    struct aw_priority_item last = queue->items[--queue->count];
    uint32_t index = 0;
    for (uint32_t child = 1; child < queue->count; child = index * 2 + 1) {
        if (child + 1 < queue->count && sooner(&queue->items[child + 1], &queue->items[child]))
            child++;
        if (!sooner(&queue->items[child], &last))
            break;
        queue->items[index] = queue->items[child];
        index = child;
    }
    if (queue->count > 0)
        queue->items[index] = last;
    return item;
}

static struct hand *first_hand(struct aw_wait_list *list)
{
    return (struct hand *)list->first;
}

int aw_priority_queue_try_put(struct aw_priority_queue *queue, int64_t priority, void *item)
{
    if (queue->closed)
        return -EPIPE;
    struct hand *getter = first_hand(&queue->getters);
    if (getter) {
        getter->item = item;
        getter->result = 0;
        (void)wait_list_grant_one(&queue->getters);
        return 0;
    }
    if (queue->count == queue->capacity)
        return -EAGAIN;
    heap_add(queue, priority, item);
    return 0;
}

static int wait_as(struct aw_wait_list *list, struct hand *hand, const char *where)
{
    int result = wait_list_park_as(list, &hand->waiter, where, AW_NEVER);
    return result < 0 ? result : hand->result;
}

int aw_priority_queue_put(struct aw_priority_queue *queue, int64_t priority, void *item)
{
    int result = aw_priority_queue_try_put(queue, priority, item);
    if (result != -EAGAIN)
        return result;
    struct hand hand = {.priority = priority, .item = item};
    return wait_as(&queue->putters, &hand, "priority queue put");
}

int aw_priority_queue_try_get(struct aw_priority_queue *queue, void **ret_item)
{
    if (queue->count == 0)
        return queue->closed ? -EPIPE : -EAGAIN;
    *ret_item = heap_take(queue);
    struct hand *putter = first_hand(&queue->putters);
    if (putter) {
        heap_add(queue, putter->priority, putter->item);
        putter->result = 0;
        (void)wait_list_grant_one(&queue->putters);
    }
    return 0;
}

int aw_priority_queue_get(struct aw_priority_queue *queue, void **ret_item)
{
    int result = aw_priority_queue_try_get(queue, ret_item);
    if (result != -EAGAIN)
        return result;
    struct hand hand = {0};
    result = wait_as(&queue->getters, &hand, "priority queue get");
    if (result == 0)
        *ret_item = hand.item;
    return result;
}

static void refuse_all(struct aw_wait_list *list)
{
    while (list->first) {
        first_hand(list)->result = -EPIPE;
        (void)wait_list_grant_one(list);
    }
}

void aw_priority_queue_close(struct aw_priority_queue *queue)
{
    queue->closed = true;
    refuse_all(&queue->getters);
    refuse_all(&queue->putters);
}

uint32_t aw_priority_queue_count(const struct aw_priority_queue *queue)
{
    return queue->count;
}
