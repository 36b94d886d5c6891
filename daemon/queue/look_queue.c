/* look_queue.c - QUEUES, QUEUE STATS, TARGETS, TARGET STATS. Everything is counted as it happens;
 * only the age of the oldest waiting job is looked up, in the index that orders ready jobs. */
#include "queue/broker_state.h"

#include <errno.h>

#define QUEUE_FIELDS 12
#define TARGET_FIELDS 12
#define OLDEST_LOOKS_MAX 1000u /* rows of the index that one answer looks at */

static void field_number(struct buffer *out, const char *name, int64_t number)
{
    value_bulk_text(out, name);
    value_integer(out, number);
}

static void field_boolean(struct buffer *out, const char *name, bool yes)
{
    value_bulk_text(out, name);
    value_boolean(out, yes);
}

/* 0 means that there is none. */
static void field_optional(struct buffer *out, const char *name, uint64_t number)
{
    value_bulk_text(out, name);
    if (number)
        value_integer(out, (int64_t)number);
    else
        value_null(out);
}

/* Tokens a second; null without a limit. */
static void field_rate(struct buffer *out, uint64_t interval_ns, uint32_t burst)
{
    value_bulk_text(out, "rate_per_s");
    if (interval_ns)
        value_double(out, (double)AW_NS_PER_S / (double)interval_ns);
    else
        value_null(out);
    field_optional(out, "rate_burst", interval_ns ? burst : 0);
}

static void add_counts(const struct lane *lane, int64_t counts[JOB_STATES], int64_t *bytes)
{
    for (int state = 0; state < JOB_STATES; state++)
        counts[state] += lane->counts[state];
    *bytes += lane->bytes;
}

/* Running jobs are ready ones in the store. */
static void set_running(int64_t counts[JOB_STATES], uint32_t running)
{
    counts[JOB_RUNNING] = running;
    counts[JOB_READY] -= counts[JOB_READY] < running ? counts[JOB_READY] : running;
}

static void write_counts(const int64_t counts[JOB_STATES], int64_t bytes, struct buffer *out)
{
    for (int state = 0; state < JOB_STATES; state++)
        field_number(out, job_state_name((enum job_state)state), counts[state]);
    field_number(out, "bytes", bytes);
}

static void write_queue(const struct job_queue *queue, struct buffer *out)
{
    int64_t counts[JOB_STATES] = {0};
    int64_t bytes = 0;
    for (const struct lane *lane = queue->lanes; lane; lane = lane->queue_next)
        add_counts(lane, counts, &bytes);
    set_running(counts, queue->running);
    value_bulk_text(out, "queue");
    value_bulk_text(out, queue->name);
    field_boolean(out, "paused", queue->paused_ms > 0);
    write_counts(counts, bytes, out);
    field_number(out, "concurrency", queue->settings->concurrency);
}

void broker_list_queues(const struct broker *broker, struct buffer *out)
{
    value_array(out, broker->queue_count);
    for (const struct job_queue *queue = broker->queues; queue; queue = queue->next) {
        value_map(out, QUEUE_FIELDS);
        write_queue(queue, out);
    }
}

/* --- the oldest waiting job -------------------------------------------------------------- */

struct oldest {
    struct store_read read;
    struct broker *broker;
    const struct job_queue *queue;
    uint64_t id; /* UINT64_MAX: none waits */
    uint32_t looks;
    int result;
    struct aw_error error;
};

static void look_at_window(struct oldest *oldest, const struct lane *lane)
{
    for (uint32_t i = 0; i < lane->count; i++)
        if (lane->window[lane->head + i]->id < oldest->id)
            oldest->id = lane->window[lane->head + i]->id;
}

/* The first of each priority behind the window; running jobs are passed over. */
static void look_at_disk(struct oldest *oldest, const struct lane *lane, struct store *store)
{
    struct lane_key key = lane->cursor;
    uint32_t count = 1;
    while (oldest->result == 0 && oldest->looks++ < OLDEST_LOOKS_MAX) {
        oldest->result =
            store_list_ready(store, lane, key, INT64_MAX, 1, &key, &count, &oldest->error);
        if (oldest->result < 0 || count == 0)
            return;
        const struct job *job = job_table_find(&oldest->broker->jobs, key.id);
        if (job && job->state == JOB_RUNNING)
            continue;
        if (key.id < oldest->id)
            oldest->id = key.id;
        key.id = INT64_MAX;
    }
}

/* In the committer's task. */
static void perform_oldest(struct store_read *read, struct store *store)
{
    struct oldest *oldest = read->context;
    for (const struct lane *lane = oldest->queue->lanes; lane; lane = lane->queue_next) {
        look_at_window(oldest, lane);
        if (!lane->complete)
            look_at_disk(oldest, lane, store);
    }
}

