/* metrics_queue.c - METRICS of queues: those that were made first, at most METRICS_QUEUES_MAX. */
#include "queue/metrics.h"

#include <errno.h>
#include <stdlib.h>

struct shown_queues {
    struct oldest_job *list;
    uint32_t count;
};

static const char *const event_names[TRAFFIC_EVENTS] = {"submitted", "started", "done", "failed"};

/* The broker's list begins with the newest. */
static int choose(const struct broker *broker, struct shown_queues *shown)
{
    uint32_t skipped =
        broker->queue_count > METRICS_QUEUES_MAX ? broker->queue_count - METRICS_QUEUES_MAX : 0;
    shown->count = broker->queue_count - skipped;
    shown->list = calloc(shown->count > 0 ? shown->count : 1, sizeof *shown->list);
    if (!shown->list)
        return -ENOMEM;
    const struct job_queue *queue = broker->queues;
    for (uint32_t i = 0; i < skipped; i++)
        queue = queue->next;
    for (uint32_t i = shown->count; i > 0; i--, queue = queue->next)
        shown->list[i - 1].queue = queue;
    return 0;
}

static void write_jobs(const struct shown_queues *shown, struct buffer *out)
{
    exposition_family(out, "awaitd_queue_jobs", "gauge", "Jobs of a queue by state.");
    for (uint32_t i = 0; i < shown->count; i++) {
        const struct job_queue *queue = shown->list[i].queue;
        int64_t counts[JOB_STATES] = {0};
        int64_t bytes = 0;
        look_count_queue(queue, counts, &bytes);
        for (int state = 0; state < JOB_STATES; state++)
            exposition_count(out, "awaitd_queue_jobs",
                             LABELS("queue", queue->name, "state",
                                    job_state_name((enum job_state)state)),
                             (uint64_t)counts[state]);
    }
    exposition_family(out, "awaitd_queue_bytes", "gauge",
                      "Bytes of the arguments of a queue's jobs that have not finished.");
    for (uint32_t i = 0; i < shown->count; i++) {
        int64_t counts[JOB_STATES] = {0};
        int64_t bytes = 0;
        look_count_queue(shown->list[i].queue, counts, &bytes);
        exposition_count(out, "awaitd_queue_bytes", LABEL("queue", shown->list[i].queue->name),
                         (uint64_t)bytes);
    }
}

static void write_waiting(const struct shown_queues *shown, struct buffer *out)
{
    uint64_t now_ms = aw_wall_ms();
    exposition_family(out, "awaitd_queue_oldest_seconds", "gauge",
                      "Age of the oldest job of a queue that is ready; 0 when none is.");
    for (uint32_t i = 0; i < shown->count; i++)
        exposition_number(out, "awaitd_queue_oldest_seconds",
                          LABEL("queue", shown->list[i].queue->name),
                          (double)oldest_age_ms(&shown->list[i], now_ms) / 1000);
    exposition_family(out, "awaitd_queue_paused", "gauge", "1 while a queue is paused.");
    for (uint32_t i = 0; i < shown->count; i++)
        exposition_count(out, "awaitd_queue_paused", LABEL("queue", shown->list[i].queue->name),
                         shown->list[i].queue->paused_ms > 0);
    exposition_family(out, "awaitd_queue_concurrency", "gauge",
                      "The most jobs of a queue that may run at once.");
    for (uint32_t i = 0; i < shown->count; i++)
        exposition_count(out, "awaitd_queue_concurrency",
                         LABEL("queue", shown->list[i].queue->name),
                         shown->list[i].queue->settings->concurrency);
}

static void write_traffic(const struct shown_queues *shown, struct buffer *out)
{
    exposition_family(out, "awaitd_queue_events_total", "counter",
                      "What has happened to the jobs of a queue since the start.");
    for (uint32_t i = 0; i < shown->count; i++)
        for (int event = 0; event < TRAFFIC_EVENTS; event++)
            exposition_count(out, "awaitd_queue_events_total",
                             LABELS("queue", shown->list[i].queue->name, "event",
                                    event_names[event]),
                             shown->list[i].queue->traffic.totals[event]);
    exposition_family(out, "awaitd_queue_waiting_seconds", "summary",
                      "How long jobs of a queue were ready before they started.");
    for (uint32_t i = 0; i < shown->count; i++) {
        const struct job_queue *queue = shown->list[i].queue;
        struct latencies *latencies = queue->traffic.latencies;
        metrics_latency(out, "awaitd_queue_waiting_seconds",
                        (struct label){"queue", queue->name},
                        latencies ? &latencies->waiting : NULL);
    }
    exposition_family(out, "awaitd_queue_running_seconds", "summary",
                      "How long executions of a queue's jobs took.");
    for (uint32_t i = 0; i < shown->count; i++) {
        const struct job_queue *queue = shown->list[i].queue;
        struct latencies *latencies = queue->traffic.latencies;
        metrics_latency(out, "awaitd_queue_running_seconds",
                        (struct label){"queue", queue->name},
                        latencies ? &latencies->running : NULL);
    }
}

int metrics_queues(struct broker *broker, struct buffer *out, struct aw_error *reterr)
{
    struct shown_queues shown;
    int result = choose(broker, &shown);
    if (result < 0)
        return aw_error_set(reterr, result, "out of memory");
    result = oldest_find(broker, shown.list, shown.count, reterr);
    if (result == 0) {
        exposition_family(out, "awaitd_queues", "gauge", "Queues there are.");
        exposition_count(out, "awaitd_queues", NO_LABELS, broker->queue_count);
        exposition_family(out, "awaitd_queues_shown", "gauge",
                          "Queues with metrics of their own: the first 200.");
        exposition_count(out, "awaitd_queues_shown", NO_LABELS, shown.count);
        write_jobs(&shown, out);
        write_waiting(&shown, out);
        write_traffic(&shown, out);
    }
    free(shown.list);
    return result;
}
