/* look.c - JOB and JOBS: what is stored, with what only memory knows (running) laid over it. */
#include "queue/broker_state.h"
#include "targets/target_worker.h"

#include <errno.h>
#include <stdio.h>

static void field_number(struct buffer *out, const char *name, uint64_t number)
{
    value_bulk_text(out, name);
    value_integer(out, (int64_t)number);
}

static void field_text(struct buffer *out, const char *name, const char *text)
{
    value_bulk_text(out, name);
    if (text)
        value_bulk_text(out, text);
    else
        value_null(out);
}

/* 0 means that it has not happened. */
static void field_time(struct buffer *out, const char *name, uint64_t time_ms)
{
    value_bulk_text(out, name);
    if (time_ms)
        value_integer(out, (int64_t)time_ms);
    else
        value_null(out);
}

static void write_error(struct buffer *out, const struct stored_job *job)
{
    char error[AW_ERROR_CODE_SIZE + AW_ERROR_MESSAGE_SIZE + 2];
    if (job->error_code || job->error_message)
        (void)snprintf(error, sizeof error, "%s%s%s", job->error_code ? job->error_code : "",
                       job->error_code && job->error_message ? " " : "",
                       job->error_message ? job->error_message : "");
    field_text(out, "error", job->error_code || job->error_message ? error : NULL);
}

/* What its worker has said, while one holds it. */
static void write_progress(struct buffer *out, const struct job *live)
{
    uint32_t percent;
    char text[PROGRESS_TEXT_SIZE];
    bool known = live && live->state == JOB_RUNNING && live->lane->target &&
                 worker_progress_of(&live->lane->target->target, live->id, &percent, text);
    value_bulk_text(out, "progress");
    if (known)
        value_integer(out, percent);
    else
        value_null(out);
    field_text(out, "progress_text", known && text[0] ? text : NULL);
}

static void field_key(struct buffer *out, const char *name, const struct argument *key)
{
    value_bulk_text(out, name);
    if (key->data)
        value_bulk(out, key->data, key->size);
    else
        value_null(out);
}

/* KEY, SERIAL, EXPIRE, AFTER: few jobs have them. */
static void write_extra(struct buffer *out, const struct stored_job *job)
{
    static const struct stored_extra none;
    const struct stored_extra *extra = job->extra ? job->extra : &none;
    field_key(out, "key", &extra->key);
    field_key(out, "serial", &extra->serial);
    field_time(out, "expires_at", extra->expire_ms);
    field_number(out, "blockers", extra->blockers);
    value_bulk_text(out, "after");
    value_array(out, extra->after_count);
    for (uint32_t i = 0; i < extra->after_count; i++)
        value_bulk_number(out, extra->after[i]);
    field_text(out, "onfail",
               !(job->flags & JOB_HAS_AFTER) ? NULL : extra->onfail_run ? "run" : "cancel");
}

static void write_coalesce(struct buffer *out, const struct stored_job *job)
{
    value_bulk_text(out, "coalesce");
    if (job->coalesce > 0)
        value_integer(out, job->coalesce);
    else
        value_null(out); /* as its target says */
}

static void write_job(const struct broker *broker, const struct stored_job *job,
                      bool with_contents, struct buffer *out)
{
    const struct job *live = job_table_find(&broker->jobs, job->id);
    value_map(out, with_contents ? 31 : 22);
    value_bulk_text(out, "id");
    value_bulk_number(out, job->id);
    field_text(out, "queue", job->lane ? job->lane->queue->name : NULL);
    field_text(out, "target", job->lane ? job->lane->target_name : NULL);
    field_text(out, "state", job_state_name(walk_state_now(broker, job)));
    field_number(out, "priority", job->priority);
    field_number(out, "attempts", job->attempts);
    field_number(out, "retry", job->retries);
    field_number(out, "interruptions", live ? live->interruptions : job->interruptions);
    field_time(out, "created", job_id_time_ms(job->id));
    field_time(out, "due", job->due_ms);
    field_time(out, "started", live && live->started_ms ? live->started_ms : job->started_ms);
    field_time(out, "finished", job->finished_ms);
    field_time(out, "expires", job->purge_ms);
    field_number(out, "timeout", job->timeout_ms);
    field_number(out, "backoff_min", job->backoff_min_ms);
    field_number(out, "backoff_max", job->backoff_max_ms);
    field_number(out, "keep", job->keep_ms);
    field_text(out, "format", job->format == FORMAT_JSON ? "json" : "rows");
    write_coalesce(out, job);
    write_error(out, job);
    write_progress(out, live);
    if (!with_contents)
        return;
    write_extra(out, job);
    value_bulk_text(out, "arguments");
    if (!job_payload_write(job->payload, job->payload_size, out))
        value_null(out);
    value_bulk_text(out, "result");
    if (job->result && job->result_size > 0)
        buffer_append(out, job->result, job->result_size);
    else
        value_null(out);
}

