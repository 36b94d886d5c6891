/* target_worker.c - see target_worker.h. */
#include "targets/target_worker.h"

#include "protocol/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEASE_BUCKETS 1024u

struct lease {
    struct lease *next; /* in its bucket */
    uint64_t id;
    uint64_t token;
    uint64_t deadline_ns;
    struct outcome *outcome; /* what the worker said, for the execution that waits */
    size_t result_size_max;
    bool answered;
    struct aw_event news; /* an answer, or an earlier deadline */
    uint32_t percent;
    bool has_progress;
    char text[PROGRESS_TEXT_SIZE];
};

struct worker {
    struct reservation_place *first; /* the line of those who wait */
    struct reservation_place *last;
    uint32_t lease_count;
    struct lease *leases[LEASE_BUCKETS];
};

static struct lease **bucket_of(struct worker *worker, uint64_t id)
{
    return &worker->leases[(id * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static int check(struct target *target, const struct argument *arguments, uint32_t count,
                 struct aw_error *reterr)
{
    (void)target;
    (void)arguments;
    if (count == 0)
        return aw_error_set(reterr, -EINVAL, "needs at least one argument for the worker");
    return 0;
}

static int start(struct target *target, struct aw_error *reterr)
{
    target->state = calloc(1, sizeof(struct worker));
    return target->state ? 0 : aw_error_set(reterr, -ENOMEM, "no memory");
}

static void stop(struct target *target)
{
    free(target->state);
    target->state = NULL;
}

/* Jobs out with workers, and those that somebody waits for. */
static uint32_t capacity(const struct target *target)
{
    const struct worker *worker = target->state;
    if (!worker)
        return 0;
    uint64_t total = worker->lease_count;
    for (const struct reservation_place *place = worker->first; place; place = place->next)
        total += place->reservation->wanted;
    return total < UINT32_MAX ? (uint32_t)total : UINT32_MAX;
}

/* --- reservations ---------------------------------------------------------------------- */

void worker_line_up(struct reservation *reservation, struct target *const *targets, uint32_t count)
{
    aw_event_init(&reservation->event);
    for (uint32_t i = 0; i < count; i++) {
        struct worker *worker = targets[i]->state;
        struct reservation_place *place = &reservation->places[i];
        *place = (struct reservation_place){.reservation = reservation, .previous = worker->last};
        if (worker->last)
            worker->last->next = place;
        else
            worker->first = place;
        worker->last = place;
    }
}

void worker_leave(struct reservation *reservation, struct target *const *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct worker *worker = targets[i]->state;
        struct reservation_place *place = &reservation->places[i];
        if (place->previous)
            place->previous->next = place->next;
        else
            worker->first = place->next;
        if (place->next)
            place->next->previous = place->previous;
        else
            worker->last = place->previous;
    }
    reservation->wanted = 0;
}

static struct reservation *longest_waiting(const struct worker *worker)
{
    const struct reservation_place *place = worker->first;
    while (place && place->reservation->wanted == 0)
        place = place->next;
    return place ? place->reservation : NULL;
}

static void hand_over(struct reservation *reservation, const struct lease *lease,
                      const struct execution *execution)
{
    struct buffer *jobs = &reservation->jobs;
    value_array(jobs, 3 + (size_t)execution->argument_count);
    value_bulk_number(jobs, lease->id);
    value_bulk_number(jobs, lease->token);
    value_integer(jobs, execution->attempt);
    for (uint32_t i = 0; i < execution->argument_count; i++) {
        const struct argument *argument = &execution->arguments[i];
        if (argument->null)
            value_null(jobs);
        else
            value_bulk(jobs, argument->data, argument->size);
    }
    reservation->wanted = jobs->size < RESERVE_BYTES_MAX ? reservation->wanted - 1 : 0;
    reservation->taken++;
    aw_event_set(&reservation->event);
}

/* --- leases ---------------------------------------------------------------------------- */

static struct lease *find_lease(const struct target *target, uint64_t id)
{
    struct worker *worker = target->state;
    struct lease *lease = *bucket_of(worker, id);
    while (lease && lease->id != id)
        lease = lease->next;
    return lease;
}

/* The lease the worker may speak about. */
static struct lease *valid_lease(const struct target *target, uint64_t id, uint64_t token)
{
    struct lease *lease = find_lease(target, id);
    return lease && lease->token == token && !lease->answered ? lease : NULL;
}

static void open_lease(struct worker *worker, struct lease *lease)
{
    struct lease **bucket = bucket_of(worker, lease->id);
    aw_random_bytes(&lease->token, sizeof lease->token);
    lease->token >>= 1; /* fits where numbers are signed */
    aw_event_init(&lease->news);
    lease->next = *bucket;
    *bucket = lease;
    worker->lease_count++;
}

static void close_lease(struct worker *worker, struct lease *lease)
{
    struct lease **place = bucket_of(worker, lease->id);
    while (*place != lease)
        place = &(*place)->next;
    *place = lease->next;
    worker->lease_count--;
}

/* Until the worker answers (0), the lease runs out (-ETIMEDOUT), or the execution is stopped. */
static int wait_for_answer(struct lease *lease)
{
    while (!lease->answered) {
        struct aw_scope scope;
        aw_event_clear(&lease->news);
        aw_scope_enter(&scope, lease->deadline_ns);
        int result = aw_event_wait(&lease->news);
        aw_scope_leave(&scope);
        if (result == 0)
            continue;
        int interruption = aw_interrupted();
        if (interruption < 0)
            return interruption;
        if (aw_now_ns() >= lease->deadline_ns)
            return -ETIMEDOUT;
        /* it has been extended meanwhile */
    }
    return 0;
}

static void execute(struct target *target, const struct execution *execution,
                    struct outcome *ret_outcome)
{
    struct worker *worker = target->state;
    struct reservation *reservation = longest_waiting(worker);
    if (!reservation) {
        outcome_set(ret_outcome, OUTCOME_UNAVAILABLE, "", "no worker waits");
        return;
    }
    struct lease lease = {.id = execution->job_id,
                          .deadline_ns = aw_after_ms(reservation->lease_ms),
                          .outcome = ret_outcome,
                          .result_size_max = execution->result_size_max};
    uint64_t lease_ms = reservation->lease_ms;
    open_lease(worker, &lease);
    hand_over(reservation, &lease, execution);
    int result = wait_for_answer(&lease);
    close_lease(worker, &lease);
    if (result == -ETIMEDOUT)
        outcome_set(ret_outcome, OUTCOME_INTERRUPTED, "LEASE",
                    "the worker's lease of %llu ms ran out", (unsigned long long)lease_ms);
    else if (result < 0)
        /* the worker may have done it */
        outcome_set(ret_outcome,
                    target->settings.delivery == TARGET_AT_MOST_ONCE ? OUTCOME_INTERRUPTED
                                                                     : OUTCOME_STOPPED,
                    "", "taken from its worker");
}

/* --- what workers say ------------------------------------------------------------------ */

int worker_acknowledge(struct target *target, uint64_t id, uint64_t token,
                       const struct argument *result, struct settlement *settlement)
{
    struct lease *lease = valid_lease(target, id, token);
    if (!lease)
        return -ENOENT;
    if (result && result->size > lease->result_size_max)
        return -EMSGSIZE;
    lease->outcome->kind = OUTCOME_DONE;
    if (result)
        value_bulk(&lease->outcome->result, result->data, result->size);
    else
        value_simple(&lease->outcome->result, "OK");
    if (lease->outcome->result.failed) {
        buffer_free(&lease->outcome->result);
        return -ENOMEM;
    }
    lease->outcome->settlement = settlement;
    lease->answered = true;
    aw_event_set(&lease->news);
    return 0;
}

int worker_give_back(struct target *target, uint64_t id, uint64_t token, bool has_delay,
                     uint64_t delay_ms, const struct argument *reason,
                     struct settlement *settlement)
{
    struct lease *lease = valid_lease(target, id, token);
    if (!lease)
        return -ENOENT;
    if (reason)
        outcome_set(lease->outcome, OUTCOME_RETRY, "NACK", "%.*s",
                    (int)(reason->size < AW_ERROR_MESSAGE_SIZE ? reason->size
                                                               : AW_ERROR_MESSAGE_SIZE),
                    reason->data);
    else
        outcome_set(lease->outcome, OUTCOME_RETRY, "NACK", "given back by its worker");
    lease->outcome->has_delay = has_delay;
    lease->outcome->delay_ms = delay_ms;
    lease->outcome->settlement = settlement;
    lease->answered = true;
    aw_event_set(&lease->news);
    return 0;
}

int worker_extend(struct target *target, uint64_t id, uint64_t token, uint64_t lease_ms)
{
    struct lease *lease = valid_lease(target, id, token);
    if (!lease)
        return -ENOENT;
    uint64_t deadline_ns = aw_after_ms(lease_ms);
    bool earlier = deadline_ns < lease->deadline_ns;
    lease->deadline_ns = deadline_ns;
    if (earlier)
        aw_event_set(&lease->news);
    return 0;
}

int worker_progress(struct target *target, uint64_t id, uint64_t token, uint32_t percent,
                    const struct argument *text)
{
    struct lease *lease = valid_lease(target, id, token);
    if (!lease)
        return -ENOENT;
    lease->has_progress = true;
    lease->percent = percent;
    size_t size = text ? text->size : 0;
    if (size >= sizeof lease->text)
        size = sizeof lease->text - 1;
    if (size > 0)
        memcpy(lease->text, text->data, size);
    lease->text[size] = '\0';
    return 0;
}

bool worker_progress_of(const struct target *target, uint64_t id, uint32_t *ret_percent,
                        char ret_text[PROGRESS_TEXT_SIZE])
{
    if (target->type != &target_type_worker || !target->state)
        return false;
    const struct lease *lease = find_lease(target, id);
    if (!lease || !lease->has_progress)
        return false;
    *ret_percent = lease->percent;
    memcpy(ret_text, lease->text, sizeof lease->text);
    return true;
}

const struct target_type target_type_worker = {
    .name = "worker",
    .queued_only = true,
    .check = check,
    .start = start,
    .capacity = capacity,
    .execute = execute,
    .stop = stop,
};
