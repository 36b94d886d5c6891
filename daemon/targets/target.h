/* target.h - where jobs run: a database, HTTP servers or workers, as the configuration names them.
 *
 * The scheduler gives a target an execution and gets back an outcome; it never looks inside. A
 * target says by itself when it is down and when it is up again; while it is down the scheduler
 * holds its jobs (no attempt is spent), except that `execute` may still be called for RUN and must
 * then answer OUTCOME_UNAVAILABLE at once or within the execution's deadline.
 *
 * One table of functions a type (target_postgres.c, target_redis.c, target_sqlite.c); the object
 * behind `state` is the type's own. */
#ifndef TARGETS_TARGET_H
#define TARGETS_TARGET_H

#include "protocol/argument.h"
#include "protocol/value.h"

#include <await.h>

struct execution {
    const struct argument *arguments; /* without the target's name */
    uint32_t argument_count;
    uint64_t job_id;                  /* 0 for RUN */
    uint32_t attempt;                 /* from 1 */
    bool alone; /* it has failed or was cut off before: nothing else is to share its fate */
    uint32_t coalesce; /* the most jobs in its transaction; 0: as the target says, 1: itself */
    enum result_format format;
    size_t result_size_max;           /* bytes; more is OUTCOME_DEAD with code RESULTTOOBIG */
};

/* How an execution ended. The scheduler turns it into the job's next state; only OUTCOME_RETRY and
 * OUTCOME_DEAD (and a TIMEOUT) count as an attempt. */
enum outcome_kind {
    OUTCOME_DONE,  /* `result` holds the value */
    OUTCOME_RETRY, /* the job failed in a way that may pass: serialization failure, lock timeout */
    OUTCOME_DEAD,  /* the job itself is wrong: syntax, constraint, wrong type */
    OUTCOME_UNAVAILABLE, /* never reached the engine, or the engine is down or not accepting: no
                            attempt */
    OUTCOME_INTERRUPTED, /* the connection was lost while it ran: whether it took effect is unknown
                          */
    OUTCOME_STOPPED, /* the task was cancelled or its deadline passed, and the engine was told to
                        stop */
};

#define OUTCOME_KINDS 6

/* For who must know that what follows from an outcome is durable (a worker's ACK). */
struct settlement {
    struct aw_event done;
    bool stored; /* false: it was not stored, so the job may run again, or had ended before */
};

struct outcome {
    enum outcome_kind kind;
    char code[AW_ERROR_CODE_SIZE]; /* SQLSTATE, SQLITE_..., Redis' word, or ours in capitals */
    char message[AW_ERROR_MESSAGE_SIZE]; /* one line */
    struct buffer result;                /* RESP3 value (protocol/value.h); the receiver frees it */
    struct settlement *settlement;       /* told once, unless NULL; outlives the job's settling */
    bool has_delay; /* OUTCOME_RETRY: try again after delay_ms, not after the */
    uint64_t delay_ms;                   /* job's own backoff */
};

struct target;

struct target_type {
    const char *name; /* "postgres" */
    bool queued_only; /* RUN cannot use it: its jobs are taken by others */

    /* Checks the arguments at SUBMIT and RUN without touching the engine. 0, or -EINVAL with the
     * reason in *reterr ("needs <sql> [param ...]"). Must be quick and not suspend. */
    int (*check)(struct target *target, const struct argument *arguments, uint32_t count,
                 struct aw_error *reterr);

    /* Starts pools and background tasks inside target->group and returns without waiting for the
     * engine: an absent one is normal. Negative errno only for what can never work. */
    AW_SUSPENDS int (*start)(struct target *target, struct aw_error *reterr);

    /* How many executions it takes now, where that changes; NULL: target_capacity. After it has
     * grown the owner dispatches again. */
    uint32_t (*capacity)(const struct target *target);

    /* Runs one execution in the calling task, under its deadline and cancellation. Always fills
     * *ret_outcome. */
    AW_SUSPENDS void (*execute)(struct target *target, const struct execution *execution,
                                struct outcome *ret_outcome);

    /* What an administrator may run to make what the target's delivery needs in its engine: SQL, or
     * NULL when nothing is needed. NULL here: no target of the type needs anything. */
    const char *(*preparation)(const struct target *target);

    /* Makes that over the target's own connection: 0, or negative errno with one line in *reterr.
     * Only where there is a preparation. */
    AW_SUSPENDS int (*prepare)(struct target *target, struct aw_error *reterr);

    /* Leases (lease.h); NULL in a type without connections. One task calls all four of a session.
     *
     * Waits until this task has a connection for itself. `lost` is set whenever is_alive may have
     * changed. Negative errno with one line in *reterr. */
    AW_SUSPENDS int (*enter)(struct target *target, struct aw_event *lost, void **ret_session,
                             struct aw_error *reterr);