struct description {
    struct store_read read;
    struct broker *broker;
    struct buffer *out;
    struct buffer attempts;
    size_t attempt_count;
    uint64_t id;
    bool has_attempts;
    int result;
};

static bool describe_visit(void *context, const struct stored_job *job)
{
    struct description *description = context;
    write_job(description->broker, job, true, description->out);
    description->has_attempts = job->flags & JOB_HAS_HISTORY;
    return false;
}

static void attempt_visit(void *context, const struct stored_attempt *attempt)
{
    struct description *description = context;
    struct buffer *out = &description->attempts;
    description->attempt_count++;
    value_map(out, 5);
    field_number(out, "number", attempt->number);
    field_time(out, "started", attempt->started_ms);
    field_number(out, "ended", attempt->ended_ms);
    field_text(out, "code", attempt->error_code);
    field_text(out, "message", attempt->error_message);
}

static void describe_perform(struct store_read *read, struct store *store)
{
    struct description *description = read->context;
    struct aw_error error;
    description->result =
        store_read_job(store, description->id, describe_visit, description, &error);
    if (description->result == 0 && description->has_attempts)
        description->result =
            store_read_attempts(store, description->id, attempt_visit, description, &error);
    if (description->result < 0)
        return;
    value_bulk_text(description->out, "history");
    value_array(description->out, description->attempt_count);
    buffer_append(description->out, description->attempts.data, description->attempts.size);
}

int broker_describe(struct broker *broker, uint64_t id, struct buffer *out)
{
    struct description description = {.broker = broker, .out = out, .id = id};
    description.read.perform = describe_perform;
    description.read.context = &description;
    committer_read(&broker->committer, &description.read);
    bool failed = out->failed || description.attempts.failed;
    buffer_free(&description.attempts);
    return description.result == 0 && failed ? -ENOMEM : description.result;
}

struct listing {
    struct walk walk;
    struct buffer jobs;
    uint64_t found;
};

static void list_visit(void *context, const struct stored_job *job)
{
    struct listing *listing = context;
    write_job(listing->walk.broker, job, false, &listing->jobs);
    listing->found++;
}

int broker_list(struct broker *broker, const struct job_filter *filter, struct buffer *out)
{
    struct listing listing = {0};
    listing.walk = (struct walk){.broker = broker,
                                 .filter = filter,
                                 .limit = filter->limit,
                                 .position = filter->cursor,
                                 .visitor = list_visit,
                                 .context = &listing};
    int result = walk_page(&listing.walk);
    if (result == 0 && listing.jobs.failed)
        result = -ENOMEM;
    if (result == 0) {
        char cursor[WALK_POSITION_SIZE];
        walk_position_print(&listing.walk.position, cursor);
        value_array(out, 2);
        value_bulk_text(out, cursor);
        value_array(out, listing.found);
        buffer_append(out, listing.jobs.data, listing.jobs.size);
    }
    buffer_free(&listing.jobs);
    return result;
}

static void probe_perform(struct store_read *read, struct store *store)
{
    (void)read;
    (void)store;
}

int broker_probe(struct broker *broker)
{
    struct store_read read = {.perform = probe_perform};
    committer_read(&broker->committer, &read);
    return aw_interrupted();
}
