/* metrics.c - the broker's part of METRICS: sums over all jobs, the store, and the order of it all.
 * Counts come from where things are counted as they happen. */
#include "queue/metrics.h"

#include <stdio.h>

void metrics_summary(struct buffer *out, const char *name, struct label label,
                     const struct summary *summary)
{
    static const struct {
        uint32_t percent;
        const char *quantile;
    } shown[] = {{50, "0.5"}, {90, "0.9"}, {99, "0.99"}};
    char full[64];
    uint64_t now_ns = aw_now_ns();
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        if (!summary->times || summary->times->total == 0)
            break; /* no samples lately: a quantile would be a lie */
        uint64_t value = histogram_percentile(summary->times, shown[i].percent, now_ns);
        exposition_number(out, name,
                          LABELS("quantile", shown[i].quantile, label.name, label.value),
                          (double)value / summary->divisor);
    }
    (void)snprintf(full, sizeof full, "%s_sum", name);
    exposition_number(out, full, LABEL(label.name, label.value), summary->sum);
    (void)snprintf(full, sizeof full, "%s_count", name);
    exposition_count(out, full, LABEL(label.name, label.value), summary->count);
}

void metrics_latency(struct buffer *out, const char *name, struct label label,
                     struct latency *latency)
{
    const struct summary summary = {.times = latency ? &latency->times : NULL,
                                    .sum = latency ? (double)latency->sum_us / 1e6 : 0,
                                    .count = latency ? latency->count : 0,
                                    .divisor = 1e6};
    metrics_summary(out, name, label, &summary);
}

static void write_jobs(const struct broker *broker, struct buffer *out)
{
    int64_t counts[JOB_STATES] = {0};
    int64_t bytes = 0;
    for (const struct job_queue *queue = broker->queues; queue; queue = queue->next) {
        int64_t of_queue[JOB_STATES] = {0};
        look_count_queue(queue, of_queue, &bytes);
        for (int state = 0; state < JOB_STATES; state++)
            counts[state] += of_queue[state];
    }
    exposition_family(out, "awaitd_jobs", "gauge", "Jobs by state, all queues together.");
    for (int state = 0; state < JOB_STATES; state++)
        exposition_count(out, "awaitd_jobs", LABEL("state", job_state_name((enum job_state)state)),
                         (uint64_t)counts[state]);
    exposition_family(out, "awaitd_jobs_bytes", "gauge",
                      "Bytes of the arguments of jobs that have not finished.");
    exposition_count(out, "awaitd_jobs_bytes", NO_LABELS, (uint64_t)bytes);
    exposition_family(out, "awaitd_jobs_in_memory", "gauge", "Jobs that memory holds.");
    exposition_count(out, "awaitd_jobs_in_memory", NO_LABELS, broker->jobs.count);
    exposition_family(out, "awaitd_window_bytes", "gauge",
                      "Bytes of the jobs in memory that wait; memory_max is their limit.");
    exposition_count(out, "awaitd_window_bytes", NO_LABELS, broker->window_bytes);
}

static void write_events(const struct broker *broker, struct buffer *out)
{
    const struct broker_counters *counters = &broker->counters;
    const struct {
        const char *event;
        uint64_t count;
    } events[] = {
        {"submitted", counters->submitted}, {"refused", counters->refused},
        {"executed", counters->executed},   {"done", counters->done},
        {"dead", counters->dead},           {"uncertain", counters->uncertain},
        {"retried", counters->retried},     {"cancelled", counters->cancelled},
        {"interrupted", counters->interrupted},
    };
    exposition_family(out, "awaitd_job_events_total", "counter",
                      "What has happened to jobs since the start.");
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        exposition_count(out, "awaitd_job_events_total", LABEL("event", events[i].event),
                         events[i].count);
}

static void write_commits(struct broker *broker, struct buffer *out)
{
    struct committer *committer = &broker->committer;
    const struct label none = {0};
    exposition_family(out, "awaitd_commit_seconds", "summary",
                      "Time of a group commit, from its beginning until it is on the disk.");
    metrics_summary(out, "awaitd_commit_seconds", none,
                    &(struct summary){&committer->commit_times, (double)committer->commit_ns / 1e9,
                                      committer->commits, 1e6});
    exposition_family(out, "awaitd_fsync_seconds", "summary",
                      "The part of a group commit that waits for the disk.");
    metrics_summary(out, "awaitd_fsync_seconds", none,
                    &(struct summary){&committer->sync_times, (double)committer->sync_ns / 1e9,
                                      committer->commits, 1e6});
    exposition_family(out, "awaitd_commit_changes", "summary", "Changes in a group commit.");
    metrics_summary(out, "awaitd_commit_changes", none,
                    &(struct summary){&committer->batch_sizes, (double)committer->committed,
                                      committer->commits, 1});
    exposition_family(out, "awaitd_commit_changes_largest", "gauge",
                      "Changes in the largest group commit since the start.");
    exposition_count(out, "awaitd_commit_changes_largest", NO_LABELS, committer->largest_batch);
    exposition_family(out, "awaitd_commit_pending", "gauge", "Changes that wait for the disk.");
    exposition_count(out, "awaitd_commit_pending", NO_LABELS, committer_pending(committer));
}

void metrics_store(struct broker *broker, struct buffer *out)
{
    struct store_statistics statistics;
    store_statistics(broker->store, &statistics);
    write_commits(broker, out);
    exposition_family(out, "awaitd_wal_bytes", "gauge",
                      "Bytes in the write-ahead log that no checkpoint has moved yet.");
    exposition_count(out, "awaitd_wal_bytes", NO_LABELS, statistics.wal_bytes);
    exposition_family(out, "awaitd_checkpoints_total", "counter", "Checkpoints of the queue.");
    exposition_count(out, "awaitd_checkpoints_total", NO_LABELS, statistics.checkpoints);
    exposition_family(out, "awaitd_disk_full", "gauge",
                      "1 while new jobs find no room on the disk.");
    exposition_count(out, "awaitd_disk_full", NO_LABELS, broker->committer.disk_full);
    if (broker->disk_free_bytes == UINT64_MAX)
        return; /* the file system cannot say */
    exposition_family(out, "awaitd_disk_free_bytes", "gauge",
                      "Free bytes on the file system of the state folder, at the last look.");
    exposition_count(out, "awaitd_disk_free_bytes", NO_LABELS, broker->disk_free_bytes);
}

int broker_metrics(struct broker *broker, struct buffer *out, struct aw_error *reterr)
{
    int result = metrics_queues(broker, out, reterr); /* suspends: first */
    if (result < 0)
        return result;
    write_jobs(broker, out);
    write_events(broker, out);
    metrics_targets(broker, out);
    metrics_store(broker, out);
    return 0;
}
