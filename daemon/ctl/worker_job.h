/* worker_job.h - a job in the worker's hands: its lease, its command, and what to say about it.
 *
 *   free -> running -> finished (the answer waits for the daemon's OK) -> free
 *
 * A running job that is no longer ours (cancelled, or its lease lost) goes from running to free:
 * its command is ended, and nobody wants an answer. */
#ifndef CTL_WORKER_JOB_H
#define CTL_WORKER_JOB_H

#include "ctl/worker.h"
#include "ctl/words.h"
#include "ctl/worker_child.h"

#include <hiredis/hiredis.h>

#define NEVER_MS UINT64_MAX
#define KILL_AFTER_MS 5000        /* between SIGTERM and SIGKILL */
#define EXTEND_PAUSE_MAX_MS 10000 /* a cancelled job's command runs on at most that long */

enum job_state { JOB_FREE, JOB_RUNNING, JOB_FINISHED };
enum job_fate { FATE_OWN, FATE_TIMED_OUT, FATE_STOPPED, FATE_TAKEN }; /* why its command ends */

struct job { /* all-zero is free */
    enum job_state state;
    enum job_fate fate;
    redisReply *reserved; /* [id, token, attempt, argument ...]: owned */
    struct child child;
    uint64_t extend_at_ms;
    uint64_t timeout_at_ms; /* NEVER_MS: none */
    uint64_t kill_at_ms;    /* NEVER_MS: SIGTERM was not sent */
    bool extending;         /* EXTEND is out, its reply is not in */
    bool answering;         /* the same of the answer */
    struct words answer;
};

/* Whether it is one element of RESERVE's reply. */
bool job_valid(const redisReply *reserved);

const char *job_id(const struct job *job);

/* Starts the command; `reserved` becomes the job's. 0, or the negative errno of the start: then the
 * job is finished already, its answer a NACK. A job whose arguments no command line can carry is
 * finished likewise, with 0. */
int job_start(struct job *job, const struct worker_settings *settings, redisReply *reserved,
              uint64_t now_ms);

/* Ends the command: SIGTERM, and later SIGKILL. */
void job_stop(struct job *job, enum job_fate fate, uint64_t now_ms);

/* What time has brought: the timeout, SIGKILL. */
void job_tick(struct job *job, const struct worker_settings *settings, uint64_t now_ms);

/* When job_tick or an extension is due next. */
uint64_t job_due_ms(const struct job *job);
void job_plan_extension(struct job *job, const struct worker_settings *settings, uint64_t now_ms);

/* Looks whether the command has ended, and makes its answer. */
void job_collect(struct job *job, const struct worker_settings *settings);

/* Of a job that is not free. */
void job_free(struct job *job);

#endif
