/* broker.h - the queue as the protocol's commands see it: submit, watch, cancel, look, run.
 *
 * The broker owns every job from the moment it is accepted. What a call promises is true when it
 * comes back (or calls back): "submitted" means fsynced, "finished" means that the outcome is.
 *
 * All calls are for the loop's thread. Those that suspend belong in a task of the command's own;
 * they return -ECANCELED / -ETIME when that task is interrupted, and nothing is half done then. */
#ifndef QUEUE_BROKER_H
#define QUEUE_BROKER_H

#include "config/config.h"
#include "protocol/argument.h"
#include "protocol/buffer.h"
#include "protocol/submit_options.h"
#include "queue/events.h"
#include "queue/job.h"
#include "queue/walk_position.h"
#include "targets/target.h"

#include <await.h>

struct broker;

/* --- life ------------------------------------------------------------------------------ */

/* Opens and recovers the queue in configuration->daemon.state and starts the targets. *ret_broker
 * is for broker_close. Negative errno with one line in *reterr: the daemon must not start. */
AW_MUST_CHECK AW_SUSPENDS int broker_open(const struct config *configuration,
                                          struct broker **ret_broker, struct aw_error *reterr);

/* Refuses new jobs, starts none, lets what runs finish until the deadline, then cancels it (those
 * jobs stay queued and lose no attempt). What has finished is committed and told to who waits. */
AW_SUSPENDS void broker_drain(struct broker *broker, uint64_t deadline_ns);

/* Drains without waiting if that has not been done, commits what is left, checkpoints and closes.
 * Nobody may be inside any other call. */
AW_SUSPENDS void broker_close(struct broker *broker);

/* --- submitting ------------------------------------------------------------------------ */

/* Called once when the job is durable (error NULL), or when it was not stored (error->code is the
 * reply's word, such as "FULL"). Not in a task: must not suspend. */
typedef void (*broker_submitted)(void *context, uint64_t id, const struct aw_error *error);

/* Accepts a job and hands it to the next group commit. The options and arguments are copied. 0:
 * `done` will be called, never before this returns. Negative errno: refused, `done` is not called;
 * reterr->code is the error's first word ("ERR", "NOTARGET", "FULL", "UNAVAILABLE") and
 * reterr->message the rest. */
AW_MUST_CHECK int broker_submit(struct broker *broker, const struct submit_options *options,
                                struct argument target, const struct argument *arguments,
                                uint32_t count, broker_submitted done, void *context,
                                struct aw_error *reterr);

/* Whether broker_submit would accept it, as far as is known without the store. */
AW_MUST_CHECK int broker_may_submit(struct broker *broker, struct argument target,
                                    const struct argument *arguments, uint32_t count,
                                    struct aw_error *reterr);

/* Several jobs, all or none: begun, filled, then submitted or thrown away, without suspending in
 * between. */
struct submission_group;

/* Called once, not in a task: with the ids in order, or with the error (its message says which job
 * was refused). The ids are valid inside the call. */
typedef void (*broker_group_submitted)(void *context, const uint64_t *ids, uint32_t count,
                                       const struct aw_error *error);

/* For `count` jobs, at most MULTI_JOBS_MAX. NULL: no memory. */
struct submission_group *broker_group_begin(struct broker *broker, uint32_t count);
/* Adds the next job; its options may refer to earlier ones of the group. Errors as
 * broker_submit's. */
AW_MUST_CHECK int broker_group_add(struct submission_group *group, struct submit_options *options,
                                   struct aw_error *reterr);
/* Hands the group, which holds all its jobs, to the next group commit. */
void broker_group_submit(struct submission_group *group, broker_group_submitted done,
                         void *context);
void broker_group_abandon(struct submission_group *group);

/* Whether so much waits for the disk that a connection should stop reading for a while. */
bool broker_is_congested(const struct broker *broker);

/* Waits until it is not. */
AW_MUST_CHECK AW_SUSPENDS int broker_wait_uncongested(struct broker *broker);

/* --- schedules: recurring jobs ---------------------------------------------------------- */

/* What becomes of due times that were missed: the daemon was down, or its clock jumped. Stored. */
enum misfire { MISFIRE_SKIP, MISFIRE_ONCE, MISFIRE_ALL };

struct schedule_settings {
    struct argument name;
    struct argument expression; /* cron/cron_expression.h */
    struct argument zone;       /* data NULL: that of the configuration */
    enum misfire misfire;
    struct argument *words;     /* what follows SUBMIT */
    uint32_t word_count;
};

/* Stores the schedule, in the place of one of its name; what it will submit is checked as SUBMIT
 * does. 0 once it is durable; negative errno with the reply's word in reterr->code (or without:
 * -ECANCELED). */
AW_MUST_CHECK AW_SUSPENDS int broker_schedule_set(struct broker *broker,
                                                  const struct schedule_settings *settings,
                                                  struct aw_error *reterr);

