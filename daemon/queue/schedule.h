/* schedule.h - recurring jobs (CRON): the schedules in memory. Shared by the schedule_*.c files.
 *
 * Every schedule is in memory and in the store, which is written first: a change that a client asks
 * for is made in memory once it is durable. A schedule that fires is the other way round: its times
 * move on in memory at once, and in the store in the transaction that inserts the job
 * (store_change.schedule). After a crash the store's time counts, so a due time neither makes two
 * jobs nor none.
 *
 * States of a schedule:
 *   new       `stored` is false: its first commit is under way; nobody sees it
 *   waiting   next_ms is when it is due, 0: never again
 *   changing  a CRON SET or DEL of it is under way: it does not fire, a second one waits
 *   broken    plan.zone is NULL: what is stored cannot be used any more; `error` says why
 *
 * Who owns what: `schedules` owns all of it; a change on its way to the store holds views into its
 * schedule, which therefore lives until the change is done: changes end in order, and the one that
 * deletes it comes last. */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "cron/cron_next.h"
#include "protocol/name.h"
#include "queue/broker_state.h"

#define SCHEDULES_MAX 10000u
#define SCHEDULES_BYTES_MAX (64u * 1024 * 1024) /* of what they submit, all together */
#define SCHEDULE_REQUEST_SIZE_MAX (1024u * 1024)
#define SCHEDULE_NEXT_SHOWN 5

struct schedule_zone {
    struct schedule_zone *next;
    struct time_zone *zone;
    char name[TIME_ZONE_NAME_SIZE_MAX + 1];
};

/* What a client has set. */
struct schedule_plan {
    char expression_text[CRON_EXPRESSION_SIZE_MAX + 1];
    struct cron_expression expression;
    const struct schedule_zone *zone;
    enum misfire misfire;
    struct job *request; /* its arguments are SUBMIT's words, its payload what is stored of them */
};

struct schedule {
    char name[NAME_SIZE_MAX + 1];
    struct schedule_plan plan;
    uint64_t next_ms;
    uint64_t last_ms;  /* the due time its last job is for; 0: none yet */
    uint64_t last_job;
    uint32_t caught_up; /* missed due times made good in a row (MISFIRE all) */
    char *error;        /* why the last due time made no job, or NULL */
    bool stored;
    bool changing;
    bool step_pending;  /* `step` is on its way to the store */
    bool step_again;    /* its times have moved on, and wait for that or for a change to end */
    struct store_change step;
    struct store_schedule step_row;
    struct broker *broker;
};

struct schedules {
    struct schedule **list; /* sorted by name */
    uint32_t count;
    uint32_t capacity;
    uint64_t bytes;          /* of their requests */
    struct schedule_zone *zones;
    const struct schedule_zone *zone_default;
    struct aw_event changed; /* one was set or deleted: the clock and those who wait look again */
    uint64_t clock_ahead_ms; /* wall clock less monotonic one, at the last look */
};

/* --- schedule.c ------------------------------------------------------------------------ */
/* The one of that name, or NULL; *ret_index (if not NULL) gets its place, or where it belongs. */
struct schedule *schedule_find(const struct schedules *schedules, struct argument name,
                               uint32_t *ret_index);
/* Makes room and puts it where it belongs. -ENOMEM. */
AW_MUST_CHECK int schedule_insert(struct schedules *schedules, struct schedule *schedule);
/* Takes it out and frees it. */
void schedule_remove(struct schedules *schedules, struct schedule *schedule);
/* The zone of that name, loaded the first time. */
AW_MUST_CHECK AW_SUSPENDS int schedule_zone(struct schedules *schedules, struct argument name,
                                            const struct schedule_zone **ret_zone,
                                            struct aw_error *reterr);
/* The row that is stored of it now. */
struct store_schedule schedule_row(const struct schedule *schedule);

/* --- schedule_clock.c ------------------------------------------------------------------ */
/* Brings back to the present one whose next time lies so far ahead that only a clock set back
 * explains it. */
void schedule_heal(struct schedule *schedule, uint64_t now_ms);

/* --- schedule_fire.c ------------------------------------------------------------------- */
/* Deals with the due time of one schedule that is due. */
void schedule_fire(struct schedule *schedule, uint64_t now_ms);
/* Stores its present times. */
void schedule_step(struct schedule *schedule);
/* Notes and logs why a due time made no job. */
void schedule_failed(struct schedule *schedule, const struct aw_error *error);

#endif