static int find_oldest(struct broker *broker, const struct job_queue *queue, uint64_t *ret_id,
                       struct aw_error *reterr)
{
    struct oldest oldest = {.broker = broker, .queue = queue, .id = UINT64_MAX};
    oldest.read.perform = perform_oldest;
    oldest.read.context = &oldest;
    committer_read(&broker->committer, &oldest.read);
    *ret_id = oldest.id == UINT64_MAX ? 0 : oldest.id;
    if (oldest.result < 0)
        return aw_error_set_code(reterr, oldest.result, "ERR", "%s", oldest.error.message);
    return 0;
}

int broker_queue_statistics(struct broker *broker, struct argument name, struct buffer *out,
                            struct aw_error *reterr)
{
    struct job_queue *queue = registry_queue(broker, name.data, name.size, false);
    if (!queue)
        return aw_error_set_code(reterr, -ENOENT, "ERR",
                                 "no queue '%.*s': nothing was ever submitted to it",
                                 (int)(name.size < 64 ? name.size : 64), name.data);
    uint64_t oldest;
    int result = find_oldest(broker, queue, &oldest, reterr);
    if (result < 0)
        return result;
    uint64_t now_ms = aw_wall_ms();
    value_map(out, QUEUE_FIELDS + 8 + TRAFFIC_FIELDS);
    write_queue(queue, out);
    field_optional(out, "paused_since", queue->paused_ms);
    field_optional(out, "length_max", queue->settings->length_max);
    field_optional(out, "bytes_max", queue->settings->bytes_max);
    field_number(out, "weight", queue->settings->weight);
    field_rate(out, queue->settings->rate_interval_ns, queue->settings->rate_burst);
    value_bulk_text(out, "oldest_job");
    if (oldest)
        value_bulk_number(out, oldest);
    else
        value_null(out);
    uint64_t created_ms = oldest ? job_id_time_ms(oldest) : now_ms;
    value_bulk_text(out, "oldest_age_ms");
    if (oldest)
        value_integer(out, now_ms > created_ms ? (int64_t)(now_ms - created_ms) : 0);
    else
        value_null(out);
    traffic_write(&queue->traffic, aw_now_ns(), out);
    return 0;
}

/* --- targets ------------------------------------------------------------------------------ */

static void count_target(const struct broker *broker, const struct target_lanes *target,
                         int64_t counts[JOB_STATES], int64_t *bytes)
{
    for (uint32_t i = 0; i < broker->lane_count; i++)
        if (broker->lanes[i] && broker->lanes[i]->target == target)
            add_counts(broker->lanes[i], counts, bytes);
    set_running(counts, target->running);
}

static uint32_t capacity_of(const struct target_lanes *target)
{
    const struct target_type *type = target->target.type;
    return type->capacity ? type->capacity(&target->target) : target->capacity;
}

static void write_target(const struct broker *broker, const struct target_lanes *lanes,
                         struct buffer *out)
{
    const struct target *target = &lanes->target;
    int64_t counts[JOB_STATES] = {0};
    int64_t bytes = 0;
    count_target(broker, lanes, counts, &bytes);
    value_bulk_text(out, "target");
    value_bulk_text(out, target->settings.name);
    value_bulk_text(out, "type");
    value_bulk_text(out, target->type->name);
    field_boolean(out, "up", target->up);
    field_number(out, "since", (int64_t)lanes->changed_ms);
    value_bulk_text(out, "reason");
    if (target->up)
        value_null(out);
    else
        value_bulk_text(out, target->down_reason);
    field_boolean(out, "paused", lanes->paused_ms > 0);
    field_number(out, "scheduled", counts[JOB_SCHEDULED]);
    field_number(out, "blocked", counts[JOB_BLOCKED]);
    field_number(out, "ready", counts[JOB_READY]);
    field_number(out, "running", counts[JOB_RUNNING]);
    field_number(out, "capacity", capacity_of(lanes));
    field_number(out, "bytes", bytes);
}

void broker_list_targets(const struct broker *broker, struct buffer *out)
{
    value_array(out, broker->target_count);
    for (uint32_t i = 0; i < broker->target_count; i++) {
        value_map(out, TARGET_FIELDS);
        write_target(broker, &broker->targets[i], out);
    }
}

int broker_target_statistics(struct broker *broker, struct argument name, struct buffer *out,
                             struct aw_error *reterr)
{
    struct target_lanes *target = registry_target(broker, name.data, name.size);
    if (!target)
        return broker_unknown_target(broker, name, reterr);
    value_map(out, TARGET_FIELDS + 3 + TRAFFIC_FIELDS);
    write_target(broker, target, out);
    field_optional(out, "paused_since", target->paused_ms);
    field_rate(out, target->bucket.interval_ns,
               (uint32_t)(target->bucket.interval_ns
                              ? target->bucket.slack_ns / target->bucket.interval_ns + 1
                              : 0));
    traffic_write(&target->traffic, aw_now_ns(), out);
    return 0;
}
