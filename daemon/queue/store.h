/* store.h - where jobs are kept: batches of changes in, windows of ready jobs out.
 *
 * The interface is narrow on purpose, so that a shared engine can stand in for the local file
 * (DESIGN, section 7). Every call suspends while the disk works; only the committer's task makes
 * them, one at a time.
 *
 * A batch is all or nothing, and durable when store_commit says 0. Its other results:
 *   -ENOSPC   known: nothing of the batch is stored, the disk is full;
 *   others    unknown: what is stored can only be learnt by opening the store again. The daemon
 * must answer nobody and stop. */
#ifndef QUEUE_STORE_H
#define QUEUE_STORE_H

#include "protocol/buffer.h"
#include "queue/job.h"
#include "queue/lane.h"

#include <await.h>

struct store;

#define ENDED_MESSAGE_SIZE 160
#define EXPIRED_MESSAGE "it had not been started in the time that EXPIRE gave it"

enum store_change_kind {
    CHANGE_INSERT, /* a new job, scheduled or ready; by its extras perhaps blocked, or not stored
                      (job_extras.h says how the store tells) */
    CHANGE_INSERT_ALL, /* several new jobs, or none of them: `group` */
    CHANGE_FINISH, /* ready -> done, dead or uncertain: `state`, result and error; or ready ->
                      cancelled */
    CHANGE_RETRY,  /* ready -> scheduled again, with its attempts and its error */
    CHANGE_MARK,   /* ready -> ready, marked as started (`now_ms`), or not any more (0) */
    CHANGE_CANCEL, /* scheduled, blocked or ready -> cancelled; for a job that is only on disk */
    CHANGE_WAKE,   /* scheduled jobs whose time has come -> ready, at most `limit` */
    CHANGE_DROP,   /* a job that waits is cancelled and deleted; so are those of the same queue,
                      up to `id_max`, that are cancelled by that */
    CHANGE_PAUSE,  /* the queue or target `name` is paused since `now_ms`, or not any more (0) */
    CHANGE_PURGE,  /* finished jobs whose time is over are deleted, at most `limit` */
    CHANGE_EXPIRE, /* jobs that should have started by `now_ms` -> dead, at most `limit` */
    CHANGE_RELEASE, /* what the ends of jobs mean for those AFTER them, where one change was not
                       enough */
    CHANGE_STEER,  /* jobs are retried, deleted or promoted by an operator: `steering` */
    CHANGE_CRON_SET,    /* `schedule` is stored, or takes the place of the one of its name */
    CHANGE_CRON_STEP,   /* its times move on without a job */
    CHANGE_CRON_DELETE, /* the one of that name goes */
};

/* The jobs of a MULTI. Each is a CHANGE_INSERT of its own, which tells what became of it; `done` of
 * these is not called. If one is refused none is applied. A job may wait for others of the group,
 * before it, by the ids they would get: if such a one is not stored because a live job has its KEY,
 * it waits for that. */
struct store_group {
    struct store_change *changes; /* with ascending ids, above those that other jobs may name */
    uint32_t count;
    uint32_t refused; /* filled: the number of the refused one, from 1; 0: none */
    uint64_t bytes;   /* of all jobs */
};

/* Jobs to be steered, and what came of it. The caller has seen to it that none of them runs. */
struct store_steering {
    enum steer_action action;
    const uint64_t *ids;
    const uint64_t *positions; /* RETRY: ids that no job has, for the ends of SERIAL lines */
    bool *changed;      /* filled: whether each was */
    struct lane **waited; /* filled, of DELETE: the lane of one that had not finished, else NULL */
    uint32_t count;
    uint32_t processed; /* filled: of the ids; fewer when `bytes_max` is reached */
};

/* A job that ended without having been executed, as a consequence of a change. */
struct ended_job {
    struct ended_job *next;
    uint64_t id;
    struct lane *lane;
    uint64_t purge_ms;
    enum job_state state;
    uint8_t flags;    /* the store's own */
    bool finished;    /* the store's own: its consequences have been drawn */
    const char *code; /* static */
    char message[ENDED_MESSAGE_SIZE];
};

