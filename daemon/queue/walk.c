/* walk.c - finds the jobs that pass a filter, a bounded number of rows at a time.
 *
 * With a queue, a target or a state given it goes state by state, and inside the states whose index
 * is by lane, lane by lane, past those that hold none; so three dead jobs among ten million others
 * are found at once. Only what is done, and what is scheduled, is walked whole for one queue. A
 * running job is ready on the disk; those that are asked for alone are looked up by the jobs in
 * memory. */
#include "queue/broker_state.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#define WALK_ROWS 4000u                 /* looked at in one call */
#define WALK_BYTES (64u * 1024 * 1024) /* of arguments to be matched */
#define MATCH_BYTES 4096u

enum job_state walk_state_now(const struct broker *broker, const struct stored_job *job)
{
    const struct job *live = job_table_find(&broker->jobs, job->id);
    if (job->state == JOB_READY && live && live->state == JOB_RUNNING)
        return JOB_RUNNING;
    return job->state;
}

static bool name_is(const char *name, struct argument wanted)
{
    return !wanted.data ||
           (strlen(name) == wanted.size && memcmp(name, wanted.data, wanted.size) == 0);
}

static bool lane_passes(const struct lane *lane, const struct job_filter *filter)
{
    return lane && name_is(lane->queue->name, filter->queue) &&
           name_is(lane->target_name, filter->target);
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

static bool passes(const struct walk *walk, const struct stored_job *job)
{
    const struct job_filter *filter = walk->filter;
    if (!lane_passes(job->lane, filter) || (filter->id_max && job->id > filter->id_max))
        return false;
    if (filter->states && !(filter->states & 1u << walk_state_now(walk->broker, job)))
        return false;
    /* the walk over what is done meets the others that have finished too */
    if (walk->position.step == JOB_DONE + 1 && job->state != JOB_DONE)
        return false;
    return !filter->match.data || first_argument_matches(job, filter->match);
}

static bool look(void *context, const struct stored_job *job)
{
    struct walk *walk = context;
    walk->position.id = job->id;
    walk->position.key = job->state == JOB_SCHEDULED ? job->due_ms
                         : job->state == JOB_READY   ? job->priority
                                                     : job->purge_ms;
    walk->looked_at++;
    walk->bytes += job->payload_size;
    if (passes(walk, job)) {
        walk->found++;
        walk->visitor(walk->context, job);
    }
    walk->stopped = walk->found >= walk->limit || walk->looked_at >= WALK_ROWS ||
                    walk->bytes >= WALK_BYTES;
    return !walk->stopped;
}

/* --- states by lanes ------------------------------------------------------------------- */

static bool by_lane(enum job_state state)
{
    return state != JOB_SCHEDULED && state != JOB_DONE;
}

static bool wants(const struct walk *walk, enum job_state state)
{
    unsigned states = walk->filter->states;
    if (state == JOB_READY) /* where running ones are too */
        return !states || states & 1u << JOB_READY;
    if (state == JOB_RUNNING)
        return states & 1u << JOB_RUNNING && !(states & 1u << JOB_READY);
    return !states || states & 1u << state;
}

static bool lane_holds(const struct walk *walk, uint32_t index, enum job_state state)
{
    const struct lane *lane = walk->broker->lanes[index];
    return lane_passes(lane, walk->filter) && lane->counts[state] > 0;
}

static int walk_rows(struct walk *walk, struct store *store, enum job_state state)
{
    struct aw_error error;
    struct store_walk rows = {.state = state,
                              .lane = walk->position.lane,
                              .key = walk->position.key,
                              .id = walk->position.id,
                              .with_payload = walk->filter->match.data};
    return store_walk(store, &rows, look, walk, &error);
}

static int walk_lanes(struct walk *walk, struct store *store, enum job_state state)
{
    int result = 0;
    uint32_t lane = walk->position.lane > 0 ? walk->position.lane : 1;
    for (; lane <= walk->broker->lane_count && result == 0 && !walk->stopped; lane++) {
        if (walk->position.lane != lane)
            walk->position = (struct walk_position){.step = walk->position.step, .lane = lane};
        if (lane_holds(walk, lane - 1, state))
            result = walk_rows(walk, store, state);
    }
    return result;
}

static int walk_all_lanes(struct walk *walk, struct store *store, enum job_state state)
{
    bool some = false;
    for (uint32_t i = 0; i < walk->broker->lane_count && !some; i++)
        some = lane_holds(walk, i, state);
    return some ? walk_rows(walk, store, state) : 0;
}

/* --- running jobs, by memory ----------------------------------------------------------- */

static int compare_numbers(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The ids of running jobs behind the position, in order. */
static uint64_t *running_ids(const struct walk *walk, size_t *ret_count)
{
    const struct job_table *table = &walk->broker->jobs;
    uint64_t *ids = malloc((table->count + 1) * sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; i < table->bucket_count && ids; i++)
        for (const struct job *job = table->buckets[i]; job; job = job->table_next)
            if (job->state == JOB_RUNNING && job->id > walk->position.id)
                ids[count++] = job->id;
    if (ids)
        qsort(ids, count, sizeof *ids, compare_numbers);
    *ret_count = count;
    return ids;
}

static int walk_running(struct walk *walk, struct store *store)
{
    size_t count;
    uint64_t *ids = running_ids(walk, &count);
    int result = ids ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && result == 0 && !walk->stopped; i++) {
        struct aw_error error;
        result = store_read_job(store, ids[i], look, walk, &error);
        if (result == -ENOENT) /* deleted while it ran */
            result = 0;
    }
    free(ids);
    return result;
}

/* --- the walk -------------------------------------------------------------------------- */

static int walk_state(struct walk *walk, struct store *store, enum job_state state)
{
    if (state == JOB_RUNNING)
        return walk_running(walk, store);
    return by_lane(state) ? walk_lanes(walk, store, state) : walk_all_lanes(walk, store, state);
}

static int walk_states(struct walk *walk, struct store *store)
{
    int result = 0;
    uint32_t step = walk->position.step > 0 ? walk->position.step : 1;
    for (; step <= JOB_STATES && result == 0 && !walk->stopped; step++) {
        if (walk->position.step != step)
            walk->position = (struct walk_position){.step = step};
        if (wants(walk, (enum job_state)(step - 1)))
            result = walk_state(walk, store, (enum job_state)(step - 1));
    }
    return result;
}

static void perform(struct store_read *read, struct store *store)
{
    struct walk *walk = read->context;
    const struct job_filter *filter = walk->filter;
    struct aw_error error;
    if (filter->queue.data || filter->target.data || filter->states) {
        walk->result = walk_states(walk, store);
    } else {
        walk->position.step = 0;
        walk->result =
            store_scan(store, walk->position.id, filter->match.data, look, walk, &error);
    }
    if (!walk->stopped)
        walk->position = (struct walk_position){0};
}

int walk_page(struct walk *walk)
{
    walk->found = 0;
    walk->looked_at = 0;
    walk->bytes = 0;
    walk->stopped = false;
    walk->result = 0;
    walk->read = (struct store_read){.perform = perform, .context = walk};
    committer_read(&walk->broker->committer, &walk->read);
    return walk->result;
}
