/* pause.c - pausing and resuming queues and targets, durably.
 *
 * A pause holds from the moment it is asked for, a resumption from the moment it is stored: so a
 * restart in between never lets something start that had been told to stand still. */
#include "queue/broker_state.h"

#include "admin/log.h"

#include <errno.h>
#include <string.h>

struct pausing {
    struct store_change change;
    struct broker *broker;
    struct job_queue *queue;     /* one of the two */
    struct target_lanes *target;
    struct aw_event done;
    int result;
};

static void set_paused(struct pausing *pausing, uint64_t since_ms)
{
    uint64_t *paused_ms =
        pausing->queue ? &pausing->queue->paused_ms : &pausing->target->paused_ms;
    if (since_ms == 0 || *paused_ms == 0) /* paused again: the first time counts */
        *paused_ms = since_ms;
}

static void stored(struct store_change *change, int result)
{
    struct pausing *pausing = change->context;
    pausing->result = result;
    if (result == 0) {
        set_paused(pausing, change->now_ms);
        log_line(LOG_LEVEL_INFO, "%s %s: %s", pausing->queue ? "queue" : "target", change->name,
                 change->now_ms ? "paused, nothing of it starts" : "resumed");
        broker_event(pausing->broker,
                     &(struct event){.kind = change->now_ms ? EVENT_PAUSED : EVENT_RESUMED,
                                     .queue = pausing->queue ? change->name : NULL,
                                     .target = pausing->target ? change->name : NULL});
        if (change->now_ms == 0)
            dispatch_all(pausing->broker);
    }
    aw_event_set(&pausing->done);
}

static int find(struct pausing *pausing, enum pause_kind kind, struct argument name,
                struct aw_error *reterr)
{
    if (kind == PAUSE_TARGET) {
        pausing->target = registry_target(pausing->broker, name.data, name.size);
        if (!pausing->target)
            return broker_unknown_target(pausing->broker, name, reterr);
        pausing->change.name = pausing->target->target.settings.name;
        return 0;
    }
    pausing->queue = registry_queue(pausing->broker, name.data, name.size, true);
    if (!pausing->queue)
        return aw_error_set_code(reterr, -ENOSPC, "FULL", "too many queues (%u), or no memory",
                                 LANES_MAX);
    pausing->change.name = pausing->queue->name;
    return 0;
}

int broker_pause(struct broker *broker, enum pause_kind kind, struct argument name, bool pause,
                 struct aw_error *reterr)
{
    struct pausing pausing = {.broker = broker};
    pausing.change = (struct store_change){.kind = CHANGE_PAUSE,
                                           .id = kind,
                                           .now_ms = pause ? aw_wall_ms() : 0,
                                           .done = stored,
                                           .context = &pausing};
    int result = find(&pausing, kind, name, reterr);
    if (result < 0)
        return result;
    if (pause)
        set_paused(&pausing, pausing.change.now_ms);
    aw_event_init(&pausing.done);
    committer_add(&broker->committer, &pausing.change);
    struct aw_scope shield; /* the change is in this task's memory */
    aw_shield_enter(&shield, AW_NEVER);
    while (!pausing.done.set)
        AW_IGNORE(aw_event_wait(&pausing.done));
    aw_scope_leave(&shield);
    if (pausing.result < 0)
        return aw_error_set_code(reterr, pausing.result, "UNAVAILABLE",
                                 "the disk is full and awaitd is stopping: not stored");
    return 0;
}

static bool found(void *context, int kind, const char *name, uint64_t since_ms)
{
    struct broker *broker = context;
    if (kind == PAUSE_TARGET) {
        struct target_lanes *target = registry_target(broker, name, strlen(name));
        if (target) /* one that is not configured stays paused until it is again */
            target->paused_ms = since_ms;
        log_line(LOG_LEVEL_INFO, "target %s: paused, nothing of it starts", name);
        return true;
    }
    struct job_queue *queue = registry_queue(broker, name, strlen(name), true);
    if (!queue)
        return false;
    queue->paused_ms = since_ms;
    log_line(LOG_LEVEL_INFO, "queue %s: paused, nothing of it starts", name);
    return true;
}

int pause_load(struct broker *broker, struct aw_error *reterr)
{
    return store_read_paused(broker->store, found, broker, reterr);
}