    /* Runs one execution there. 0: *ret_outcome is filled; -EINVAL: refused, *reterr has the
     * reply's word and why. When the task is interrupted the engine is told to stop it. */
    AW_SUSPENDS int (*execute_in)(struct target *target, void *session,
                                  const struct execution *execution, struct outcome *ret_outcome,
                                  struct aw_error *reterr);

    /* Whether the session's connection is still there; if not, *reterr says why. */
    bool (*is_alive)(struct target *target, void *session, struct aw_error *reterr);

    /* Rolls back what is open and gives the connection back as new, or closes it. Whether a
     * transaction was open. Called in a shield: bounds itself. */
    AW_SUSPENDS bool (*exit)(struct target *target, void *session);

    /* Closes connections and frees the state; nothing executes any more. */
    AW_SUSPENDS void (*stop)(struct target *target);
};

/* What may happen to a job whose execution was cut off, so that its outcome is unknown. */
enum target_delivery {
    TARGET_AT_LEAST_ONCE, /* it runs again */
    TARGET_AT_MOST_ONCE,  /* it is parked as uncertain */
    TARGET_EXACTLY_ONCE,  /* it runs again, and a receipt in the engine says whether it was done */
};

/* What only a target of type http has (a Redis one knows ca_file, too); see config/http_rules.h for
 * the texts. */
struct target_http_settings {
    const char *hosts;
    const char *headers;
    const char *ca_file;
    const char *proxy;
    uint32_t redirects;
    uint64_t response_size_max;
    uint32_t request_timeout_ms;
    uint64_t retry_after_max_ms;
};

/* From the configuration's [target name] section. Strings live as long as the target. */
struct target_settings {
    const char *name;
    const char *uri;       /* postgres, redis; http: the base, or NULL */
    const char *path;      /* sqlite; absolute by now */
    uint32_t connections;  /* the most this target may open; default 8 */
    uint32_t pipeline; /* the most executions in flight on one connection; default 16 (postgres),
                          1,024 (redis), 1 (sqlite) */
    uint32_t connect_timeout_ms; /* default 5,000 */
    uint32_t leases;             /* of the connections, for leases; 0: none */
    uint64_t lease_max_ms;       /* the longest lease, and the usual one */
    enum target_delivery delivery;
    uint64_t receipt_keep_ms;    /* how long an exactly-once job's receipt stays; 0: for ever */
    uint32_t coalesce;           /* the most jobs in one transaction; 0, 1: each has its own */
    const char *store;     /* name of the queue's store (a UUID): no other daemon has it */
    const char *password;  /* from a file or credential, NULL if none; never logged */
    struct target_http_settings http;
};

struct target {
    const struct target_type *type;
    struct target_settings settings;
    struct aw_group *group; /* for the target's background tasks; cancelled before stop */
    void *state;            /* the type's own */
    struct aw_semaphore leases; /* one for each connection that may be leased */
    uint32_t leases_held;

    /* Written by the target through target_set_up / target_set_down, read by the scheduler. */
    bool up;
    char down_reason[AW_ERROR_MESSAGE_SIZE];
    uint64_t down_since_ms;

    void (*changed)(struct target *target, void *context); /* set by the scheduler */
    /* Says of each job whether it is over for good: done or no longer stored, and not in execution
     * either. Such a job is never executed again. Set by the scheduler, or NULL. */
    AW_SUSPENDS int (*finished)(struct target *target, void *context, const uint64_t *ids,
                                uint32_t count, bool *ret_finished);
    void *context;
};

/* The most executions the scheduler hands over at once: connections * pipeline, or * coalesce
 * where that is more. */
uint32_t target_capacity(const struct target *target);

/* The engine answers, or does not (with why). Calls `changed` when that is news. A target begins
 * up; one that finds its engine gone sets itself down, keeps trying to connect with backoff and
 * jitter on its own, and sets itself up once a connection works. */
void target_set_up(struct target *target);
void target_set_down(struct target *target, const char *reason);

/* Fills an outcome (and frees a result it may hold). */
void outcome_set(struct outcome *outcome, enum outcome_kind kind, const char *code,
                 const char *format, ...) AW_PRINTF(4, 5);

/* The same for a job that is done: its result is the caller's to fill. */
void outcome_done(struct outcome *outcome);

extern const struct target_type target_type_postgres;
extern const struct target_type target_type_redis;
extern const struct target_type target_type_sqlite;
extern const struct target_type target_type_worker;
extern const struct target_type target_type_http;

#endif
