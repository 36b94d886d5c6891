/* events.h - what happens to jobs, queues and targets, told to whoever listens (SUBSCRIBE).
 *
 * An event is told once what it says is durable. Nothing is kept: who does not listen then misses
 * it. While nobody listens an event costs one branch. */
#ifndef QUEUE_EVENTS_H
#define QUEUE_EVENTS_H

#include "protocol/buffer.h"

enum event_kind {
    EVENT_SUBMITTED,
    EVENT_STARTED,
    EVENT_PROGRESS,
    EVENT_RETRY,
    EVENT_DONE,
    EVENT_DEAD,
    EVENT_CANCELLED,
    EVENT_UNCERTAIN,
    EVENT_EXPIRED,
    EVENT_PAUSED,
    EVENT_RESUMED,
    EVENT_UP,
    EVENT_DOWN,
    EVENT_FIRED,  /* a cron entry has submitted its job */
    EVENT_MISSED, /* a cron entry has not */
};

/* What it is about: those that are set each have a channel. Texts are the teller's. */
struct event {
    enum event_kind kind;
    uint64_t job;           /* 0: none */
    const char *queue;      /* NULL: none */
    const char *target;     /* NULL: none */
    const char *cron;       /* NULL: none */
    uint32_t attempt;       /* from 1; 0: none */
    uint64_t time_ms;       /* of the wall clock; 0: now */
    const char *error_code; /* NULL or empty: none */
    const char *error_message;
    bool has_percent;       /* EVENT_PROGRESS */
    uint32_t percent;
    const char *text;       /* NULL: none */
};

typedef void (*event_listener)(void *context, const struct event *event); /* must not suspend */

const char *event_kind_name(enum event_kind kind);

/* The name of its channel number `index`, "job:17", NULL when it has no more. */
#define EVENT_CHANNEL_SIZE 80
const char *event_channel(const struct event *event, unsigned index,
                          char channel[EVENT_CHANNEL_SIZE]);

/* Appends it as one JSON object on one line. */
void event_write(const struct event *event, struct buffer *out);

#endif
