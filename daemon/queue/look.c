/* look.c - JOB and JOBS: what is stored, with what only memory knows (running) laid over it. */
#include "queue/broker_state.h"
#include "targets/target_worker.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define SCAN_ROWS 10000u /* looked at in one call of JOBS */
#define SCAN_BYTES (64u * 1024 * 1024) /* of arguments to be matched */
#define MATCH_BYTES 4096u

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

static enum job_state state_now(const struct broker *broker, const struct stored_job *job)
{
    const struct job *live = job_table_find(&broker->jobs, job->id);
    if (job->state == JOB_READY && live && live->state == JOB_RUNNING)
        return JOB_RUNNING;
    return job->state;
}

static void write_job(const struct broker *broker, const struct stored_job *job,
                      bool with_contents, struct buffer *out)
{
    const struct job *live = job_table_find(&broker->jobs, job->id);
    value_map(out, with_contents ? 29 : 21);
    value_bulk_text(out, "id");
    value_bulk_number(out, job->id);
    field_text(out, "queue", job->lane ? job->lane->queue->name : NULL);
    field_text(out, "target", job->lane ? job->lane->target_name : NULL);
    field_text(out, "state", job_state_name(state_now(broker, job)));
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
    uint64_t id;
    int result;
};

static bool describe_visit(void *context, const struct stored_job *job)
{
    struct description *description = context;
    write_job(description->broker, job, true, description->out);
    return false;
}

static void describe_perform(struct store_read *read, struct store *store)
{
    struct description *description = read->context;
    struct aw_error error;
    description->result =
        store_read_job(store, description->id, describe_visit, description, &error);
}

int broker_describe(struct broker *broker, uint64_t id, struct buffer *out)
{
    struct description description = {.broker = broker, .out = out, .id = id};
    description.read.perform = describe_perform;
    description.read.context = &description;
    committer_read(&broker->committer, &description.read);
    if (description.result == 0 && out->failed)
        return -ENOMEM;
    return description.result;
}

struct listing {
    struct store_read read;
    struct broker *broker;
    const struct job_filter *filter;
    struct buffer jobs;
    uint64_t last_id;
    uint64_t bytes;
    uint32_t looked_at;
    uint32_t found;
    bool stopped; /* before the end of the table */
    int result;
};

static bool name_is(const char *name, struct argument wanted)
{
    return strlen(name) == wanted.size && memcmp(name, wanted.data, wanted.size) == 0;
}

/* Whether the glob matches the job's first argument (its first MATCH_BYTES bytes). */
static bool first_argument_matches(const struct stored_job *job, struct argument match)
{
    char pattern[256];
    char text[MATCH_BYTES];
    if (match.size >= sizeof pattern)
        return false;
    memcpy(pattern, match.data, match.size);
    pattern[match.size] = '\0';
    bool corrupt;
    struct job *copy = job_from_payload(job->payload, job->payload_size, &corrupt);
    if (!copy)
        return false;
    uint32_t size = copy->argument_count > 0 ? copy->arguments[0].size : 0;
    size = size < sizeof text ? size : sizeof text - 1;
    if (size > 0)
        memcpy(text, copy->arguments[0].data, size);
    text[size] = '\0';
    job_free(copy);
    return fnmatch(pattern, text, 0) == 0;
}

static bool passes(const struct listing *listing, const struct stored_job *job)
{
    const struct job_filter *filter = listing->filter;
    if (!job->lane)
        return false;
    if (filter->queue.data && !name_is(job->lane->queue->name, filter->queue))
        return false;
    if (filter->target.data && !name_is(job->lane->target_name, filter->target))
        return false;
    if (filter->state >= 0 && (int)state_now(listing->broker, job) != filter->state)
        return false;
    return !filter->match.data || first_argument_matches(job, filter->match);
}

static bool list_visit(void *context, const struct stored_job *job)
{
    struct listing *listing = context;
    listing->last_id = job->id;
    listing->looked_at++;
    listing->bytes += job->payload_size;
    if (passes(listing, job)) {
        write_job(listing->broker, job, false, &listing->jobs);
        listing->found++;
    }
    listing->stopped = listing->found >= listing->filter->limit ||
                       listing->looked_at >= SCAN_ROWS || listing->bytes >= SCAN_BYTES;
    return !listing->stopped;
}

static void list_perform(struct store_read *read, struct store *store)
{
    struct listing *listing = read->context;
    struct aw_error error;
    listing->result = store_scan(store, listing->filter->cursor, listing->filter->match.data,
                                 list_visit, listing, &error);
}

int broker_list(struct broker *broker, const struct job_filter *filter, struct buffer *out)
{
    struct listing listing = {.broker = broker, .filter = filter};
    listing.read.perform = list_perform;
    listing.read.context = &listing;
    committer_read(&broker->committer, &listing.read);
    int result = listing.result;
    if (result == 0 && listing.jobs.failed)
        result = -ENOMEM;
    if (result == 0) {
        value_array(out, 2);
        value_bulk_number(out, listing.stopped ? listing.last_id : 0);
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
