/* metrics.h - what the parts of the broker's METRICS share. */
#ifndef QUEUE_METRICS_H
#define QUEUE_METRICS_H

#include "protocol/exposition.h"
#include "queue/broker_state.h"

/* The quantiles of a summary `name` with the label, and its sum and count. `divisor` makes the
 * family's unit of the histogram's. */
struct summary {
    struct histogram *times; /* NULL: nothing was counted */
    double sum;
    uint64_t count;
    double divisor;
};
void metrics_summary(struct buffer *out, const char *name, struct label label,
                     const struct summary *summary);
/* Of microseconds, as seconds. `latency` may be NULL. */
void metrics_latency(struct buffer *out, const char *name, struct label label,
                     struct latency *latency);

AW_MUST_CHECK AW_SUSPENDS int metrics_queues(struct broker *broker, struct buffer *out,
                                             struct aw_error *reterr);
void metrics_targets(struct broker *broker, struct buffer *out);
void metrics_store(struct broker *broker, struct buffer *out);

#endif
