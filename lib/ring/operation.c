/* operation.c - see operation.h and request.h. */
#include "ring/operation.h"

#include "core/park.h"
#include "core/sanitize.h"
#include "core/scheduler.h"
#include "ring/backend.h"
#include "ring/request.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define CHUNK_OPERATIONS 256u
#define CHUNKS_MAX 4096u
#define NO_SLOT UINT32_MAX
#define BATCH_MAX 64u
/* In flight at once, above operations_max: those that nothing interrupts. They end by themselves,
 * so a table full of idle receives must not hold up the write that a client waits for. */
#define SHIELDED_MAX 1024u
/* Of one request that the kernel sends back with EINTR or EAGAIN; then the caller hears of it. */
#define ATTEMPTS_MAX 64u

/* Several operations one task waits for together. */
struct batch {
    struct aw_task *task;
    unsigned remaining;
};

struct operation {
    struct batch *batch;
    int result;
    uint32_t buffer;     /* lent buffer of a RING_RECEIVE_LOAN */
    uint32_t generation; /* counts the slot's uses; in the tag's upper half */
    uint32_t next_free;
    bool done;
};

/* How many slots may be taken. Who finds too few waits in order; slots are counted for it when it
 * is granted, so nobody overtakes it. */
struct share {
    uint32_t limit;
    uint32_t running;
    struct aw_wait_list waiters;
};

struct slot_waiter {
    struct aw_waiter waiter; /* first: the list holds pointers to it */
    unsigned count;
};

static _Thread_local struct {
    struct operation *chunks[CHUNKS_MAX];
    uint32_t chunk_count;
    uint32_t first_free;
    struct share ordinary;
    struct share shielded;
} table;

void operations_open(uint32_t operations_max)
{
    uint32_t most = CHUNK_OPERATIONS * CHUNKS_MAX - SHIELDED_MAX;
    table.ordinary = (struct share){.limit = operations_max > most ? most : operations_max};
    table.shielded = (struct share){.limit = SHIELDED_MAX};
    table.chunk_count = 0;
    table.first_free = NO_SLOT;
}

void operations_close(void)
{
    core_assert(operations_running() == 0);
    for (uint32_t i = 0; i < table.chunk_count; i++)
        free(table.chunks[i]);
    table.chunk_count = 0;
    table.first_free = NO_SLOT;
}

uint32_t operations_running(void)
{
    return table.ordinary.running + table.shielded.running;
}

static struct operation *at(uint32_t slot)
{
    return &table.chunks[slot / CHUNK_OPERATIONS][slot % CHUNK_OPERATIONS];
}

static int add_chunk(void)
{
    if (table.chunk_count == CHUNKS_MAX)
        return -EAGAIN;
    struct operation *chunk = calloc(CHUNK_OPERATIONS, sizeof *chunk);
    if (!chunk)
        return -ENOMEM;
    uint32_t base = table.chunk_count * CHUNK_OPERATIONS;
    table.chunks[table.chunk_count++] = chunk;
    for (uint32_t i = CHUNK_OPERATIONS; i-- > 0;) {
        chunk[i].next_free = table.first_free;
        table.first_free = base + i;
    }
    return 0;
}

/* Waits until `count` slots may be taken, and counts them as taken. */
static int share_enter(struct share *share, unsigned count)
{
    if (!share->waiters.first && share->running + count <= share->limit) {
        share->running += count;
        return 0;
    }
    struct slot_waiter self = {.count = count};
    if (share == &table.ordinary)
        return wait_list_park_as(&share->waiters, &self.waiter, "operation slot", AW_NEVER);
    wait_list_park_shielded(&share->waiters, &self.waiter, "operation slot");
    return 0;
}

static void share_leave(struct share *share, unsigned count)
{
    share->running -= count;
    struct slot_waiter *first;
    while ((first = (struct slot_waiter *)share->waiters.first) &&
           share->running + first->count <= share->limit) {
        share->running += first->count;
        (void)wait_list_grant_one(&share->waiters);
    }
}

