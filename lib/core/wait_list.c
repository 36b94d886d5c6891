/* wait_list.c - the fair list of waiting tasks under every primitive; see park.h. */
#include "core/park.h"
#include "core/scheduler.h"

void wait_list_add(struct aw_wait_list *list, struct aw_waiter *waiter)
{
    waiter->granted = false;
    waiter->next = NULL;
    waiter->previous = list->last;
    if (list->last)
        list->last->next = waiter;
    else
        list->first = waiter;
    list->last = waiter;
}

void wait_list_remove(struct aw_wait_list *list, struct aw_waiter *waiter)
{
    if (waiter->previous)
        waiter->previous->next = waiter->next;
    else
        list->first = waiter->next;
    if (waiter->next)
        waiter->next->previous = waiter->previous;
    else
        list->last = waiter->previous;
}

struct aw_task *wait_list_grant_one(struct aw_wait_list *list)
{
    struct aw_waiter *waiter = list->first;
    if (!waiter)
        return NULL;
    wait_list_remove(list, waiter);
    waiter->granted = true;
    if (waiter->granted_list) {
        waiter->next = *waiter->granted_list;
        *waiter->granted_list = waiter;
    }
    wake(waiter->task, 0);
    return waiter->task;
}

void wait_list_grant_all(struct aw_wait_list *list)
{
    while (wait_list_grant_one(list)) {
    }
}

int wait_list_park_as(struct aw_wait_list *list, struct aw_waiter *waiter, const char *where,
                      uint64_t deadline_ns)
{
    waiter->task = aw_current();
    wait_list_add(list, waiter);
    int result = park_until(where, deadline_ns);
    if (waiter->granted)
        return 0;
    wait_list_remove(list, waiter);
    core_assert(result < 0); /* only an interruption ends a park without a grant */
    return result;
}

int wait_list_park_until(struct aw_wait_list *list, const char *where, uint64_t deadline_ns)
{
    struct aw_waiter waiter = {0};
    return wait_list_park_as(list, &waiter, where, deadline_ns);
}

int wait_list_park(struct aw_wait_list *list, const char *where)
{
    return wait_list_park_until(list, where, AW_NEVER);
}

void wait_list_park_shielded(struct aw_wait_list *list, struct aw_waiter *waiter,
                             const char *where)
{
    waiter->task = aw_current();
    wait_list_add(list, waiter);
    while (!waiter->granted)
        (void)park_shielded(where);
}