/* Deletes it: 1, or 0 when there is none, or as broker_schedule_set. */
AW_MUST_CHECK AW_SUSPENDS int broker_schedule_delete(struct broker *broker, struct argument name,
                                                     struct aw_error *reterr);

/* Submits its job now, whatever its times are, which stay. 0 and the id once it is durable;
 * -ENOENT: no such schedule; others as broker_schedule_set. */
AW_MUST_CHECK AW_SUSPENDS int broker_schedule_run(struct broker *broker, struct argument name,
                                                  uint64_t *ret_id, struct aw_error *reterr);

/* Appends the schedule as a map, or all of them as an array of maps (which lack the command). */
AW_MUST_CHECK int broker_schedule_describe(struct broker *broker, struct argument name,
                                           struct buffer *out); /* 0 or -ENOENT */
AW_MUST_CHECK AW_SUSPENDS int broker_schedule_list(struct broker *broker, struct buffer *out);

/* --- waiting for the end of jobs ------------------------------------------------------- */

/* One job somebody waits for. Lives in the waiter's memory until broker_unwatch. */
struct watch {
    uint64_t id;             /* set by the caller, like `event` */
    struct aw_event *event;  /* set when the job has finished; several watches may share one */
    bool known;              /* false after broker_watch: no such job (NOJOB) */
    bool finished;           /* then the fields below are filled */
    enum job_state state;    /* JOB_DONE, JOB_DEAD, JOB_CANCELLED, JOB_UNCERTAIN */
    struct buffer result;    /* of a done job: a RESP3 value */
    char code[AW_ERROR_CODE_SIZE];
    char message[AW_ERROR_MESSAGE_SIZE];
    struct watch *next;      /* private, like the rest */
    struct watch **slot;
};

/* Begins to watch `count` jobs; those that have finished already are filled in at once (and their
 * events set). Returns 0, or negative errno with nothing watched. */
AW_MUST_CHECK AW_SUSPENDS int broker_watch(struct broker *broker, struct watch *watches,
                                           size_t count);

/* Ends it and frees the results. */
void broker_unwatch(struct broker *broker, struct watch *watches, size_t count);

/* --- workers ---------------------------------------------------------------------------- */

struct reserve_request {
    const struct argument *targets; /* names; of type worker */
    uint32_t target_count;          /* 1 ... RESERVE_TARGETS_MAX */
    uint32_t count;                 /* how many jobs at most */
    uint64_t lease_ms;
    uint64_t deadline_ns;           /* how long to wait for the first one */
};

/* Appends an array of [id, token, attempt, argument ...], empty when time is up. Negative errno
 * with the reply's word in reterr->code (or without: -ECANCELED). */
AW_MUST_CHECK AW_SUSPENDS int broker_reserve(struct broker *broker,
                                             const struct reserve_request *request,
                                             struct buffer *out, struct aw_error *reterr);

enum worker_word_kind { WORKER_ACK, WORKER_NACK, WORKER_EXTEND, WORKER_PROGRESS };

struct worker_word {
    enum worker_word_kind kind;
    uint64_t id;
    uint64_t token;
    uint64_t number;             /* NACK: delay; EXTEND: lease; both in ms. PROGRESS: percent */
    bool has_delay;              /* NACK */
    const struct argument *text; /* ACK: result; NACK: reason; PROGRESS: text; or NULL */
};

/* What a worker says about the job it holds. ACK and NACK come back when their effect is durable.
 * Negative errno with the reply's word in reterr->code: BADTOKEN, CANCELLED, NOJOB. */
AW_MUST_CHECK AW_SUSPENDS int broker_worker_says(struct broker *broker,
                                                 const struct worker_word *word,
                                                 struct aw_error *reterr);

/* --- looking and steering -------------------------------------------------------------- */

/* Cancels jobs that have not finished; running ones are stopped on the server too. Returns how many
 * were cancelled. */
AW_MUST_CHECK AW_SUSPENDS int broker_cancel(struct broker *broker, const uint64_t *ids,
                                            size_t count);

/* Retries, deletes or promotes jobs (enum steer_action says which). Comes back when that is
 * durable, whatever happens to the caller, and returns how many were changed; negative errno when
 * nothing was, or not all.
 *
 * A job that runs is not deleted. Who waits for a job that is deleted before it finished is told
 * that it was cancelled. A job is not retried while another live job has its KEY. */
AW_MUST_CHECK AW_SUSPENDS int broker_steer(struct broker *broker, enum steer_action action,
                                           const uint64_t *ids, size_t count);

/* Appends the job as a map value. -ENOENT: no such job. */
AW_MUST_CHECK AW_SUSPENDS int broker_describe(struct broker *broker, uint64_t id,
                                              struct buffer *out);

struct job_filter {
    struct argument queue;  /* data NULL: any */
    struct argument target; /* data NULL: any */
    struct argument match;  /* glob over the first argument; data NULL: any */
    unsigned states;        /* a bit for each enum job_state; 0: any */
    uint64_t limit;         /* JOBS: 1...10,000; bulk commands: UINT64_MAX for all */
    uint64_t id_max;        /* no job above it; 0: any */
    struct walk_position cursor; /* all 0: from the start */
};

