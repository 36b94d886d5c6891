/* reserve.c - workers and the queue: RESERVE takes jobs through the ordinary dispatch, and what
 * workers say is answered once it is durable. */
#include "queue/broker_state.h"
#include "targets/target_worker.h"

#include <errno.h>

static int find_targets(struct broker *broker, const struct argument *names, uint32_t count,
                        struct target **targets, struct aw_error *reterr)
{
    for (uint32_t i = 0; i < count; i++) {
        struct target_lanes *lanes = registry_target(broker, names[i].data, names[i].size);
        if (!lanes)
            return broker_unknown_target(broker, names[i], reterr);
        if (lanes->target.type != &target_type_worker)
            return aw_error_set_code(
                reterr, -EINVAL, "ERR",
                "target %s is of type %s: awaitd runs its jobs itself; RESERVE "
                "is for targets of type worker",
                lanes->target.settings.name, lanes->target.type->name);
        for (uint32_t other = 0; other < i; other++)
            if (targets[other] == &lanes->target)
                return aw_error_set_code(reterr, -EINVAL, "ERR", "target %s is named twice",
                                         lanes->target.settings.name);
        targets[i] = &lanes->target;
    }
    return 0;
}

static bool any_marks(struct target *const *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (targets[i]->settings.delivery == TARGET_AT_MOST_ONCE)
            return true;
    return false;
}

static int wait_for_jobs(struct reservation *reservation, uint64_t deadline_ns)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, deadline_ns);
    int result = 0;
    while (reservation->taken == 0 && result == 0)
        result = aw_event_wait(&reservation->event);
    aw_scope_leave(&scope);
    return result;
}

int broker_reserve(struct broker *broker, const struct reserve_request *request,
                   struct buffer *out, struct aw_error *reterr)
{
    struct target *targets[RESERVE_TARGETS_MAX];
    int result = find_targets(broker, request->targets, request->target_count, targets, reterr);
    if (result < 0)
        return result;
    struct reservation reservation = {.wanted = request->count, .lease_ms = request->lease_ms};
    worker_line_up(&reservation, targets, request->target_count);
    for (uint32_t i = 0; i < request->target_count; i++)
        dispatch(targets[i]->context);
    /* jobs that are there are handed over by tasks that run before this one comes back; those of an
     * at-most-once target are marked on the disk first */
    result = aw_yield();
    if (result == 0 && reservation.taken == 0 && any_marks(targets, request->target_count))
        result = broker_probe(broker);
    if (result == 0 && reservation.taken == 0)
        result = aw_yield();
    if (result == 0)
        result = wait_for_jobs(&reservation, request->deadline_ns);
    worker_leave(&reservation, targets, request->target_count);
    if (reservation.taken > 0)
        result = 0; /* handed over: their leases run, whatever happened to us */
    if (result == 0 || result == -ETIME) {
        value_array(out, reservation.taken);
        buffer_append(out, reservation.jobs.data, reservation.jobs.size);
        out->failed = out->failed || reservation.jobs.failed;
    }
    buffer_free(&reservation.jobs);
    return result == -ETIME && aw_interrupted() == 0 ? 0 : result;
}

/* The worker target whose job this is, NULL: none of a worker. */
static struct target *leasing_target(struct broker *broker, uint64_t id)
{
    const struct job *job = job_table_find(&broker->jobs, id);
    if (!job || job->state != JOB_RUNNING || !job->lane->target ||
        job->lane->target->target.type != &target_type_worker)
        return NULL;
    return &job->lane->target->target;
}

/* Why there is no such lease: the worker wants to know whether to stop. */
static int explain(struct broker *broker, uint64_t id, struct aw_error *reterr)
{
    struct aw_event event;
    aw_event_init(&event);
    struct watch watch = {.id = id, .event = &event};
    int result = broker_watch(broker, &watch, 1);
    if (result < 0)
        return result;
    if (!watch.known)
        result = aw_error_set_code(reterr, -ENOENT, "NOJOB", "no job %llu", (unsigned long long)id);
    else if (watch.finished && watch.state == JOB_CANCELLED)
        result = aw_error_set_code(reterr, -ECANCELED, "CANCELLED", "job %llu was cancelled",
                                   (unsigned long long)id);
    else
        result = aw_error_set_code(reterr, -EPERM, "BADTOKEN",
                                   "the lease on job %llu has ended or was never yours",
                                   (unsigned long long)id);
    broker_unwatch(broker, &watch, 1);
    return result;
}

/* Comes back when what follows from the worker's answer is durable, whatever happens to the caller:
 * the settlement is in its memory. On a full disk that is when there is room again. */
static int wait_until_settled(struct broker *broker, uint64_t id, struct settlement *settlement,
                              struct aw_error *reterr)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (!settlement->done.set)
        AW_IGNORE(aw_event_wait(&settlement->done));
    aw_scope_leave(&shield);
    return settlement->stored ? 0 : explain(broker, id, reterr);
}

int broker_worker_says(struct broker *broker, const struct worker_word *word,
                       struct aw_error *reterr)
{
    struct target *target = leasing_target(broker, word->id);
    struct settlement settlement = {.stored = false};
    int result = -ENOENT;
    aw_event_init(&settlement.done);
    if (target) {
        switch (word->kind) {
        case WORKER_ACK:
            result =
                worker_acknowledge(target, word->id, word->token, word->text, &settlement);
            break;
        case WORKER_NACK:
            result = worker_give_back(target, word->id, word->token, word->has_delay, word->number,
                                      word->text, &settlement);
            break;
        case WORKER_EXTEND:
            result = worker_extend(target, word->id, word->token, word->number);
            break;
        case WORKER_PROGRESS:
            result = worker_progress(target, word->id, word->token, (uint32_t)word->number,
                                     word->text);
            break;
        }
    }
    if (result == -ENOENT)
        return explain(broker, word->id, reterr);
    if (result == -EMSGSIZE)
        return aw_error_set_code(reterr, result, "ERR",
                                 "the result is larger than result_size_max; acknowledge with a "
                                 "smaller one");
    if (result < 0)
        return aw_error_set_code(reterr, result, "ERR", "%s", aw_error_text(result));
    if (word->kind == WORKER_PROGRESS)
        note_progress(broker, word->id, (uint32_t)word->number,
                      word->text ? *word->text : (struct argument){0});
    if (word->kind == WORKER_ACK || word->kind == WORKER_NACK)
        return wait_until_settled(broker, word->id, &settlement, reterr);
    return 0;
}