/* A schedule as it is stored. Of CRON_STEP and a firing INSERT only the name and times count. */
struct store_schedule {
    const char *name;
    const char *expression;
    const char *zone;
    uint32_t misfire;  /* enum misfire */
    uint64_t next_ms;  /* 0: none */
    uint64_t last_ms;  /* the due time of the last job, 0: none yet; CRON_SET leaves it */
    uint64_t last_job;
    const void *request; /* SUBMIT's words, as a payload holds arguments */
    size_t request_size;
};

struct store_change {
    struct store_change *next;
    enum store_change_kind kind;
    struct job *job;              /* INSERT, FINISH, RETRY, MARK */
    uint64_t id;                  /* CANCEL, DROP; PAUSE: enum pause_kind */
    uint64_t id_max;              /* DROP */
    const char *name;             /* PAUSE */
    enum job_state state;         /* FINISH */
    uint64_t now_ms;              /* of the wall clock; RETRY does without */
    uint64_t purge_ms;            /* FINISH, CANCEL: delete it then; FINISH: 0 deletes it at once */
    uint32_t limit;               /* WAKE, PURGE, EXPIRE */
    uint64_t bytes_max;           /* WAKE, STEER: of the payloads that come into memory, at least
                                     one */
    struct store_steering *steering; /* STEER */
    struct store_group *group;    /* INSERT_ALL */
    bool attempt_spent;           /* FINISH, RETRY: job->attempts counts this execution already */
    const struct buffer *result;  /* FINISH */
    const char *error_code;       /* FINISH, RETRY */
    const char *error_message;
    /* CRON_*. INSERT: the schedule that the job is of, or NULL: its times move on in the same
     * transaction, so that each due time makes one job whatever happens */
    const struct store_schedule *schedule;

    /* filled by the store */
    struct lane *lane;  /* CANCEL, DROP: of the job */
    bool applied;       /* the job was in the state this change starts from */
    uint32_t changed;   /* WAKE, DROP, PURGE, EXPIRE, STEER: how many */
    struct job *woken;  /* jobs that became ready, linked by `next`, the receiver's */

    /* Filled by the store: what else follows for others. Any change that ends a job or inserts one
     * may have consequences; whoever makes it hands them on (broker's consequences_tell). */
    struct ended_job *ended; /* in order; the receiver's */
    struct ended_job *ended_last;
    uint64_t scheduled_ms;   /* the earliest time of jobs that became scheduled; 0: none */
    bool unfinished;         /* CHANGE_RELEASE must go on */

    size_t bytes; /* the committer's: what it counts as while it waits */

    /* for the committer's user */
    void (*done)(struct store_change *change, int result);
    void *context;
};

/* Finds or makes the lane of a stored row; NULL: no memory, or too many. */
typedef struct lane *(*store_lane_finder)(void *context, const char *queue, const char *target,
                                          uint32_t id);

/* Opens and recovers the store in the folder. Calls `lane_found` for each stored lane, with its
 * counts to be filled by the caller into the lane returned. Another daemon on the folder: -EBUSY.
 */
AW_MUST_CHECK AW_SUSPENDS int store_open(struct store **ret_store, const char *folder,
                                         store_lane_finder lane_found,
                                         struct lane *(*lane_by_id)(void *context, uint32_t id),
                                         void *context, struct aw_error *reterr);
AW_SUSPENDS void store_close(struct store *store);

/* A name no other store has, a random UUID as text: with it the ids of two daemons are told apart,
 * whatever their node numbers. */
#define STORE_NAME_SIZE 37
const char *store_name(const struct store *store);

/* Every id ever stored is at or below this one, also those of jobs deleted since; it only grows. */
uint64_t store_id_ceiling(const struct store *store);

