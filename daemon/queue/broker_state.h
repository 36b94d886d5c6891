/* broker_state.h - the broker's insides, shared by the files of this folder only.
 *
 * Who owns what: the registry owns queues and lanes, for as long as the broker lives; the job table
 * owns the jobs in memory; the committer's task is the only one that touches the store. */
#ifndef QUEUE_BROKER_STATE_H
#define QUEUE_BROKER_STATE_H

#include "queue/broker.h"
#include "queue/committer.h"
#include "queue/job_id.h"
#include "queue/job_table.h"
#include "queue/lane.h"
#include "queue/store.h"
#include "queue/spares.h"
#include "queue/token_bucket.h"
#include "queue/traffic.h"

#define LANES_MAX 20000u
#define LANE_BUCKETS 1024u
#define WATCH_BUCKETS 4096u

/* A named queue: shared limits over all its targets. */
struct job_queue {
    struct job_queue *next;
    char *name;
    const struct config_queue *settings;
    struct lane *lanes; /* linked by queue_next */
    uint32_t running;
    uint64_t paused_ms; /* since when nothing starts, 0: it is not paused */
    uint32_t purging;   /* how many purges are under way: nothing starts either */
    uint64_t accepted;  /* jobs that are on their way to the store, */
    uint64_t accepted_bytes; /* and their arguments */
    struct token_bucket bucket;
    struct traffic traffic;
};

/* A target of the configuration and the lanes that feed it. */
struct target_lanes {
    struct target target;
    struct broker *broker;
    struct lane *turn;  /* the lane to be served next, in the ring of lanes with a window */
    uint32_t lane_count; /* in that ring */
    uint32_t running;
    uint32_t capacity;
    bool started;
    uint64_t outcomes[OUTCOME_KINDS]; /* how executions ended, RUN's too */
    uint64_t paused_ms;  /* since when nothing starts, 0: it is not paused */
    uint64_t changed_ms; /* when it went up or down last */
    struct token_bucket bucket;
    struct traffic traffic;
};

struct lane_slot { /* the registry's hash chain */
    struct lane lane;
    struct lane_slot *next;
    struct lane *ring_previous; /* in target_lanes' ring, when the window is not empty */
    struct lane *ring_next;
    struct store_read refill;
    bool in_ring;
};

struct broker_counters {
    uint64_t submitted;
    uint64_t done;
    uint64_t dead;
    uint64_t uncertain;
    uint64_t retried;
    uint64_t cancelled;
    uint64_t executed;
    uint64_t interrupted;
    uint64_t refused;
};

#define SPARES_MAX 1024u

struct broker {
    const struct config *configuration;
    struct store *store;
    struct committer committer;
    struct job_table jobs;
    struct job_id_generator ids;

    struct job_queue *queues;
    uint32_t queue_count;
    struct lane_slot *lane_buckets[LANE_BUCKETS];
    struct lane **lanes; /* by id - 1 */
    uint32_t lane_count;
    struct target_lanes *targets;
    uint32_t target_count;
    uint64_t window_bytes; /* of all windows; running jobs and pending changes come on top */

    struct watch *watches[WATCH_BUCKETS];
    struct stored_cancel *cancels; /* of jobs that are only on disk, not committed yet */

    event_listener listener; /* NULL: nobody listens */
    void *listener_context;

    uint64_t next_token_ns; /* when something that waits for a token may start; AW_NEVER */
    struct aw_event token_wanted;

    uint64_t next_due_ms;   /* no scheduled job is due before it */
    uint64_t next_purge_ms;
    uint64_t next_expire_ms;
    bool release_pending; /* CHANGE_RELEASE must go on */
    struct aw_event clock_changed;

    struct schedules *schedules; /* schedule.h */

    struct aw_group background; /* clock, disk watcher, targets' own tasks */
    struct aw_group commits;    /* the committer: outlives all who wait for it */
    struct aw_group executions;
    uint64_t disk_free_bytes; /* at the last look, less what was accepted since */
    struct broker_counters counters;
    struct spares records;     /* struct execution_record; SPARES_MAX of each are kept */
    struct spares submissions; /* submit.c's */
    bool stopping;
    bool drained;
    bool backup_runs;
};

/* --- registry.c: queues, lanes, targets ------------------------------------------------ */
struct lane_slot *lane_slot_of(struct lane *lane);
struct target_lanes *registry_target(struct broker *broker, const char *name, size_t name_size);
/* The lane of that queue for that target, made if need be. NULL: no memory or LANES_MAX reached. */
struct lane *registry_lane(struct broker *broker, const char *queue, size_t queue_size,
                           const char *target, size_t target_size);
struct lane *registry_lane_by_id(void *broker, uint32_t id);
struct lane *registry_stored_lane(void *broker, const char *queue, const char *target,
                                  uint32_t id);
/* The queues' settings, from a configuration that has changed. */
void registry_look_up_settings(struct broker *broker);
/* The queue of that name; with `make` made if need be. NULL: none, no memory, or too many. */
struct job_queue *registry_queue(struct broker *broker, const char *name, size_t name_size,
                                 bool make);
