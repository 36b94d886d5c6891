/* traffic.h - what a queue or a target has done lately: rates, and how long jobs waited and ran.
 *
 * Rates are exponentially weighted averages over one and five minutes, as the system's load is;
 * from the start on they are those of the time that has passed. Counting costs an addition; the
 * averages move on at most once a second. */
#ifndef QUEUE_TRAFFIC_H
#define QUEUE_TRAFFIC_H

#include "protocol/buffer.h"
#include "queue/histogram.h"

enum traffic_event { TRAFFIC_SUBMITTED, TRAFFIC_STARTED, TRAFFIC_DONE, TRAFFIC_FAILED };
#define TRAFFIC_EVENTS 4

enum traffic_span { TRAFFIC_1_MINUTE, TRAFFIC_5_MINUTES };
#define TRAFFIC_SPANS 2

struct latency {
    struct histogram times; /* of the last minutes */
    uint64_t count;         /* since the start */
    uint64_t sum_us;
};

struct latencies {
    struct latency waiting;
    struct latency running;
};

struct traffic {
    uint64_t began_ns;
    uint64_t folded_ns;
    uint64_t counts[TRAFFIC_EVENTS]; /* since then */
    double rates[TRAFFIC_EVENTS][TRAFFIC_SPANS];
    uint64_t totals[TRAFFIC_EVENTS]; /* since the start */
    struct latencies *latencies;     /* made with the first job that starts */
};

void traffic_init(struct traffic *traffic, uint64_t now_ns);
void traffic_free(struct traffic *traffic);

void traffic_count(struct traffic *traffic, enum traffic_event event, uint64_t now_ns);
/* A second. */
double traffic_rate(struct traffic *traffic, enum traffic_event event, enum traffic_span span,
                    uint64_t now_ns);

/* A job started, ended its execution. Without memory for it the time is not counted. */
void traffic_waited(struct traffic *traffic, uint64_t waited_us, uint64_t now_ns);
void traffic_ran(struct traffic *traffic, uint64_t ran_us, uint64_t now_ns);

/* Appends TRAFFIC_FIELDS pairs of a map: the rates and the percentiles. */
#define TRAFFIC_FIELDS 14
void traffic_write(struct traffic *traffic, uint64_t now_ns, struct buffer *out);

#endif