/* One batch: begin, apply each change, then commit or roll back. */
AW_MUST_CHECK AW_SUSPENDS int store_begin(struct store *store, struct aw_error *reterr);
/* What belongs to the change (its job, its result) must live until the batch ends. */
AW_MUST_CHECK AW_SUSPENDS int store_apply(struct store *store, struct store_change *change,
                                          struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_commit(struct store *store, struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_roll_back(struct store *store, struct aw_error *reterr);

/* Whether an insertion would be refused, now; then job->extras says why. For those who insert
 * several jobs or none. */
AW_MUST_CHECK AW_SUSPENDS int store_check_insert(struct store *store,
                                                 const struct store_change *change,
                                                 bool *ret_refused, struct aw_error *reterr);

/* Frees what the store has filled in, when the batch was rolled back. */
void store_change_discard(struct store_change *change);

/* What memory knows of a job that is to expire: false, it has been started, and must not. Called
 * inside store_apply. */
void store_on_expire(struct store *store, bool (*may_expire)(void *context, uint64_t id));

/* Reads a lane's ready jobs behind the key, in order, at most `limit` and about `bytes_max`. They
 * come as a list linked by `next`; *ret_end says that the lane has no more. */
AW_MUST_CHECK AW_SUSPENDS int store_read_ready(struct store *store, struct lane *lane,
                                               struct lane_key after, uint32_t limit,
                                               uint64_t bytes_max, struct job **ret_jobs,
                                               bool *ret_end, struct aw_error *reterr);

/* The keys of the lane's ready jobs behind `after` and with ids up to id_max, in order; and the ids
 * of those that are scheduled or blocked, below `before`, the newest first: at most `limit`, how
 * many there are in *ret_count. */
AW_MUST_CHECK AW_SUSPENDS int store_list_ready(struct store *store, const struct lane *lane,
                                               struct lane_key after, uint64_t id_max,
                                               uint32_t limit, struct lane_key *keys,
                                               uint32_t *ret_count, struct aw_error *reterr);
AW_MUST_CHECK AW_SUSPENDS int store_list_held(struct store *store, const struct lane *lane,
                                              uint64_t before, uint32_t limit, uint64_t *ids,
                                              uint32_t *ret_count, struct aw_error *reterr);

/* What is paused; false: there is no memory for it. */
typedef bool (*store_paused_visitor)(void *context, int kind, const char *name, uint64_t since_ms);
AW_MUST_CHECK AW_SUSPENDS int store_read_paused(struct store *store, store_paused_visitor visitor,
                                                void *context, struct aw_error *reterr);

/* When the next scheduled job is due, the next finished one may go, the next one expires;
 * UINT64_MAX: none. */
struct store_times {
    uint64_t due_ms;
    uint64_t purge_ms;
    uint64_t expire_ms;
    bool unfinished; /* CHANGE_RELEASE must go on */
};
AW_MUST_CHECK AW_SUSPENDS int store_next_times(struct store *store, struct store_times *ret_times,
                                               struct aw_error *reterr);

/* What is stored about few jobs; views. */
struct stored_extra {
    struct argument key;    /* data NULL: none, as the next one */
    struct argument serial;
    uint64_t expire_ms;     /* 0: never, or not any more */
    uint32_t blockers;      /* jobs it still waits for */
    bool onfail_run;
    const uint64_t *after;  /* of these, those it is AFTER */
    uint32_t after_count;
};

/* A job as it is stored; views are valid inside the visitor only. */
struct stored_job {
    uint64_t id;
    struct lane *lane;
    enum job_state state;
    uint32_t priority;
    uint32_t attempts;
    uint32_t retries;
    uint32_t interruptions;
    uint64_t due_ms;      /* of a scheduled job, else 0 */
    uint64_t purge_ms;    /* of a finished job, else 0 */
    bool marked;          /* ready, and started before: see mark.c */
    uint64_t started_ms;  /* 0: never */
    uint64_t finished_ms; /* 0: not yet */
    uint64_t timeout_ms;
    uint64_t backoff_min_ms;
    uint64_t backoff_max_ms;
    uint64_t keep_ms;
    enum result_format format;
    uint8_t flags; /* enum job_flag */
    uint16_t coalesce; /* 0: as the target says */
    const struct stored_extra *extra; /* only from store_read_job, NULL: it has none */
    const void *payload;
    size_t payload_size;
    const void *result; /* NULL: none */
    size_t result_size;
    const char *error_code; /* NULL: none */
    const char *error_message;
};

typedef bool (*store_visitor)(void *context, const struct stored_job *job); /* false: stop */

/* 0, or -ENOENT. */
AW_MUST_CHECK AW_SUSPENDS int store_read_job(struct store *store, uint64_t id,
                                             store_visitor visitor, void *context,
                                             struct aw_error *reterr);

/* An execution that failed, the first one ever first. RETRY (the command) does not end the row of
 * numbers. Only the last ATTEMPTS_KEPT of a job are kept. */
#define ATTEMPTS_KEPT 20u
struct stored_attempt {
    uint64_t number;     /* from 1 */
    uint64_t started_ms; /* 0: it never started */
    uint64_t ended_ms;
    const char *error_code; /* NULL: none */
    const char *error_message;
};

AW_MUST_CHECK AW_SUSPENDS int store_read_attempts(struct store *store, uint64_t id,
                                                  void (*visitor)(void *context,
                                                                  const struct stored_attempt *),
                                                  void *context, struct aw_error *reterr);

/* Visits the jobs of one state behind a position, in the order of its index: scheduled and finished
 * ones by `key` (their time) and id, whatever the lane; ready ones of a lane by `key` (priority)
 * and id; blocked, dead, cancelled and uncertain ones of a lane by id. For JOB_DONE it visits every
 * finished job: the visitor tells them apart. Results are left out, and payloads unless asked for.
 */
struct store_walk {
    enum job_state state;
    uint32_t lane;
    uint64_t key;
    uint64_t id;
    bool with_payload;
};
AW_MUST_CHECK AW_SUSPENDS int store_walk(struct store *store, const struct store_walk *walk,
                                         store_visitor visitor, void *context,
                                         struct aw_error *reterr);

/* Visits jobs with ids above `after` in order, without their results, and without their payloads
 * unless asked for. */
AW_MUST_CHECK AW_SUSPENDS int store_scan(struct store *store, uint64_t after, bool with_payload,
                                         store_visitor visitor, void *context,
                                         struct aw_error *reterr);

/* Visits the schedules in order of their names; the views are valid inside the visitor only. */
typedef bool (*store_schedule_visitor)(void *context, const struct store_schedule *schedule);
AW_MUST_CHECK AW_SUSPENDS int store_read_schedules(struct store *store,
                                                   store_schedule_visitor visitor, void *context,
                                                   struct aw_error *reterr);

/* Checkpoints when the WAL has grown large (or always, with `force`). */
AW_MUST_CHECK AW_SUSPENDS int store_maintain(struct store *store, bool force,
                                             struct aw_error *reterr);

/* While held, nothing but commits changes the files, and those only add to the WAL. */
void store_hold_checkpoints(struct store *store, bool held);

/* Makes one file of the copy of a store's files at `path` and `path`-wal, and looks whether it is a
 * queue this awaitd can open; marks it as a copy (store_copy.h). */
AW_MUST_CHECK AW_SUSPENDS int store_merge_copy(const char *path, struct aw_error *reterr);

/* Bytes in the WAL; commits and changes since the start. */
struct store_statistics {
    uint64_t wal_bytes;
    uint64_t commits;
    uint64_t changes;
    uint64_t checkpoints;
    uint64_t sync_ns; /* time spent in syncs of the WAL */
};
void store_statistics(const struct store *store, struct store_statistics *ret_statistics);

#endif
