/* backend.c - the seam's other side: lib/ring/backend.h over a virtual clock and a simulated disk.
 *
 * An operation takes a random time and has its effect when that is over, so their order is
 * random too. When nothing is ready the clock jumps to the next completion or deadline. */
#include "ring/backend.h"

#include "ring/operation.h"
#include "sim/execute.h"
#include "sim/world.h"

#include <await/clock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPERATIONS 8192u
#define STALL_MAX_MS 8000u
#define TURNS_MAX UINT64_C(20000000)
#define LIFE_MAX_NS (UINT64_C(36) * 3600 * AW_NS_PER_S)

enum state { FREE, QUEUED, WAITING_FOR_LINK, RUNNING };

struct operation {
    struct ring_request request;
    uint64_t tag;
    uint64_t due_ns;
    uint64_t order;
    uint32_t next; /* the linked one, 0: none (index + 1) */
    uint8_t state;
    bool cancelled;
};

static struct operation operations[OPERATIONS];
static uint32_t used; /* all in use lie below */
static uint32_t link_from; /* index + 1 of the one that waits for its successor */
static uint64_t order;
static uint64_t turns;

int backend_open(uint32_t operations_max, struct aw_error *reterr)
{
    (void)operations_max;
    (void)reterr;
    return 0;
}

void backend_close(void)
{
}

int backend_room(unsigned count)
{
    uint32_t room = 0;
    for (uint32_t i = 0; i < OPERATIONS && room < count; i++)
        room += operations[i].state == FREE;
    return room >= count ? 0 : -EBUSY;
}

int backend_queue(const struct ring_request *request, uint64_t tag, bool link_next)
{
    uint32_t index = 0;
    while (index < OPERATIONS && operations[index].state != FREE)
        index++;
    if (index == OPERATIONS)
        return -EBUSY;
    if (index >= used)
        used = index + 1;
    operations[index] = (struct operation){.request = *request, .tag = tag, .order = ++order,
                                           .state = link_from ? WAITING_FOR_LINK : QUEUED};
    if (link_from)
        operations[link_from - 1].next = index + 1;
    link_from = link_next ? index + 1 : 0;
    return 0;
}

int backend_cancel(uint64_t tag)
{
    for (uint32_t i = 0; i < used; i++)
        if (operations[i].state != FREE && operations[i].tag == tag)
            operations[i].cancelled = random_chance(&world->random, 500000);
    return 0;
}

static uint64_t delay_ns(void)
{
    if (world_fault(world->swarm.stall_ppm))
        return (1 + random_below(&world->random, STALL_MAX_MS)) * AW_NS_PER_MS;
    uint64_t most_ns = (uint64_t)world->swarm.delay_max_us * 1000;
    return 1000 + random_below(&world->random, most_ns);
}

static void start(struct operation *operation)
{
    operation->state = RUNNING;
    operation->due_ns = world->now_ns + delay_ns();
}

_Noreturn static void crash(void)
{
    for (uint32_t i = 0; i < used; i++)
        if (operations[i].state == RUNNING)
            execute_at_crash(&operations[i].request);
    world_trace("crash", world->now_ns, world->crash_loses_power);
    _exit(LIFE_CRASHED);
}

/* The end of the chain: what follows a failed one is cancelled, in the same turn. */
static void follow(struct operation *operation, int result, backend_deliver deliver)
{
    bool failed = result < 0 || ((operation->request.kind == RING_READ ||
                                  operation->request.kind == RING_WRITE) &&
                                 (size_t)result < operation->request.size);
    uint32_t next = operation->next;
    if (next && !failed) {
        start(&operations[next - 1]);
        return;
    }
    while (next) {
        struct operation *cut = &operations[next - 1];
        struct backend_completion completion = {.tag = cut->tag, .result = -ECANCELED,
                                                .buffer = UINT32_MAX};
        next = cut->next;
        cut->state = FREE;
        deliver(&completion);
    }
}

