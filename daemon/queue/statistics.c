/* statistics.c - the broker's sections of INFO. Counts come from the lanes, which the store keeps
 * exact; nothing is counted by looking at jobs. */
#include "queue/broker_state.h"

#include <inttypes.h>
#include <strings.h>

static bool wanted(const char *section, const char *name)
{
    return !section || strcasecmp(section, name) == 0;
}

static void write_jobs(const struct broker *broker, struct buffer *out)
{
    int64_t counts[JOB_STATES] = {0};
    uint32_t running = 0;
    for (uint32_t i = 0; i < broker->lane_count; i++)
        for (int state = 0; broker->lanes[i] && state < JOB_STATES; state++)
            counts[state] += broker->lanes[i]->counts[state];
    for (uint32_t i = 0; i < broker->target_count; i++)
        running += broker->targets[i].running;
    counts[JOB_RUNNING] = running;
    counts[JOB_READY] -= counts[JOB_READY] < running ? counts[JOB_READY] : running;
    buffer_append_text(out, "# Jobs\r\n");
    for (int state = 0; state < JOB_STATES; state++)
        buffer_printf(out, "jobs_%s:%" PRId64 "\r\n", job_state_name((enum job_state)state),
                      counts[state]);
    buffer_printf(out, "jobs_in_memory:%zu\r\n", broker->jobs.count);
    buffer_printf(out, "window_bytes:%" PRIu64 "\r\n", broker->window_bytes);
    const struct broker_counters *totals = &broker->counters;
    buffer_printf(out,
                  "total_submitted:%" PRIu64 "\r\ntotal_refused:%" PRIu64
                  "\r\ntotal_executed:%" PRIu64 "\r\ntotal_done:%" PRIu64 "\r\ntotal_dead:%" PRIu64
                  "\r\ntotal_retried:%" PRIu64 "\r\ntotal_cancelled:%" PRIu64
                  "\r\ntotal_interrupted:%" PRIu64 "\r\n\r\n",
                  totals->submitted, totals->refused, totals->executed, totals->done, totals->dead,
                  totals->retried, totals->cancelled, totals->interrupted);
}

static void write_queues(const struct broker *broker, struct buffer *out)
{
    buffer_append_text(out, "# Queues\r\n");
    for (uint32_t i = 0; i < broker->lane_count; i++) {
        const struct lane *lane = broker->lanes[i];
        if (!lane)
            continue;
        buffer_printf(out,
                      "queue_%s_%s:scheduled=%" PRId64 ",ready=%" PRId64 ",done=%" PRId64
                      ",dead=%" PRId64 ",cancelled=%" PRId64 ",uncertain=%" PRId64
                      ",window=%u\r\n",
                      lane->queue->name, lane->target_name, lane->counts[JOB_SCHEDULED],
                      lane->counts[JOB_READY], lane->counts[JOB_DONE], lane->counts[JOB_DEAD],
                      lane->counts[JOB_CANCELLED], lane->counts[JOB_UNCERTAIN], lane->count);
    }
    buffer_append_text(out, "\r\n");
}

static void write_targets(const struct broker *broker, struct buffer *out)
{
    buffer_append_text(out, "# Targets\r\n");
    for (uint32_t i = 0; i < broker->target_count; i++) {
        const struct target_lanes *lanes = &broker->targets[i];
        const struct target *target = &lanes->target;
        buffer_printf(out, "target_%s:type=%s,state=%s,running=%u,capacity=%u",
                      target->settings.name, target->type->name, target->up ? "up" : "down",
                      lanes->running,
                      target->type->capacity ? target->type->capacity(target) : lanes->capacity);
        if (target->type->enter)
            buffer_printf(out, ",leases=%u,leases_max=%u", target->leases_held,
                          target->settings.leases);
        if (!target->up)
            buffer_printf(out, ",since=%" PRIu64 ",reason=%s", target->down_since_ms,
                          target->down_reason);
        buffer_append_text(out, "\r\n");
    }
    buffer_append_text(out, "\r\n");
}

static void write_store(const struct broker *broker, struct buffer *out)
{
    struct store_statistics statistics;
    store_statistics(broker->store, &statistics);
    buffer_printf(out,
                  "# Store\r\nstore_commits:%" PRIu64 "\r\nstore_changes:%" PRIu64
                  "\r\nstore_checkpoints:%" PRIu64 "\r\nstore_wal_bytes:%" PRIu64
                  "\r\nstore_largest_batch:%" PRIu64 "\r\nstore_commit_us:%" PRIu64
                  "\r\nstore_pending:%u\r\nstore_disk_full:%d\r\ndisk_free_bytes:%" PRIu64
                  "\r\n\r\n",
                  statistics.commits, statistics.changes, statistics.checkpoints,
                  statistics.wal_bytes, broker->committer.largest_batch,
                  broker->committer.commit_ns / 1000, committer_pending(&broker->committer),
                  broker->committer.disk_full ? 1 : 0, broker->disk_free_bytes);
}

void broker_info(const struct broker *broker, const char *section, struct buffer *out)
{
    if (wanted(section, "jobs"))
        write_jobs(broker, out);
    if (wanted(section, "queues"))
        write_queues(broker, out);
    if (wanted(section, "targets"))
        write_targets(broker, out);
    if (wanted(section, "store"))
        write_store(broker, out);
}
