/* operation.c - see operation.h and request.h. */
#include "ring/operation.h"

#include "core/park.h"
#include "core/scheduler.h"
#include "ring/backend.h"
#include "ring/loan.h"
#include "ring/request.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_OPERATIONS 256u
#define CHUNKS_MAX 4096u
#define NO_SLOT UINT32_MAX
#define BATCH_MAX 64u

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

static _Thread_local struct {
    struct operation *chunks[CHUNKS_MAX];
    uint32_t chunk_count;
    uint32_t limit;
    uint32_t running;
    uint32_t first_free;
    struct aw_wait_list slot_waiters;
    struct aw_wait_list loan_waiters;
    uint32_t loans_held; /* lent to tasks that have not given them back */
} table;

void operations_open(uint32_t operations_max)
{
    uint32_t most = CHUNK_OPERATIONS * CHUNKS_MAX;
    table.limit = operations_max < BATCH_MAX ? BATCH_MAX
                  : operations_max > most    ? most
                                             : operations_max;
    table.chunk_count = 0;
    table.running = 0;
    table.first_free = NO_SLOT;
    table.slot_waiters = (struct aw_wait_list){0};
    table.loan_waiters = (struct aw_wait_list){0};
    table.loans_held = 0;
}

void operations_close(void)
{
    core_assert(table.running == 0);
    for (uint32_t i = 0; i < table.chunk_count; i++)
        free(table.chunks[i]);
    table.chunk_count = 0;
    table.first_free = NO_SLOT;
}

uint32_t operations_running(void)
{
    return table.running;
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

/* Waits until `count` slots may be taken. */
static int wait_for_slots(unsigned count, bool shielded)
{
    while (table.running + count > table.limit) {
        if (shielded) {
            struct aw_waiter waiter = {.task = aw_current()};
            wait_list_add(&table.slot_waiters, &waiter);
            (void)park_shielded("operation slot");
        } else {
            int result = wait_list_park(&table.slot_waiters, "operation slot");
            if (result < 0)
                return result;
        }
    }
    return 0;
}

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
    table.running++;
    *ret_slot = slot;
    return 0;
}

static void free_slot(uint32_t slot)
{
    struct operation *operation = at(slot);
    operation->batch = NULL;
    operation->next_free = table.first_free;
    table.first_free = slot;
    table.running--;
    (void)wait_list_grant_one(&table.slot_waiters);
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

static int perform_once(const struct ring_request *request, bool shielded, uint32_t *ret_buffer)
{
    if (!shielded) {
        int interruption = aw_interrupted();
        if (interruption < 0)
            return interruption;
    }
    int result = wait_for_slots(1, shielded);
    if (result < 0)
        return result;
    struct batch batch = {.task = aw_current(), .remaining = 1};
    uint32_t slot;
    result = take_slot(&batch, &slot);
    if (result < 0)
        return result;
    result = queue_one(request, tag_of(slot));
    if (result < 0) {
        free_slot(slot);
        return result;
    }
    int interruption = 0;
    while (!at(slot)->done) {
        int waited = shielded ? park_shielded(kind_names[request->kind])
                              : park(kind_names[request->kind]);
        if (waited < 0 && !at(slot)->done) {
            interruption = waited;
            cancel_operation(slot);
        }
    }
    result = at(slot)->result;
    if (ret_buffer)
        *ret_buffer = at(slot)->buffer;
    free_slot(slot);
    if (interruption < 0 && (result == -ECANCELED || result == -EINTR))
        return interruption;
    return result;
}

static bool may_retry(const struct ring_request *request, int result)
{
    if (result == -EINTR)
        return true;
    /* XFS and some drivers give it on blocking files */
    return result == -EAGAIN && (request->kind == RING_READ || request->kind == RING_WRITE ||
                                 request->kind == RING_FSYNC);
}

int ring_perform(const struct ring_request *request)
{
    bool shielded = request->shielded || request->kind == RING_CLOSE;
    int result;
    do {
        result = perform_once(request, shielded, NULL);
    } while (result < 0 && may_retry(request, result));
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
    int result = wait_for_slots(count, true);
    if (result < 0)
        return result;
    struct batch batch = {.task = aw_current(), .remaining = count};
    uint32_t slots[BATCH_MAX];
    result = take_slots(&batch, count, slots);
    if (result < 0)
        return result;
    queue_batch(&batch, requests, count, linked, slots);
    while (batch.remaining > 0)
        (void)park_shielded("batch of operations");
    int first_error = 0;
    for (unsigned i = 0; i < count; i++) {
        results[i] = at(slots[i])->result;
        if (results[i] < 0 && first_error == 0)
            first_error = results[i];
        free_slot(slots[i]);
    }
    return first_error;
}

/* All buffers were out when the kernel looked. When no task holds one now, nobody would wake us by
 * giving one back: then the way on is to ask again. */
static int wait_for_loan(void)
{
    if (table.loans_held == 0)
        return 0;
    return wait_list_park(&table.loan_waiters, "receive buffer");
}

int ring_receive_loan(int fd, const void **ret_data, uint32_t *ret_buffer)
{
    struct ring_request request = {.kind = RING_RECEIVE_LOAN, .fd = fd};
    for (;;) {
        uint32_t buffer;
        int result = perform_once(&request, false, &buffer);
        if (result == -ENOBUFS) {
            result = wait_for_loan();
            if (result == 0)
                continue;
        } else if (result == -EINTR) {
            continue;
        }
        if (result > 0) {
            table.loans_held++;
            *ret_data = backend_loan_data(buffer);
            *ret_buffer = buffer;
            return result;
        }
        if (result == 0 && buffer != UINT32_MAX)
            backend_loan_return(buffer);
        /* A turn that was granted to us and came to nothing goes to the next. */
        (void)wait_list_grant_one(&table.loan_waiters);
        return result;
    }
}

void ring_loan_return(uint32_t buffer)
{
    table.loans_held--;
    backend_loan_return(buffer);
    (void)wait_list_grant_one(&table.loan_waiters);
}