void registry_free(struct broker *broker);

/* --- limits.c: how much a queue holds, and how fast things start ----------------------- */
/* Whether the queue takes a job with that many bytes of arguments: 0, or -ENOSPC and FULL. */
AW_MUST_CHECK int limits_check(const struct job_queue *queue, uint64_t payload_size,
                               struct aw_error *reterr);
/* The job is on its way to the store; it has arrived there, or never will. */
void limits_accepted(const struct job *job);
void limits_stored(const struct job *job);
/* Whether there is a token; if not, dispatch_all comes when there is. */
bool limits_have_token(struct broker *broker, const struct token_bucket *bucket);
/* Both have one: a job starts. */
void limits_take_tokens(struct target_lanes *target, struct job_queue *queue);
/* The task that waits for tokens. */
AW_SUSPENDS int limits_main(void *broker);

/* --- oldest.c, look_queue.c ------------------------------------------------------------- */
struct oldest_job {
    const struct job_queue *queue;
    uint64_t id; /* 0: none is ready, or it was too far to look */
};
/* The oldest job that is ready of each of these queues. */
AW_MUST_CHECK AW_SUSPENDS int oldest_find(struct broker *broker, struct oldest_job *wanted,
                                          uint32_t count, struct aw_error *reterr);
uint64_t oldest_age_ms(const struct oldest_job *oldest, uint64_t now_ms);
/* Adds its jobs by state, and the bytes of those that have not finished. */
void look_count_queue(const struct job_queue *queue, int64_t counts[JOB_STATES], int64_t *bytes);
/* How many executions it takes at once now. */
uint32_t look_capacity(const struct target_lanes *target);

/* --- note.c: statistics and events of what happens, each once it is durable ------------- */
void note_submitted(struct broker *broker, const struct job *job);
void note_started(const struct execution_record *record);
void note_ran(const struct execution_record *record);
void note_settled(const struct execution_record *record);
/* Of a job that ended without having run. */
void note_ended(struct broker *broker, const struct ended_job *ended);
/* `lane` NULL: not known. */
void note_cancelled(struct broker *broker, uint64_t id, const struct lane *lane);
void note_progress(struct broker *broker, uint64_t id, uint32_t percent, struct argument text);
void note_target(struct broker *broker, const struct target *target);

/* --- pause.c ---------------------------------------------------------------------------- */
/* What the store says is paused. Before the committer runs. */
AW_MUST_CHECK AW_SUSPENDS int pause_load(struct broker *broker, struct aw_error *reterr);

/* --- submit.c: finds the target and checks the arguments ------------------------------- */
AW_MUST_CHECK int broker_check(struct broker *broker, struct argument name,
                               const struct argument *arguments, uint32_t count,
                               struct target_lanes **ret_target, struct aw_error *reterr);

/* Makes the job that the options ask for, with its id, or refuses it as broker_submit does. */
AW_MUST_CHECK int submit_make_job(struct broker *broker, const struct submit_options *options,
                                  struct argument target_name, const struct argument *arguments,
                                  uint32_t count, uint64_t now_ms, struct job **ret_job,
                                  struct aw_error *reterr);
/* A job was inserted: memory takes what it needs of it. */
void submit_take_in(struct broker *broker, struct store_change *change);

/* Fills *reterr: NOTARGET and the names that are known. -ENOENT. */
int broker_unknown_target(const struct broker *broker, struct argument name,
                          struct aw_error *reterr);

/* --- window.c: what of the backlog is in memory ---------------------------------------- */
/* A ready job that is stored now: into its window, or back to being only on disk (then it is
 * freed). */
void window_admit(struct broker *broker, struct job *job);
/* The same for a job that comes back from an execution that did not count. */
void window_return(struct broker *broker, struct job *job);
/* Takes a ready job out of its window; false when it is not there. */
bool window_take(struct broker *broker, struct job *job);
struct job *window_pop(struct broker *broker, struct lane *lane);
void window_refill(struct broker *broker, struct lane *lane);
/* Refills whatever wants it: at the start, and now and then in case memory had run out. */
void window_tick(struct broker *broker);

/* --- dispatch.c: which job runs next --------------------------------------------------- */
void dispatch(struct target_lanes *target);
void dispatch_all(struct broker *broker);
/* The job's place in its queue is free: once its outcome is durable, so that with a concurrency of
 * one the next job starts only when the one before it can no longer run again. */
void dispatch_leave_queue(struct broker *broker, struct job_queue *queue);

/* One execution of one job; freed when its outcome is committed. */
struct execution_record {
    struct job *job;
    struct broker *broker;
    struct target_lanes *target;
    struct outcome outcome;
    struct store_change change;
    struct aw_scope scope;
    uint64_t started_ns;
    bool in_scope;
    bool timed_out;
};

/* --- settle.c: without a job yet; NULL: no memory ---------------------------------------- */
struct execution_record *execution_record_new(struct broker *broker);
void execution_record_free(struct execution_record *record);