/* A free slot for one of the operations the share has let in. */
static int take_slot(struct batch *batch, uint32_t *ret_slot)
{
    if (table.first_free == NO_SLOT) {
        int result = add_chunk();
        if (result < 0)
            return result;
    }
    uint32_t slot = table.first_free;
    struct operation *operation = at(slot);
    table.first_free = operation->next_free;
    operation->batch = batch;
    operation->done = false;
    operation->buffer = UINT32_MAX;
    operation->generation++;
    *ret_slot = slot;
    return 0;
}

static void free_slot(uint32_t slot)
{
    struct operation *operation = at(slot);
    operation->batch = NULL;
    operation->next_free = table.first_free;
    table.first_free = slot;
}

static uint64_t tag_of(uint32_t slot)
{
    /* slot + 2: the lower half is never one of the ring's own tags */
    return ((uint64_t)at(slot)->generation << 32) | (slot + 2);
}

void operations_deliver(const struct backend_completion *completion)
{
    uint32_t slot = (uint32_t)completion->tag - 2;
    core_assert(slot / CHUNK_OPERATIONS < table.chunk_count);
    struct operation *operation = at(slot);
    core_assert(operation->generation == (uint32_t)(completion->tag >> 32) && operation->batch);
    if (completion->more)
        return;
    operation->result = completion->result;
    operation->buffer = completion->buffer;
    operation->done = true;
    if (--operation->batch->remaining == 0)
        wake(operation->batch->task, 0);
}

static const char *const kind_names[] = {
    [RING_NOP] = "nop",           [RING_READ] = "read",
    [RING_WRITE] = "write",       [RING_FSYNC] = "fsync",
    [RING_FALLOCATE] = "fallocate", [RING_OPEN] = "open",
    [RING_CLOSE] = "close",       [RING_STAT] = "stat",
    [RING_RENAME] = "rename",     [RING_UNLINK] = "unlink",
    [RING_MKDIR] = "mkdir",       [RING_CONNECT] = "connect",
    [RING_ACCEPT] = "accept",     [RING_RECEIVE] = "receive",
    [RING_RECEIVE_LOAN] = "receive", [RING_SEND] = "send",
    [RING_POLL] = "poll",         [RING_SHUTDOWN] = "shutdown",
    [RING_SEND_MESSAGE] = "send message", [RING_RECEIVE_MESSAGE] = "receive message",
};

/* Queues one request; when the kernel is too busy to take it, lets the loop turn and tries again.
 */
static int queue_one(const struct ring_request *request, uint64_t tag)
{
    for (;;) {
        int result = backend_queue(request, tag, false);
        if (result != -EBUSY && result != -EAGAIN)
            return result;
        yield_shielded();
    }
}

static void cancel_operation(uint32_t slot)
{
    while (!at(slot)->done) {
        int result = backend_cancel(tag_of(slot));
        if (result != -EBUSY && result != -EAGAIN)
            break;
        yield_shielded();
    }
    while (!at(slot)->done)
        (void)park_shielded("cancelled operation");
}

