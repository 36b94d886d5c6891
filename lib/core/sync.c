/* sync.c - event, lock, semaphore and queue; see await/sync.h. Lock and semaphore pass straight to
 * the first waiter, so that a newcomer cannot overtake it. */
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

int aw_lock_acquire(struct aw_lock *lock)
{
    struct aw_task *self = aw_current();
    if (lock->owner == self)
        return -EDEADLK;
    if (!lock->owner) {
        lock->owner = self;
        return 0;
    }
    return wait_list_park(&lock->waiters, "lock");
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

int aw_semaphore_acquire(struct aw_semaphore *semaphore)
{
    if (semaphore->value > 0) {
        semaphore->value--;
        return 0;
    }
    return wait_list_park(&semaphore->waiters, "semaphore");
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

int aw_queue_try_put(struct aw_queue *queue, void *item)
{
    if (queue->closed)
        return -EPIPE;
    if (queue->count == queue->capacity)
        return -EAGAIN;
    queue->items[(queue->head + queue->count) % queue->capacity] = item;
    queue->count++;
    (void)wait_list_grant_one(&queue->getters);
    return 0;
}

int aw_queue_put(struct aw_queue *queue, void *item)
{
    int result;
    while ((result = aw_queue_try_put(queue, item)) == -EAGAIN) {
        int waited = wait_list_park(&queue->putters, "queue put");
        if (waited < 0)
            return waited;
    }
    return result;
}

int aw_queue_get(struct aw_queue *queue, void **ret_item)
{
    while (queue->count == 0) {
        if (queue->closed)
            return -EPIPE;
        int waited = wait_list_park(&queue->getters, "queue get");
        if (waited < 0)
            return waited;
    }
    *ret_item = queue->items[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    (void)wait_list_grant_one(&queue->putters);
    return 0;
}

void aw_queue_close(struct aw_queue *queue)
{
    queue->closed = true;
    wait_list_grant_all(&queue->getters);
    wait_list_grant_all(&queue->putters);
}
