/* queue_book.h - what the clients of the queue scenario asked for and were told, and what the model
 * engines did: the truth that the queue is measured against. Lives in the world, over all lives. */
#ifndef SIM_QUEUE_BOOK_H
#define SIM_QUEUE_BOOK_H

#include "queue/broker_state.h"
#include "sim/scenario.h"

#define TOKENS 16384u

enum fate {
    FATE_NEVER,    /* not submitted */
    FATE_TRIED,    /* submitted, no answer: it may be there or not, once */
    FATE_PROMISED, /* acknowledged, or seen after a restart: it is there */
    FATE_REFUSED,  /* answered no: it is nowhere */
    FATE_GONE,     /* seen to be absent: it never comes back */
};

#define NOT_FINAL 255
#define PARENTS 2u
#define KEYS 6u    /* of KEY, and of SERIAL */

/* One job, named by its token, which is its first argument. */
struct kept_job {
    uint64_t id; /* 0: unknown */
    uint8_t fate;
    uint8_t final;  /* enum job_state that somebody was told or saw; NOT_FINAL */
    bool keep_short; /* deleted soon after its end */
    bool cancel_asked;
    bool retried;   /* by RETRY: what it had ended as may not be its last end */
    uint8_t queue;
    bool running;   /* in this life */
    bool dead_said;
    bool onfail_run;
    bool expires;
    uint8_t key;    /* 0: none, as the next one */
    uint8_t serial;
    uint8_t retries;
    uint16_t executions;
    uint16_t done_said;
    uint16_t failed_said; /* retry, or stopped by its timeout */
    uint16_t interrupted_said;
    uint32_t size; /* of its second argument */
    uint32_t parents[PARENTS]; /* tokens of AFTER, 0: none */
};

struct queue_book {
    uint32_t next; /* token */
    uint64_t id_max;
    uint32_t clients;
    uint32_t steps; /* of each client in a life */
    uint32_t size_bits;
    uint64_t memory_max;
    uint32_t execution_max_ms;
    uint32_t queues;
    uint32_t delay_bits;
    bool engine_fails;
    bool steers;    /* jobs are retried, deleted and promoted, queues paused and purged */
    bool graphs;    /* keys, lines and dependencies are used */
    struct kept_job jobs[TOKENS];
};

_Static_assert(sizeof(struct queue_book) <= SCENARIO_BYTES, "the book must fit");

static inline struct queue_book *queue_book(void)
{
    return (struct queue_book *)(void *)world->scenario;
}

/* queue_graph.c: keys, lines and dependencies. */
/* Chooses some for the job; `after` has room for the ids of its parents. */
void graph_choose(struct submit_options *options, struct kept_job *job, uint64_t after[PARENTS],
                  char keys[2][8]);
/* Nothing was stored: a live job has the key. */
void graph_existing(const struct kept_job *job, uint64_t id);
/* Refused: a job it is AFTER must be gone. */
void graph_refused(const struct kept_job *job, const struct aw_error *error);
/* The job is executed: nothing it waits for may be unfinished. */
void graph_begins(uint32_t token);
/* Whether it may have ended, or been cancelled for a parent, as far as the book knows. */
bool graph_may_have_ended(const struct kept_job *job);
bool graph_may_be_cancelled(const struct kept_job *job);
/* A known job, often a recent one; 0: none. */
uint32_t any_job(void);

/* Nobody may be answered once the store has failed. */
void check_may_answer(const char *what);

/* Somebody was told this end of the job: it must be a true one, and stay. */
void book_told(uint32_t token, enum job_state state, const char *how);

/* queue_steer.c: one of RETRY, DELETE, PROMOTE, QUEUE PURGE and QUEUE PAUSE. */
AW_SUSPENDS void steer_something(struct broker *broker);
/* Or nothing of a paused queue would ever end. */
AW_SUSPENDS void steer_resume_all(struct broker *broker);

/* queue_engine.c: fills the second argument, which the engine checks. */
void engine_fill(uint32_t token, uint32_t size, char *bytes);
uint32_t engine_token(struct argument argument);

/* queue_check.c: reads the whole store and holds it against the book. Returns how many jobs have
 * not ended, or -1 when the store cannot be read (after a fault). `opening`: what is absent
 * never was. */
AW_SUSPENDS int64_t queue_check(struct broker *broker, bool opening);

/* queue_client.c: a task that submits, watches and cancels at random. */
AW_SUSPENDS int queue_client(void *broker);

#endif
