/* store_stage.h - the queue's store in a folder of its own, with two lanes as the registry would
 * give them: lane 1 is queue "default", lane 2 is queue "other", both of target "local". All
 * assert. */
#ifndef SUPPORT_STORE_STAGE_H
#define SUPPORT_STORE_STAGE_H

#include "queue/store.h"

#define STAGE_LANES 2u

extern struct lane lanes[STAGE_LANES];
extern struct store *store;
extern uint32_t stage_lanes_found; /* by the last opening */

/* Makes the folder and goes there; removes it. */
void stage_enter_folder(void);
void stage_leave_folder(void);

/* Runs `body` inside aw_run. */
void stage_run(void (*body)(void));

/* The result of store_open in that folder. */
int stage_open_at(const char *path, struct aw_error *error);
void stage_open(void);
void stage_close(void);

void stage_begin(void);
void stage_apply(struct store_change *change);
void stage_commit(void);
/* One change as a batch of its own. */
void stage_change(struct store_change *change);

struct job *stage_make_job(uint64_t id, struct lane *lane, enum job_state state);
/* Inserts one job as a batch of its own. */
void stage_insert(uint64_t id, struct lane *lane, enum job_state state);
/* One batch of ready jobs of lane 1 with ids from `first` on. */
void stage_insert_batch(uint64_t first, size_t count);

/* A visitor that copies the row; its views are not valid. */
bool stage_copy_row(void *context, const struct stored_job *row);
struct stored_job stage_read_row(uint64_t id);
enum job_state stage_state_of(uint64_t id);

/* The counts in memory are those of the file, and those of its rows; closes and opens the store. */
void stage_check_counts(void);

#endif
