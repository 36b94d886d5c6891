/* barrier.c - see await/barrier.h. Places are given out when the last one arrives, since waiters
 * may have left by then. */
#include "core/park.h"

#include <await/barrier.h>

#include <errno.h>

#define PARTIES_MAX (1u << 24)

struct arrival {
    struct aw_waiter waiter; /* first: the list leads from one to the other */
    int place;
};

int aw_barrier_init(struct aw_barrier *barrier, uint32_t parties)
{
    if (parties == 0 || parties > PARTIES_MAX)
        return -EINVAL;
    *barrier = (struct aw_barrier){.parties = parties};
    return 0;
}

static int grant_next(struct aw_barrier *barrier, int place)
{
    ((struct arrival *)barrier->waiters.first)->place = place;
    (void)wait_list_grant_one(&barrier->waiters);
    return place + 1;
}

int aw_barrier_wait(struct aw_barrier *barrier)
{
    if (barrier->broken)
        return -EPIPE;
    if (barrier->waiting + 1 == barrier->parties) {
        int place = 0;
        while (barrier->waiters.first)
            place = grant_next(barrier, place);
        barrier->waiting = 0;
        return place;
    }
    struct arrival arrival;
    barrier->waiting++;
    int result = wait_list_park_as(&barrier->waiters, &arrival.waiter, "barrier", AW_NEVER);
    if (result == 0)
        return arrival.place;
    barrier->waiting--;
    return result;
}

void aw_barrier_abort(struct aw_barrier *barrier)
{
    barrier->broken = true;
    while (barrier->waiters.first)
        (void)grant_next(barrier, -EPIPE);
    barrier->waiting = 0;
}

void aw_barrier_reset(struct aw_barrier *barrier)
{
    barrier->broken = false;
}

uint32_t aw_barrier_waiting(const struct aw_barrier *barrier)
{
    return barrier->waiting;
}
