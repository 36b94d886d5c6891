/* clockwork.c - what happens by time: scheduled jobs become ready, finished ones are deleted, those
 * that were not started by their EXPIRE are dead. And what the ends of jobs leave to be done for
 * those AFTER them.
 *
 * Times are on the wall clock, which can step; so while something is scheduled the task looks again
 * at least every RECHECK_MS. Nothing is held in memory for a scheduled job but the time of the
 * nearest one. */
#include "queue/broker_state.h"

#include "admin/log.h"

#define RECHECK_MS 1000u
#define WAKE_JOBS 1000u
#define WAKE_BYTES (8u * 1024 * 1024)
#define PURGE_JOBS 1000u
#define EXPIRE_JOBS 256u

struct clock_change {
    struct store_change change;
    struct broker *broker;
    struct aw_event done;
};

void clockwork_note_due(struct broker *broker, uint64_t due_ms)
{
    if (due_ms >= broker->next_due_ms)
        return;
    broker->next_due_ms = due_ms;
    aw_event_set(&broker->clock_changed);
}

void clockwork_note_purge(struct broker *broker, uint64_t purge_ms)
{
    if (purge_ms == 0 || purge_ms >= broker->next_purge_ms)
        return;
    broker->next_purge_ms = purge_ms;
    aw_event_set(&broker->clock_changed);
}

void clockwork_note_expiry(struct broker *broker, uint64_t expire_ms)
{
    if (expire_ms >= broker->next_expire_ms)
        return;
    broker->next_expire_ms = expire_ms;
    aw_event_set(&broker->clock_changed);
}

void clockwork_note_release(struct broker *broker)
{
    broker->release_pending = true;
    aw_event_set(&broker->clock_changed);
}

struct times_read {
    struct store_read read;
    struct broker *broker;
    struct aw_error error;
    int result;
};

static void perform_times(struct store_read *read, struct store *store)
{
    struct times_read *times = read->context;
    struct broker *broker = times->broker;
    struct store_times next;
    times->result = store_next_times(store, &next, &times->error);
    if (times->result < 0)
        return;
    broker->next_due_ms = next.due_ms;
    broker->next_purge_ms = next.purge_ms;
    broker->next_expire_ms = next.expire_ms;
    broker->release_pending = next.unfinished;
}

int clockwork_read(struct broker *broker)
{
    struct times_read times = {.broker = broker};
    times.read.perform = perform_times;
    times.read.context = &times;
    committer_read(&broker->committer, &times.read);
    if (times.result < 0)
        log_fatal("%s", times.error.message);
    return times.result;
}

static void change_done(struct store_change *change, int result)
{
    (void)result; /* given up on a full disk: nothing has happened */
    struct clock_change *clock = change->context;
    consequences_tell(clock->broker, change);
    aw_event_set(&clock->done);
}

/* Makes one change and waits until it is durable. */
static void make_change(struct broker *broker, enum store_change_kind kind, uint32_t limit)
{
    struct clock_change clock = {.broker = broker};
    clock.change = (struct store_change){
        .kind = kind, .now_ms = aw_wall_ms(), .limit = limit, .bytes_max = WAKE_BYTES,
        .done = change_done, .context = &clock};
    aw_event_init(&clock.done);
    committer_add(&broker->committer, &clock.change);
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (!clock.done.set)
        AW_IGNORE(aw_event_wait(&clock.done));
    aw_scope_leave(&shield);
}

/* How long the task may sleep. */
static uint64_t time_left_ms(const struct broker *broker, uint64_t now_ms)
{
    uint64_t next_ms = broker->next_due_ms < broker->next_purge_ms ? broker->next_due_ms
                                                                    : broker->next_purge_ms;
    if (broker->next_expire_ms < next_ms)
        next_ms = broker->next_expire_ms;
    if (broker->release_pending)
        return 0;
    if (next_ms == UINT64_MAX)
        return UINT64_MAX;
    uint64_t left_ms = next_ms > now_ms ? next_ms - now_ms : 0;
    return left_ms < RECHECK_MS ? left_ms : RECHECK_MS;
}

static void sleep_until_next(struct broker *broker)
{
    uint64_t left_ms = time_left_ms(broker, aw_wall_ms());
    if (left_ms == 0)
        return;
    struct aw_scope scope;
    aw_event_clear(&broker->clock_changed);
    aw_scope_enter(&scope, left_ms == UINT64_MAX ? AW_NEVER : aw_after_ms(left_ms));
    AW_IGNORE(aw_event_wait(&broker->clock_changed));
    aw_scope_leave(&scope);
}

int clockwork_main(void *argument)
{
    struct broker *broker = argument;
    aw_task_set_name(NULL, "clockwork");
    while (aw_interrupted() == 0) {
        uint64_t now_ms = aw_wall_ms();
        bool wake_due = broker->next_due_ms <= now_ms;
        bool purge_due = broker->next_purge_ms <= now_ms;
        bool expire_due = broker->next_expire_ms <= now_ms;
        bool release_due = broker->release_pending;
        if (expire_due)
            make_change(broker, CHANGE_EXPIRE, EXPIRE_JOBS);
        if (release_due)
            make_change(broker, CHANGE_RELEASE, 0);
        if (wake_due)
            make_change(broker, CHANGE_WAKE, WAKE_JOBS);
        if (purge_due)
            make_change(broker, CHANGE_PURGE, PURGE_JOBS);
        if (wake_due || purge_due || expire_due || release_due) {
            AW_IGNORE(clockwork_read(broker));
            dispatch_all(broker);
        }
        sleep_until_next(broker);
    }
    return 0;
}