static void complete(struct operation *operation, backend_deliver deliver)
{
    if (world->crash_in > 0 && --world->crash_in == 0)
        crash();
    int result = operation->cancelled ? -ECANCELED : execute_request(&operation->request);
    world->statistics.operations++;
    world_trace("operation", operation->request.kind, (uint64_t)(int64_t)result);
    if (world->verbose)
        fprintf(stderr, "%12.6f op %2u fd %d %s off %lld size %zu len %llu -> %d\n",
                (double)world->now_ns / 1e9, operation->request.kind, operation->request.fd,
                operation->request.path ? operation->request.path : "",
                (long long)operation->request.offset, operation->request.size,
                (unsigned long long)operation->request.length, result);
    struct backend_completion completion = {.tag = operation->tag, .result = result,
                                            .buffer = UINT32_MAX};
    struct operation done = *operation;
    operation->state = FREE;
    deliver(&completion);
    follow(&done, result, deliver);
}

static struct operation *nearest(void)
{
    struct operation *found = NULL;
    for (uint32_t i = 0; i < used; i++) {
        struct operation *operation = &operations[i];
        if (operation->state != RUNNING)
            continue;
        if (!found || operation->due_ns < found->due_ns ||
            (operation->due_ns == found->due_ns && operation->order < found->order))
            found = operation;
    }
    return found;
}

static unsigned deliver_due(backend_deliver deliver)
{
    unsigned count = 0;
    struct operation *operation;
    while ((operation = nearest()) && operation->due_ns <= world->now_ns) {
        complete(operation, deliver);
        count++;
    }
    while (used > 0 && operations[used - 1].state == FREE)
        used--;
    return count;
}

/* Now and then somebody sets the wall clock. */
static void step_wall_clock(void)
{
    if (!world->swarm.clock_steps || !world_fault(300))
        return;
    int64_t step = (int64_t)random_magnitude(&world->random, 23);
    world->wall_ms += random_chance(&world->random, 500000) ? step : -step;
}

int backend_turn(uint64_t deadline_ns, backend_deliver deliver)
{
    world->now_ns += 2000 + random_below(&world->random, 8000);
    if (++turns > TURNS_MAX || world->now_ns - world->life_began_ns > LIFE_MAX_NS)
        world_fail("the loop turns for ever (%llu turns)", (unsigned long long)turns);
    step_wall_clock();
    for (uint32_t i = 0; i < used; i++)
        if (operations[i].state == QUEUED)
            start(&operations[i]);
    unsigned delivered = deliver_due(deliver);
    if (delivered > 0 || deadline_ns <= world->now_ns)
        return 0;
    const struct operation *next = nearest();
    if (!next && deadline_ns == AW_NEVER)
        world_fail("every task waits and nothing is under way");
    world->now_ns = next && next->due_ns < deadline_ns ? next->due_ns : deadline_ns;
    (void)deliver_due(deliver);
    return 0;
}

/* Sockets are not simulated. */
const void *backend_loan_data(uint32_t buffer)
{
    fprintf(stderr, "sim: backend_loan_data(%u) is not simulated\n", buffer);
    abort();
}

void backend_loan_return(uint32_t buffer)
{
    (void)backend_loan_data(buffer);
}

uint64_t backend_monotonic_ns(void)
{
    return world->now_ns += 50;
}

uint64_t backend_ticks(void)
{
    return world->now_ns;
}

uint64_t backend_wall_ms(void)
{
    return (uint64_t)(world->wall_ms + (int64_t)(world->now_ns / AW_NS_PER_MS));
}

void backend_random(void *buffer, size_t size_bytes)
{
    char *bytes = buffer;
    world_trace("random", size_bytes, 0);
    while (size_bytes > 0) {
        uint64_t number = random_next(&world->product);
        size_t part = size_bytes < sizeof number ? size_bytes : sizeof number;
        memcpy(bytes, &number, part);
        bytes += part;
        size_bytes -= part;
    }
}
