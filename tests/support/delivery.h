/* delivery.h - one target with receipts, and jobs of given ids on it. */
#ifndef SUPPORT_DELIVERY_H
#define SUPPORT_DELIVERY_H

#include "targets/target.h"

#define DELIVERY_STORE "0b6f3c1e-7a52-4a0f-9c1d-2f0e8a4b5c6d"

extern struct target delivery_target;
extern struct outcome delivery_outcome; /* of the last job */

/* What the target is told of finished jobs; NULL: it does not ask, and cleans no receipts. */
extern int (*delivery_finished)(struct target *target, void *context, const uint64_t *ids,
                                uint32_t count, bool *ret_finished);

/* Starts a target with these settings (name, store and limits are filled in), runs the body as the
 * first task of a loop, and stops it. */
void delivery_run(const struct target_type *type, struct target_settings settings,
                  void (*body)(void));

/* Executes the words (ended by NULL) as the job of that id; 0: as RUN does. */
__attribute__((sentinel)) void delivery_execute(uint64_t job_id, ...);

/* What the target says at SUBMIT; the reason of a refusal is in *reterr. */
__attribute__((sentinel)) int delivery_check(struct aw_error *reterr, ...);

/* The outcome is done with this RESP3 value, or failed in this way. */
void delivery_expect_result(uint64_t job_id, const char *text);
void delivery_expect_failure(enum outcome_kind kind, const char *code);

/* Executes a statement as RUN and compares its result. */
void delivery_expect(const char *sql, const char *text);

#endif
