/* sync.c - event, lock, semaphore and queue; see await/sync.h. Lock, semaphore and items pass
 * straight to the first waiter, so that a newcomer cannot overtake it. */
#include "core/park.h"
#include "core/scheduler.h"

#include <errno.h>
#include <stdlib.h>

void aw_event_init(struct aw_event *event)
{
    *event = (struct aw_event){0};
}

void aw_event_set(struct aw_event *event)
{
    event->set = true;
    wait_list_grant_all(&event->waiters);
}

void aw_event_clear(struct aw_event *event)
{
    event->set = false;
}

int aw_event_wait(struct aw_event *event)
{
    return event->set ? 0 : wait_list_park(&event->waiters, "event");
}

void aw_lock_init(struct aw_lock *lock)
{
    *lock = (struct aw_lock){0};
}

int aw_lock_try_acquire(struct aw_lock *lock)
{
    struct aw_task *self = aw_current();
    core_assert(self); /* nobody would own it */
    if (lock->owner)
        return lock->owner == self ? -EDEADLK : -EAGAIN;
    lock->owner = self;
    return 0;
}

int aw_lock_acquire(struct aw_lock *lock)
{
    int result = aw_lock_try_acquire(lock);
    return result == -EAGAIN ? wait_list_park(&lock->waiters, "lock") : result;
}

void aw_lock_release(struct aw_lock *lock)
{
    core_assert(lock->owner && lock->owner == aw_current());
    lock->owner = wait_list_grant_one(&lock->waiters);
}

void aw_semaphore_init(struct aw_semaphore *semaphore, uint32_t value)
{
    *semaphore = (struct aw_semaphore){.value = value};
}

/* A place that is free is nobody's: one that is given back goes to who waits. */
int aw_semaphore_try_acquire(struct aw_semaphore *semaphore)
{
    if (semaphore->value == 0)
        return -EAGAIN;
    semaphore->value--;
    return 0;
}

int aw_semaphore_acquire(struct aw_semaphore *semaphore)
{
    int result = aw_semaphore_try_acquire(semaphore);
    return result == -EAGAIN ? wait_list_park(&semaphore->waiters, "semaphore") : result;
}

void aw_semaphore_release(struct aw_semaphore *semaphore)
{
    if (!wait_list_grant_one(&semaphore->waiters))
        semaphore->value++;
}

#define QUEUE_CAPACITY_MAX (1u << 24)

int aw_queue_init(struct aw_queue *queue, uint32_t capacity)
{
    if (capacity == 0 || capacity > QUEUE_CAPACITY_MAX)
        return -EINVAL;
    void **items = malloc(capacity * sizeof *items);
    if (!items)
        return -ENOMEM;
    *queue = (struct aw_queue){.items = items, .capacity = capacity};
    return 0;
}

void aw_queue_free(struct aw_queue *queue)
{
    free(queue->items);
    *queue = (struct aw_queue){0};
}

/* One task at a queue: the item it brings, or the place for the one it gets. Items go straight from
 * hand to hand, so that no newcomer can take what a waiting task was woken for. */
struct queue_waiter {
    struct aw_waiter waiter; /* first: the lists hold pointers to it */
    void *item;
    bool moved; /* the item has changed hands; else the queue was closed */
};

static struct queue_waiter *grant_queue_waiter(struct aw_wait_list *list)
{
    struct queue_waiter *first = (struct queue_waiter *)list->first;
    if (first) {
        first->moved = true;
        (void)wait_list_grant_one(list);
    }
    return first;
}

static void append_item(struct aw_queue *queue, void *item)
{
    queue->items[((uint64_t)queue->head + queue->count) % queue->capacity] = item;
    queue->count++;
}

int aw_queue_try_put(struct aw_queue *queue, void *item)
{
    if (queue->closed)
        return -EPIPE;
    if (queue->count == queue->capacity)
        return -EAGAIN;
    struct queue_waiter *getter = grant_queue_waiter(&queue->getters);
    if (getter)
        getter->item = item;
    else
        append_item(queue, item);
    return 0;
}

int aw_queue_put(struct aw_queue *queue, void *item)
{
    int result = aw_queue_try_put(queue, item);
    if (result != -EAGAIN)
        return result;
    struct queue_waiter self = {.item = item};
    result = wait_list_park_as(&queue->putters, &self.waiter, "queue put", AW_NEVER);
    return result == 0 && !self.moved ? -EPIPE : result;
}

int aw_queue_try_get(struct aw_queue *queue, void **ret_item)
{
    if (queue->count == 0)
        return queue->closed ? -EPIPE : -EAGAIN;
    *ret_item = queue->items[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    struct queue_waiter *putter = grant_queue_waiter(&queue->putters);
    if (putter)
        append_item(queue, putter->item);
    return 0;
}

int aw_queue_get(struct aw_queue *queue, void **ret_item)
{
    int result = aw_queue_try_get(queue, ret_item);
    if (result != -EAGAIN)
        return result;
    struct queue_waiter self = {0};
    result = wait_list_park_as(&queue->getters, &self.waiter, "queue get", AW_NEVER);
    if (result < 0)
        return result;
    if (!self.moved)
        return -EPIPE;
    *ret_item = self.item;
    return 0;
}

void aw_queue_close(struct aw_queue *queue)
{
    queue->closed = true;
    wait_list_grant_all(&queue->getters);
    wait_list_grant_all(&queue->putters);
}
