/* queue_stage.h - a broker on a real SQLite target in a folder of its own, for tests of the queue.
 * The target's database holds `CREATE TABLE effect (number, ...)`: what jobs did. */
#ifndef SUPPORT_QUEUE_STAGE_H
#define SUPPORT_QUEUE_STAGE_H

#include "queue/broker_state.h"

struct queue_stage {
    char folder[64];
    struct config configuration;
    struct broker *broker;
};

/* Makes the folder. */
void queue_stage_make(struct queue_stage *stage);
void queue_stage_remove(struct queue_stage *stage);

/* Opens the broker with `settings` behind the [daemon] section's state and the target `local`.
 * Asserts. */
void queue_stage_open(struct queue_stage *stage, const char *settings);
void queue_stage_close(struct queue_stage *stage);

/* Runs `body` inside aw_run. */
void queue_stage_run(void (*body)(void));

/* Submits to `local` with the options of SUBMIT as one text ("PRIORITY 3 DELAY 10 local") and one
 * SQL text; waits until it is durable. Returns the id; 0 when it was refused, with the reason in
 * *reterr. */
uint64_t queue_stage_try_submit(struct queue_stage *stage, const char *options, const char *sql,
                                struct aw_error *reterr);
uint64_t queue_stage_submit(struct queue_stage *stage, const char *options, const char *sql);

/* The same without waiting: the id goes to *ret_id later. */
void queue_stage_submit_later(struct queue_stage *stage, const char *options, const char *sql,
                              uint64_t *ret_id);

/* Submits `count` jobs of 1.2 KB, whose effects are priority * 1,000,000 + index, with random
 * priorities 0...4 or with 7; waits until all are durable. */
void queue_stage_submit_many(struct queue_stage *stage, uint32_t count, bool with_priorities,
                             uint64_t *ids);

/* Until the job runs. */
void queue_stage_wait_running(struct queue_stage *stage, uint64_t id);

/* Waits for the job's end and fills *ret_watch; free it with broker_unwatch. */
void queue_stage_await(struct queue_stage *stage, uint64_t id, struct watch *ret_watch);
/* Only its state. */
enum job_state queue_stage_end_of(struct queue_stage *stage, uint64_t id);

int queue_stage_cancel(struct queue_stage *stage, uint64_t id);

/* The value of a field of JOB, as text ("" for null); the buffer is static. NULL: no such job. */
const char *queue_stage_field(struct queue_stage *stage, uint64_t id, const char *field);

/* The first value of a query on the target's database, through RUN. */
int64_t queue_stage_number(struct queue_stage *stage, const char *sql);

#endif
