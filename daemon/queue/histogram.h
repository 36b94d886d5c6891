/* histogram.h - how long things took lately, in microseconds, for percentiles.
 *
 * Log-linear: each power of two has HISTOGRAM_STEPS buckets, so a percentile is exact to an eighth,
 * from 1 us to 12 days. Decaying: what was counted loses half of its weight each
 * HISTOGRAM_HALF_LIFE_NS, so old times fade and a histogram needs no window of samples. */
#ifndef QUEUE_HISTOGRAM_H
#define QUEUE_HISTOGRAM_H

#include <await/base.h>

#define HISTOGRAM_STEPS 8u
#define HISTOGRAM_POWERS 37u
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * (HISTOGRAM_POWERS + 1))
#define HISTOGRAM_HALF_LIFE_NS UINT64_C(300000000000)

struct histogram {
    uint64_t decayed_ns; /* 0: empty, never used */
    uint64_t total;
    uint32_t weights[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value_us, uint64_t now_ns);

/* The value that `percent` of the others do not exceed, 0 when there is none. */
uint64_t histogram_percentile(struct histogram *histogram, uint32_t percent, uint64_t now_ns);

#endif
