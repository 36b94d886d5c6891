/* job.h - one job, in memory while it waits for a commit, stands in a ready window, or runs.
 *
 * States:
 *   scheduled  not before its time: DELAY, AT, or a retry after a failure
 *   blocked    waits for other jobs (AFTER)
 *   ready      may run
 *   running    runs now; known in memory only: on disk the job is still ready, so that a crash
 *              simply makes it run again; that of an at-most-once target is marked (mark.c)
 *   done       finished well; its result is kept for KEEP ms
 *   dead       failed for good; kept with its reason
 *   cancelled  cancelled before it finished
 *   uncertain  whether it took effect is unknown (at-most-once)
 *
 * The numbers are stored: never change one.
 *
 * A struct job belongs to the broker's job table from the moment it is made or loaded; it is freed
 * when memory no longer needs it (it finished, or went back to being only on disk). */
#ifndef QUEUE_JOB_H
#define QUEUE_JOB_H

#include "protocol/argument.h"
#include "protocol/value.h"

#include <await.h>

enum job_state {
    JOB_SCHEDULED = 0,
    JOB_BLOCKED = 1,
    JOB_READY = 2,
    JOB_RUNNING = 3,
    JOB_DONE = 4,
    JOB_DEAD = 5,
    JOB_CANCELLED = 6,
    JOB_UNCERTAIN = 7,
};
#define JOB_STATES 8

/* What else is stored about a job: most have none of it, and cost nothing for it. Stored too. */
enum job_flag {
    JOB_HAS_KEY = 1,      /* no other live job has its key */
    JOB_HAS_SERIAL = 2,   /* it waits for those of its serial key that came before */
    JOB_HAS_EXPIRY = 4,   /* dead if not started by then */
    JOB_HAS_AFTER = 8,    /* it waits, or waited, for other jobs */
    JOB_HAS_BIND = 16,    /* arguments out of other jobs' results */
    JOB_HAS_HISTORY = 32, /* attempts that failed */
};

#define JOB_EXTRA_FLAGS \
    (JOB_HAS_KEY | JOB_HAS_SERIAL | JOB_HAS_EXPIRY | JOB_HAS_AFTER | JOB_HAS_BIND)

/* What an operator does with jobs, besides cancelling them. */
enum steer_action {
    STEER_RETRY,   /* dead, cancelled or uncertain -> ready, as if it had never run */
    STEER_DELETE,  /* finished or waiting -> gone; a waiting one is cancelled first */
    STEER_PROMOTE, /* scheduled -> ready */
};

struct lane;
struct execution_record;
struct job_extras;

struct job {
    uint64_t id;
    struct lane *lane;          /* its queue and target */
    struct job *table_next;     /* in the job table's bucket */
    struct job *next;           /* in whatever list its owner keeps */
    struct execution_record *record; /* while it runs */
    struct job_extras *extras;  /* until it is stored; freed with the job */
    struct job *successor;      /* the same job, retried before this execution of it had ended */
    uint64_t due_ms;            /* wall clock: when a scheduled job becomes ready, 0: never was */
    uint64_t ready_ms;          /* when it began to wait; 0: with its submission, as far as known */
    uint64_t started_ms;        /* of the last attempt */
    uint64_t timeout_ms;        /* of one execution; 0: none */
    uint64_t backoff_min_ms;
    uint64_t backoff_max_ms;
    uint64_t keep_ms;
    uint64_t expire_ms;         /* wall clock: not to be started from then on; 0: none */
    uint32_t priority;
    uint32_t retries;           /* attempts after the first */
    uint32_t attempts;          /* spent so far */
    uint32_t interruptions;     /* connections lost while it ran; see settle.h */
    uint8_t state;              /* JOB_SCHEDULED, JOB_READY or JOB_RUNNING */
    uint8_t format;             /* enum result_format */
    uint8_t flags;              /* enum job_flag */
    uint16_t coalesce;          /* the most jobs in its transaction; 0: as the target says */
    bool cancel_requested;
    bool marked;                /* the store says that it has been started: see mark.c */
    bool ended_in_store;        /* cancelled there while it runs here: its outcome comes too late */
    bool in_table;
    uint32_t argument_count;
    uint32_t payload_size;
    char *payload;              /* the arguments as they are stored; inside this allocation */
    struct argument arguments[]; /* views into payload */
};

const char *job_state_name(enum job_state state);
/* The state of that name (any case), or -1. */
int job_state_parse(struct argument name);
bool job_state_is_final(enum job_state state);

/* When the job was submitted: its id says it. */
uint64_t job_created_ms(const struct job *job);

/* What the job's memory counts as, against the limit of the ready windows. */
size_t job_size_bytes(const struct job *job);

/* A stored job and its result share one row, which SQLite limits to 10^9 bytes. */
#define JOB_PAYLOAD_SIZE_MAX UINT32_C(480000000)
#define JOB_RESULT_SIZE_MAX UINT32_C(480000000)

/* What the arguments need when stored. */
uint64_t job_payload_size(const struct argument *arguments, uint32_t count);

/* Makes a job of copies of the arguments. NULL: no memory, or more than JOB_PAYLOAD_SIZE_MAX. */
struct job *job_new(const struct argument *arguments, uint32_t count);

/* Makes a job from its stored payload. NULL: no memory, or (*ret_corrupt) not a payload. */
struct job *job_from_payload(const void *payload, size_t size, bool *ret_corrupt);

/* Appends the arguments of a stored payload as an array value; false when it is corrupt. */
bool job_payload_write(const void *payload, size_t size, struct buffer *out);

void job_free(struct job *job);

#endif
