/* settle.h - the rule that turns an outcome into a job's next state. Pure, so that it can be tested
 * case by case.
 *
 *   outcome        next                                          attempt spent
 *   DONE           done                                          yes
 *   RETRY          scheduled after the backoff, or dead          yes
 *   DEAD           dead                                          yes
 *   STOPPED        cancelled, if that was asked for              no
 *                  like RETRY with code TIMEOUT, if timed out    yes
 *                  ready, if the daemon is stopping              no
 *   UNAVAILABLE    ready (the target holds it)                   no
 *   INTERRUPTED    ready: it may have run, and runs again        no, until INTERRUPTIONS_MAX lost
 *                  (at-least-once, exactly-once)                 connections; then like RETRY
 *                  uncertain (at-most-once)                      yes
 *
 * Exactly-once: a job whose last outcome was INTERRUPTED ends uncertain where another would end
 * dead or cancelled: it may have been done, and no further run will find the receipt.
 */
#ifndef QUEUE_SETTLE_H
#define QUEUE_SETTLE_H

#include "queue/job.h"
#include "targets/target.h"

/* A job that takes its connection down again and again is itself the reason. */
#define INTERRUPTIONS_MAX 20u

struct decision {
    enum job_state state; /* JOB_READY, JOB_SCHEDULED or a final one */
    bool attempt_spent;
    uint64_t delay_ms;    /* of JOB_SCHEDULED */
};

/* `random` in [0, 2^32) jitters the backoff. */
struct decision settle_decide(const struct job *job, enum outcome_kind outcome,
                              enum target_delivery delivery, bool timed_out, uint32_t random);

/* Exponential: minimum * 2^(attempts - 1), at most the maximum, jittered by a quarter either way
 * and kept inside [minimum, maximum]. `attempts` counts from 1. */
uint64_t settle_backoff_ms(uint64_t minimum_ms, uint64_t maximum_ms, uint32_t attempts,
                           uint32_t random);

#endif