/* Appends [cursor, [job map ...]]; cursor "0" at the end. Looks at a bounded number of jobs a call,
 * so a page may hold fewer than `limit` (even none) before the end. */
AW_MUST_CHECK AW_SUSPENDS int broker_list(struct broker *broker, const struct job_filter *filter,
                                          struct buffer *out);

/* Steers the jobs that pass the filter, page by page, at most `limit` and none that was submitted
 * after the call. *ret_changed says how many were changed, also on failure. */
AW_MUST_CHECK AW_SUSPENDS int broker_steer_where(struct broker *broker, enum steer_action action,
                                                 const struct job_filter *filter,
                                                 uint64_t *ret_changed);
AW_MUST_CHECK AW_SUSPENDS int broker_cancel_where(struct broker *broker,
                                                  const struct job_filter *filter,
                                                  uint64_t *ret_changed);

/* Runs it now, without the queue. The outcome's kinds are those of targets/target.h. -ENOENT: no
 * such target; -EINVAL: wrong arguments (reterr says why); else 0 and *ret_outcome is filled. The
 * caller's scopes bound it. */
AW_MUST_CHECK AW_SUSPENDS int broker_run(struct broker *broker, enum result_format format,
                                         struct argument target, const struct argument *arguments,
                                         uint32_t count, struct outcome *ret_outcome,
                                         struct aw_error *reterr);

/* The target of that name, for a lease. -ENOENT (NOTARGET), -ESHUTDOWN (UNAVAILABLE). */
AW_MUST_CHECK int broker_find_target(struct broker *broker, struct argument name,
                                     struct target **ret_target, struct aw_error *reterr);

/* --- queues and targets ----------------------------------------------------------------- */

enum pause_kind { PAUSE_QUEUE = 0, PAUSE_TARGET = 1 }; /* stored: never change one */

/* Nothing of a paused queue or target starts until it is resumed, also after a restart; what runs
 * goes on, submissions are accepted. Comes back when it is durable. A queue need not exist yet.
 * Negative errno with the reply's word in reterr->code. */
AW_MUST_CHECK AW_SUSPENDS int broker_pause(struct broker *broker, enum pause_kind kind,
                                           struct argument name, bool pause,
                                           struct aw_error *reterr);

/* Deletes the jobs of the queue that wait: those submitted before the call. Who awaits one is told
 * that it was cancelled. *ret_count is how many were deleted, also when it was interrupted. Nothing
 * of the queue starts meanwhile. */
AW_MUST_CHECK AW_SUSPENDS int broker_purge_queue(struct broker *broker, struct argument name,
                                                 uint64_t *ret_count, struct aw_error *reterr);

/* Append an array of maps, from what memory holds. */
void broker_list_queues(const struct broker *broker, struct buffer *out);
void broker_list_targets(const struct broker *broker, struct buffer *out);

/* Append one map with everything. -ENOENT: no such queue or target. */
AW_MUST_CHECK AW_SUSPENDS int broker_queue_statistics(struct broker *broker, struct argument name,
                                                      struct buffer *out, struct aw_error *reterr);
AW_MUST_CHECK int broker_target_statistics(struct broker *broker, struct argument name,
                                           struct buffer *out, struct aw_error *reterr);

/* --- events ------------------------------------------------------------------------------ */

/* Has every event told to the listener from now on; NULL: to nobody. */
void broker_listen(struct broker *broker, event_listener listener, void *context);

/* Tells an event; what it says must be durable. */
void broker_event(struct broker *broker, const struct event *event);

/* Comes back once the committer has done all that was asked of it before: 0, or how the caller was
 * interrupted. For the watchdog. */
AW_MUST_CHECK AW_SUSPENDS int broker_probe(struct broker *broker);

/* Writes a copy of the queue as it is at one moment into a new file, which gets its name once it
 * is whole and on the disk; jobs go on meanwhile. -EINVAL (a relative path), -EEXIST, -EBUSY
 * (another one is being made), or the errno of what failed. */
AW_MUST_CHECK AW_SUSPENDS int broker_backup(struct broker *broker, const char *path,
                                            struct aw_error *reterr);

/* The configuration it was opened with has new contents. */
void broker_configuration_changed(struct broker *broker);

/* Appends the broker's sections of INFO ("# Jobs", "# Queues", "# Targets", "# Store") as key:value
 * lines. `section` NULL: all. */
void broker_info(const struct broker *broker, const char *section, struct buffer *out);

/* Appends the broker's part of METRICS: at most METRICS_QUEUES_MAX queues one by one, in the order
 * of their making, and all of them in the sums. */
#define METRICS_QUEUES_MAX 200u
AW_MUST_CHECK AW_SUSPENDS int broker_metrics(struct broker *broker, struct buffer *out,
                                             struct aw_error *reterr);

#endif