/* Tells memcheck what has come. */
static void tell_of_bytes(const struct ring_request *request, int result)
{
    if (request->kind == RING_STAT && result == 0)
        sanitize_written(request->buffer, sizeof(struct statx));
    if (result <= 0)
        return;
    if (request->kind == RING_READ || request->kind == RING_RECEIVE) {
        sanitize_written(request->buffer, (size_t)result);
    } else if (request->kind == RING_RECEIVE_MESSAGE) {
        const struct msghdr *message = request->buffer;
        for (size_t i = 0; i < message->msg_iovlen; i++)
            sanitize_written(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
    }
}

/* From the queue to the terminal completion, in a slot that is the caller's. */
static int run_operation(const struct ring_request *request, uint32_t slot, bool shielded)
{
    const char *where = kind_names[request->kind];
    int result = queue_one(request, tag_of(slot));
    if (result < 0)
        return result;
    int interruption = 0;
    while (!at(slot)->done) {
        if (shielded) {
            (void)park_shielded(where);
            continue;
        }
        interruption = park(where);
        if (interruption < 0)
            cancel_operation(slot);
    }
    result = at(slot)->result;
    tell_of_bytes(request, result);
    /* anything else than "it was stopped" happened, and is told: data outranks interruption */
    if (interruption < 0 && (result == -ECANCELED || result == -EINTR))
        return interruption;
    return result;
}

int operation_perform(const struct ring_request *request, bool shielded, uint32_t *ret_buffer)
{
    struct share *share = shielded ? &table.shielded : &table.ordinary;
    int result = shielded ? 0 : aw_interrupted();
    if (result == 0)
        result = share_enter(share, 1);
    if (result < 0)
        return result;
    struct batch batch = {.task = aw_current(), .remaining = 1};
    uint32_t slot;
    result = take_slot(&batch, &slot);
    if (result == 0) {
        result = run_operation(request, slot, shielded);
        if (ret_buffer)
            *ret_buffer = at(slot)->buffer;
        free_slot(slot);
    }
    share_leave(share, 1);
    return result;
}

/* What to wait for before a request is tried again that found a descriptor in non-blocking mode
 * not ready; 0: nothing. XFS and some drivers give EAGAIN on blocking files too, which poll(2)
 * calls ready. */
static unsigned readiness_of(const struct ring_request *request)
{
    switch (request->kind) {
    case RING_READ:
    case RING_ACCEPT:
        return POLLIN;
    case RING_WRITE:
        return POLLOUT;
    case RING_RECEIVE:
        return request->flags & MSG_DONTWAIT ? 0 : POLLIN;
    case RING_SEND:
        return request->flags & MSG_DONTWAIT ? 0 : POLLOUT;
    default:
        return 0;
    }
}

static int wait_until_ready(const struct ring_request *request, bool shielded)
{
    struct ring_request poll = {
        .kind = RING_POLL, .fd = request->fd, .flags = readiness_of(request)};
    return operation_perform(&poll, shielded, NULL);
}

int ring_perform(const struct ring_request *request)
{
    bool shielded = request->shielded || request->kind == RING_CLOSE;
    int result = operation_perform(request, shielded, NULL);
    for (unsigned attempt = 1; attempt < ATTEMPTS_MAX; attempt++) {
        if (result == -EAGAIN && readiness_of(request) != 0) {
            int ready = wait_until_ready(request, shielded);
            if (ready < 0 && ready != -EINTR)
                return ready;
        } else if (result != -EINTR) {
            break;
        }
        result = operation_perform(request, shielded, NULL);
    }
    return result;
}

/* All slots at once or none. */
static int take_slots(struct batch *batch, unsigned count, uint32_t *slots)
{
    for (unsigned i = 0; i < count; i++) {
        int result = take_slot(batch, &slots[i]);
        if (result < 0) {
            while (i-- > 0)
                free_slot(slots[i]);
            return result;
        }
    }
    return 0;
}

/* A request that could not be queued counts as completed with that error. */
static void queue_batch(struct batch *batch, const struct ring_request *requests, unsigned count,
                        bool linked, const uint32_t *slots)
{
    int result;
    while ((result = backend_room(count)) == -EBUSY || result == -EAGAIN)
        yield_shielded();
    for (unsigned i = 0; i < count; i++) {
        if (result == 0)
            result = backend_queue(&requests[i], tag_of(slots[i]), linked && i + 1 < count);
        if (result < 0) {
            at(slots[i])->result = result;
            at(slots[i])->done = true;
            batch->remaining--;
        }
    }
}

int ring_perform_all(const struct ring_request *requests, unsigned count, bool linked,
                     int *results)
{
    if (count == 0 || count > BATCH_MAX)
        return -EINVAL;
    int result = share_enter(&table.shielded, count);
    if (result < 0)
        return result;
    struct batch batch = {.task = aw_current(), .remaining = count};
    uint32_t slots[BATCH_MAX];
    result = take_slots(&batch, count, slots);
    if (result < 0) {
        share_leave(&table.shielded, count);
        return result;
    }
    queue_batch(&batch, requests, count, linked, slots);
    while (batch.remaining > 0)
        (void)park_shielded("batch of operations");
    int first_error = 0;
    for (unsigned i = 0; i < count; i++) {
        results[i] = at(slots[i])->result;
        tell_of_bytes(&requests[i], results[i]);
        if (results[i] < 0 && first_error == 0)
            first_error = results[i];
        free_slot(slots[i]);
    }
    share_leave(&table.shielded, count);
    return first_error;
}
