/* worker_state.h - the insides of the worker, shared by its rooms: worker.c turns, worker_reserve.c
 * takes jobs, worker_speak.c speaks about them. */
#ifndef CTL_WORKER_STATE_H
#define CTL_WORKER_STATE_H

#include "ctl/worker.h"
#include "ctl/worker_job.h"
#include "ctl/worker_link.h"

#include <poll.h>

enum question_kind { QUESTION_EXTEND, QUESTION_ANSWER };

struct question { /* sent, its reply to come */
    struct job *job;
    enum question_kind kind;
};

struct worker {
    const struct worker_settings *settings;
    struct job *jobs;
    struct worker_link reservations; /* in RESERVE nearly always */
    bool reserving;
    uint64_t reserve_after_ms;
    struct worker_link words;   /* EXTEND, ACK, NACK */
    struct question *questions; /* a ring of at most two a job, in the order sent */
    size_t question_first;
    size_t question_count;
    int signals_fd;
    unsigned signals_seen;
    bool draining;
    bool told_lost;
    uint64_t give_up_at_ms;
    enum exit_code code;
    struct pollfd *descriptors;
};

/* No new jobs from now on; the first code other than EXIT_OK is how the worker will end. */
void worker_drain(struct worker *worker, enum exit_code code);
uint32_t worker_count(const struct worker *worker, enum job_state state);

/* Closes a conversation that broke, and forgets what was asked in it. */
void worker_lose(struct worker *worker, struct worker_link *link);

/* Asks for jobs when there is room for some and nothing forbids it. */
void worker_reserve(struct worker *worker, uint64_t now_ms);
/* The reply to that: starts them. */
void worker_hear_reservation(struct worker *worker, redisReply *reply);

/* Says what is due about a job: EXTEND, or its answer. */
void worker_speak(struct worker *worker, struct job *job, uint64_t now_ms);
/* The reply to the oldest question; false when nothing was asked: the daemon says why it hangs
 * up. */
bool worker_hear_word(struct worker *worker, const redisReply *reply);

/* Whether an error reply is of that kind. */
bool worker_reply_begins(const redisReply *reply, const char *word);

#endif
