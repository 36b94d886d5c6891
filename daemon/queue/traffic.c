/* traffic.c - see traffic.h. */
#include "queue/traffic.h"

#include "protocol/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND_NS 1e9

static const double spans_s[TRAFFIC_SPANS] = {60, 300};

void traffic_init(struct traffic *traffic, uint64_t now_ns)
{
    *traffic = (struct traffic){.began_ns = now_ns, .folded_ns = now_ns};
}

void traffic_free(struct traffic *traffic)
{
    free(traffic->latencies);
    traffic->latencies = NULL;
}

/* What was counted becomes part of the averages, as if it had been spread evenly. */
static void fold(struct traffic *traffic, uint64_t now_ns)
{
    double passed_s = (double)(now_ns - traffic->folded_ns) / SECOND_NS;
    if (passed_s < 1)
        return;
    for (int span = 0; span < TRAFFIC_SPANS; span++) {
        double kept = exp(-passed_s / spans_s[span]);
        for (int event = 0; event < TRAFFIC_EVENTS; event++) {
            double *rate = &traffic->rates[event][span];
            *rate = *rate * kept + (double)traffic->counts[event] / passed_s * (1 - kept);
        }
    }
    for (int event = 0; event < TRAFFIC_EVENTS; event++)
        traffic->counts[event] = 0;
    traffic->folded_ns = now_ns;
}

void traffic_count(struct traffic *traffic, enum traffic_event event, uint64_t now_ns)
{
    fold(traffic, now_ns);
    traffic->counts[event]++;
    traffic->totals[event]++;
}

double traffic_rate(struct traffic *traffic, enum traffic_event event, enum traffic_span span,
                    uint64_t now_ns)
{
    fold(traffic, now_ns);
    double age_s = (double)(traffic->folded_ns - traffic->began_ns) / SECOND_NS;
    if (age_s < 1)
        return 0;
    /* the average began at zero: without this it would take minutes to tell the truth */
    return traffic->rates[event][span] / (1 - exp(-age_s / spans_s[span]));
}

static struct latencies *latencies_of(struct traffic *traffic)
{
    if (!traffic->latencies)
        traffic->latencies = calloc(1, sizeof *traffic->latencies);
    return traffic->latencies;
}

static void add(struct latency *latency, uint64_t took_us, uint64_t now_ns)
{
    histogram_add(&latency->times, took_us, now_ns);
    latency->count++;
    latency->sum_us += took_us;
}

void traffic_waited(struct traffic *traffic, uint64_t waited_us, uint64_t now_ns)
{
    struct latencies *latencies = latencies_of(traffic);
    if (latencies)
        add(&latencies->waiting, waited_us, now_ns);
}

void traffic_ran(struct traffic *traffic, uint64_t ran_us, uint64_t now_ns)
{
    struct latencies *latencies = latencies_of(traffic);
    if (latencies)
        add(&latencies->running, ran_us, now_ns);
}

static void write_percentiles(struct histogram *histogram, const char *name, uint64_t now_ns,
                              struct buffer *out)
{
    static const uint32_t percents[] = {50, 90, 99};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        char field[32];
        (void)snprintf(field, sizeof field, "%s_p%u_ms", name, percents[i]);
        uint64_t value_us =
            histogram ? histogram_percentile(histogram, percents[i], now_ns) : 0;
        value_bulk_text(out, field);
        if (histogram && histogram->total > 0)
            value_double(out, (double)value_us / 1000);
        else
            value_null(out);
    }
}

void traffic_write(struct traffic *traffic, uint64_t now_ns, struct buffer *out)
{
    static const char *const events[TRAFFIC_EVENTS] = {"submitted", "started", "done", "failed"};
    static const char *const spans[TRAFFIC_SPANS] = {"1m", "5m"};
    for (int event = 0; event < TRAFFIC_EVENTS; event++) {
        for (int span = 0; span < TRAFFIC_SPANS; span++) {
            char field[32];
            (void)snprintf(field, sizeof field, "%s_per_s_%s", events[event], spans[span]);
            value_bulk_text(out, field);
            double rate = traffic_rate(traffic, (enum traffic_event)event,
                                       (enum traffic_span)span, now_ns);
            value_double(out, round(rate * 1000) / 1000);
        }
    }
    struct latencies *latencies = traffic->latencies;
    write_percentiles(latencies ? &latencies->waiting.times : NULL, "waiting", now_ns, out);
    write_percentiles(latencies ? &latencies->running.times : NULL, "running", now_ns, out);
}