/* --- cancel.c ----------------------------------------------------------------------- */
/* Cancels a job that memory does not hold, if it has not finished; who watches it is told. */
AW_MUST_CHECK int cancel_stored(struct broker *broker, uint64_t id);
/* Whether that is about to happen: such a job does not come into memory any more, so that it does
 * not start on the way to its end. */
bool cancel_is_pending(const struct broker *broker, uint64_t id);
/* Each id once, in order, in memory of the caller's. NULL: no memory. */
uint64_t *unique_ids(const uint64_t *ids, size_t count, size_t *ret_count);

/* --- receipts.c: exactly-once, which receipts may go (target->finished) ------------------ */
AW_MUST_CHECK AW_SUSPENDS int receipts_finished(struct target *target, void *lanes,
                                                const uint64_t *ids, uint32_t count,
                                                bool *ret_finished);

/* --- mark.c: at-most-once, started jobs are known on disk ------------------------------ */
/* Before it is executed. false: it must not be (the store did not take the mark). */
AW_MUST_CHECK AW_SUSPENDS bool mark_started(struct execution_record *record);
/* Before it goes back to being ready. A mark that cannot be taken away (a full disk at the end)
 * stays: the job is uncertain after the next start. */
AW_SUSPENDS void mark_take_away(struct execution_record *record);
/* Whether this ready job, as read from the store, was being executed when a daemon ended. */
bool mark_was_running(const struct job *job);

/* --- walk.c: the jobs that pass a filter, page by page ---------------------------------- */
struct walk {
    struct store_read read;
    struct broker *broker;
    const struct job_filter *filter; /* its `limit` and `cursor` are not looked at */
    uint64_t limit;                  /* jobs of a page */
    struct walk_position position;   /* where the page begins, then where the next one does; all 0
                                        at the end */
    void (*visitor)(void *context, const struct stored_job *job);
    void *context;
    uint64_t found; /* on the page */
    uint64_t bytes;
    uint32_t looked_at;
    bool stopped; /* before the end */
    int result;
};
AW_MUST_CHECK AW_SUSPENDS int walk_page(struct walk *walk);
/* The job's state with what only memory knows: whether it runs. */
enum job_state walk_state_now(const struct broker *broker, const struct stored_job *job);

/* --- settle.c: from outcome to the job's next state --------------------------------- */
void settle(struct execution_record *record);
/* Cancels a job that waits in memory (it has been taken out of its window). */
int settle_cancelled(struct broker *broker, struct job *job);
/* Ends a job whose EXPIRE has passed; it has been taken out of its window. */
int settle_expired(struct broker *broker, struct job *job);
/* Parks a job that was being executed when a daemon ended; it is in the table, in no window. */
int settle_uncertain(struct broker *broker, struct job *job);
/* Forgets a job that memory no longer needs. */
void forget_job(struct broker *broker, struct job *job);

/* --- consequences.c: what a change meant for other jobs ------------------------------ */
/* Takes what the store filled in: jobs that became ready go into their windows, who waits for those
 * that ended is told. Every callback of a change that may end or insert a job calls it once the
 * change is durable. */
void consequences_tell(struct broker *broker, struct store_change *change);
/* A job ended in the store without memory's doing: what memory holds of it is void. */
void consequences_drop(struct broker *broker, uint64_t id);
/* Whether the job may not be started any more. */
bool consequences_expired(const struct job *job);
/* For store_on_expire: takes a job that waits out of its window; false: it has started. */
bool consequences_may_expire(void *broker, uint64_t id);
/* One more job ended so. */
void count_final(struct broker *broker, enum job_state state);

/* --- watches.c ------------------------------------------------------------------------- */
void watches_finish(struct broker *broker, uint64_t id, enum job_state state,
                    const struct buffer *result, const char *code, const char *message);

/* --- clockwork.c: scheduled jobs become ready, finished ones are deleted --------------- */
AW_SUSPENDS int clockwork_main(void *broker);
void clockwork_note_due(struct broker *broker, uint64_t due_ms);
void clockwork_note_purge(struct broker *broker, uint64_t purge_ms);
void clockwork_note_expiry(struct broker *broker, uint64_t expire_ms);
void clockwork_note_release(struct broker *broker);
/* Reads the next times from the store. */
AW_MUST_CHECK AW_SUSPENDS int clockwork_read(struct broker *broker);

/* --- schedule*.c: recurring jobs ------------------------------------------------------- */
/* Reads them from the store, before the committer has it. */
AW_MUST_CHECK AW_SUSPENDS int schedules_open(struct broker *broker, struct aw_error *reterr);
AW_SUSPENDS int schedules_main(void *broker); /* the task that fires them */
void schedules_free(struct schedules *schedules);
/* As broker_submit, for a schedule whose times become `step` in the same transaction. The name it
 * points at must live until `done`; step->last_job is filled in. */
AW_MUST_CHECK int submit_scheduled(struct broker *broker, const struct submit_options *options,
                                   struct argument target, const struct argument *arguments,
                                   uint32_t count, const struct store_schedule *step,
                                   broker_submitted done, void *context, struct aw_error *reterr);

#endif
