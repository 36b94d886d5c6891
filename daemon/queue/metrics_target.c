/* metrics_target.c - METRICS of targets: all that the configuration names. */
#include "queue/metrics.h"

/* In the order of enum outcome_kind. */
static const char *const outcome_names[OUTCOME_KINDS] = {
    "done", "retry", "dead", "unavailable", "interrupted", "stopped",
};

typedef uint64_t (*target_value)(const struct target_lanes *target);

static uint64_t up(const struct target_lanes *target)
{
    return target->target.up;
}

static uint64_t paused(const struct target_lanes *target)
{
    return target->paused_ms > 0;
}

static uint64_t running(const struct target_lanes *target)
{
    return target->running;
}

static uint64_t capacity(const struct target_lanes *target)
{
    return look_capacity(target);
}

static uint64_t connections(const struct target_lanes *target)
{
    return target->target.settings.connections;
}

static uint64_t leases(const struct target_lanes *target)
{
    return target->target.leases_held;
}

static void write_gauges(const struct broker *broker, struct buffer *out)
{
    static const struct {
        const char *name;
        const char *help;
        target_value value;
    } gauges[] = {
        {"awaitd_target_up", "1 while a target's engine answers.", up},
        {"awaitd_target_paused", "1 while a target is paused.", paused},
        {"awaitd_target_running", "Jobs that run on a target now.", running},
        {"awaitd_target_capacity", "The most jobs a target takes at once.", capacity},
        {"awaitd_target_connections_max", "The most connections a target may open.", connections},
        {"awaitd_target_leases", "Connections of a target that clients hold.", leases},
    };
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        exposition_family(out, gauges[i].name, "gauge", gauges[i].help);
        for (uint32_t j = 0; j < broker->target_count; j++)
            exposition_count(out, gauges[i].name,
                             LABEL("target", broker->targets[j].target.settings.name),
                             gauges[i].value(&broker->targets[j]));
    }
}

static void write_executions(const struct broker *broker, struct buffer *out)
{
    exposition_family(out, "awaitd_target_executions_total", "counter",
                      "Executions on a target by how they ended, those of RUN included.");
    for (uint32_t i = 0; i < broker->target_count; i++)
        for (int kind = 0; kind < OUTCOME_KINDS; kind++)
            exposition_count(out, "awaitd_target_executions_total",
                             LABELS("target", broker->targets[i].target.settings.name, "outcome",
                                    outcome_names[kind]),
                             broker->targets[i].outcomes[kind]);
}

void metrics_targets(struct broker *broker, struct buffer *out)
{
    write_gauges(broker, out);
    write_executions(broker, out);
    exposition_family(out, "awaitd_target_waiting_seconds", "summary",
                      "How long jobs were ready before they started on a target.");
    for (uint32_t i = 0; i < broker->target_count; i++) {
        struct latencies *latencies = broker->targets[i].traffic.latencies;
        metrics_latency(out, "awaitd_target_waiting_seconds",
                        (struct label){"target", broker->targets[i].target.settings.name},
                        latencies ? &latencies->waiting : NULL);
    }
    exposition_family(out, "awaitd_target_running_seconds", "summary",
                      "How long executions of jobs on a target took.");
    for (uint32_t i = 0; i < broker->target_count; i++) {
        struct latencies *latencies = broker->targets[i].traffic.latencies;
        metrics_latency(out, "awaitd_target_running_seconds",
                        (struct label){"target", broker->targets[i].target.settings.name},
                        latencies ? &latencies->running : NULL);
    }
}
