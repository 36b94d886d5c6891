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

/* One job, named by its token, which is its first argument. */
struct kept_job {
    uint64_t id; /* 0: unknown */
    uint8_t fate;
    uint8_t final;  /* enum job_state that somebody was told or saw; NOT_FINAL */
    bool keep_short; /* deleted soon after its end */
    bool cancel_asked;
    bool running;   /* in this life */
    bool dead_said;
    uint8_t retries;
    uint16_t executions;
    uint16_t done_said;
    uint16_t failed_said; /* retry, or stopped by its timeout */
    uint16_t interrupted_said;
    uint32_t size; /* of its second argument */
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
    struct kept_job jobs[TOKENS];
};

_Static_assert(sizeof(struct queue_book) <= SCENARIO_BYTES, "the book must fit");

static inline struct queue_book *queue_book(void)
{
    return (struct queue_book *)(void *)world->scenario;
}

/* Somebody was told this end of the job: it must be a true one, and stay. */
void book_told(uint32_t token, enum job_state state, const char *how);

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
