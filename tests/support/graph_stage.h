/* graph_stage.h - jobs with KEY, SERIAL, AFTER, BIND and EXPIRE in a bare store (store_stage.h),
 * each change as a batch of its own, and what it meant for others. All assert. */
#ifndef SUPPORT_GRAPH_STAGE_H
#define SUPPORT_GRAPH_STAGE_H

#include "queue/job_extras.h"
#include "support/store_stage.h"

#define NOW 100000u

/* What the last change meant for others. */
struct told {
    uint32_t woken;
    uint64_t last_woken; /* any of them */
    uint32_t ended;
    uint64_t scheduled_ms;
    bool unfinished;
};
extern struct told told;

/* A job with SUBMIT's options as one text. */
struct job *make(uint64_t id, const char *text);

/* Fills `told` and frees what the change carries. */
void hear(struct store_change *change);

/* Inserts one; gives its id, or that of the live job of its key. */
uint64_t insert(uint64_t id, const char *text);
/* Inserts one that is refused with that code and words, also by store_check_insert. */
void insert_refused(uint64_t id, const char *text, const char *code, const char *words);

struct store_change finish_of(struct job *job, enum job_state state, const struct buffer *result,
                              uint64_t purge_ms);
/* Ends a ready job; `flags` as memory knows them. */
void finish(uint64_t id, uint8_t flags, enum job_state state, const char *result,
            uint64_t purge_ms);
void cancel(uint64_t id);

/* Closes the store and opens it again. */
void reopen(void);

/* The stored error, and the job's second argument; static. */
const char *error_of(uint64_t id);
const char *argument_of(uint64_t id);

#endif
