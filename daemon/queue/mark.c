/* mark.c - at-most-once: what is started is on disk before it starts.
 *
 * A job of such a target is marked in the store, durably, and only then executed. One that is read
 * back from the store with its mark was being executed when the daemon ended: whether it took
 * effect is unknown, and it becomes uncertain. One that comes back without having had an effect
 * (its target was down, the daemon stops) has its mark taken away, durably again, before it stands
 * in a window. Jobs of other targets are never marked, and pay nothing. */
#include "queue/broker_state.h"

static bool is_marking(const struct target_lanes *target)
{
    return target->target.settings.delivery == TARGET_AT_MOST_ONCE;
}

struct marking {
    struct store_change change;
    struct aw_event done;
    int result;
};

static void marked(struct store_change *change, int result)
{
    struct marking *marking = change->context;
    marking->result = result;
    aw_event_set(&marking->done);
}

/* Whatever happens to the caller: the change is in its memory. */
static bool store_mark(struct broker *broker, struct job *job, uint64_t now_ms)
{
    struct marking marking = {0};
    marking.change = (struct store_change){
        .kind = CHANGE_MARK, .job = job, .now_ms = now_ms, .done = marked, .context = &marking};
    aw_event_init(&marking.done);
    committer_add(&broker->committer, &marking.change);
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (!marking.done.set)
        AW_IGNORE(aw_event_wait(&marking.done));
    aw_scope_leave(&shield);
    return marking.result == 0 && marking.change.applied;
}

bool mark_started(struct execution_record *record)
{
    struct job *job = record->job;
    if (is_marking(record->target) && !job->marked)
        job->marked = store_mark(record->broker, job, aw_wall_ms());
    return job->marked || !is_marking(record->target);
}

void mark_take_away(struct execution_record *record)
{
    if (record->job->marked && store_mark(record->broker, record->job, 0))
        record->job->marked = false;
}

bool mark_was_running(const struct job *job)
{
    return job->marked && job->lane->target && is_marking(job->lane->target);
}
