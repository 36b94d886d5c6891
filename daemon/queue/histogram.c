/* histogram.c - see histogram.h. */
#include "queue/histogram.h"

#define SAMPLE_WEIGHT 16u /* so that a single value is forgotten only after five half-lives */
#define HALVINGS_MAX 32u  /* nothing is left after them */

/* Values below HISTOGRAM_STEPS have a bucket each. */
static uint32_t bucket_of(uint64_t value_us)
{
    if (value_us < HISTOGRAM_STEPS)
        return (uint32_t)value_us;
    uint32_t power = 63u - (uint32_t)__builtin_clzll(value_us) - 3; /* of the step's width */
    if (power >= HISTOGRAM_POWERS)
        return HISTOGRAM_BUCKETS - 1;
    return (power + 1) * HISTOGRAM_STEPS + (uint32_t)(value_us >> power) - HISTOGRAM_STEPS;
}

/* The first value of the bucket. */
static uint64_t start_of(uint32_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    uint32_t power = bucket / HISTOGRAM_STEPS - 1;
    return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << power;
}

static void decay(struct histogram *histogram, uint64_t now_ns)
{
    if (histogram->decayed_ns == 0)
        histogram->decayed_ns = now_ns;
    if (now_ns < histogram->decayed_ns + HISTOGRAM_HALF_LIFE_NS)
        return;
    uint64_t halvings = (now_ns - histogram->decayed_ns) / HISTOGRAM_HALF_LIFE_NS;
    histogram->decayed_ns += halvings * HISTOGRAM_HALF_LIFE_NS;
    histogram->total = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint32_t left = halvings < HALVINGS_MAX ? histogram->weights[i] >> halvings : 0;
        histogram->weights[i] = left;
        histogram->total += left;
    }
}

void histogram_add(struct histogram *histogram, uint64_t value_us, uint64_t now_ns)
{
    decay(histogram, now_ns);
    uint32_t *weight = &histogram->weights[bucket_of(value_us)];
    if (*weight > UINT32_MAX - SAMPLE_WEIGHT)
        return; /* full: 268 million in one bucket say enough */
    *weight += SAMPLE_WEIGHT;
    histogram->total += SAMPLE_WEIGHT;
}

uint64_t histogram_percentile(struct histogram *histogram, uint32_t percent, uint64_t now_ns)
{
    decay(histogram, now_ns);
    if (histogram->total == 0)
        return 0;
    uint64_t wanted = (histogram->total * percent + 99) / 100;
    uint64_t below = 0;
    uint32_t bucket = 0;
    while (bucket + 1 < HISTOGRAM_BUCKETS && below + histogram->weights[bucket] < wanted)
        below += histogram->weights[bucket++];
    uint64_t start = start_of(bucket);
    uint64_t width = bucket + 1 < HISTOGRAM_BUCKETS ? start_of(bucket + 1) - start : 1;
    /* where inside the bucket, as if its values were spread evenly */
    uint64_t inside = wanted > below ? wanted - below : 0;
    uint64_t weight = histogram->weights[bucket] ? histogram->weights[bucket] : 1;
    return start + (width - 1) * inside / weight;
}
