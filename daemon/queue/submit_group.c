/* submit_group.c - the jobs of a MULTI: made one by one, with ids that follow each other, stored by
 * one change. */
#include "queue/broker_state.h"
#include "queue/job_extras.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct submission_group {
    struct store_change change;
    struct store_group group;
    struct broker *broker;
    broker_group_submitted done;
    void *context;
    uint64_t now_ms;
    uint32_t capacity;
    uint64_t *ids;
    struct store_change changes[];
};

struct submission_group *broker_group_begin(struct broker *broker, uint32_t count)
{
    struct submission_group *group =
        calloc(1, sizeof *group + count * sizeof group->changes[0]);
    if (!group)
        return NULL;
    group->ids = malloc((count + (size_t)1) * sizeof *group->ids);
    if (!group->ids) {
        free(group);
        return NULL;
    }
    group->broker = broker;
    group->capacity = count;
    group->group.changes = group->changes;
    group->now_ms = aw_wall_ms();
    return group;
}

/* The id behind a reference; 0: an id that no job can have yet. */
static uint64_t resolve(const struct submission_group *group, uint64_t id)
{
    if (id & SUBMIT_REFERENCE)
        return group->ids[(id & ~SUBMIT_REFERENCE) - 1];
    return group->group.count == 0 || id < group->ids[0] ? id : 0;
}

static int refuse_unknown(struct aw_error *reterr, uint64_t id)
{
    return aw_error_set_code(reterr, -ENOENT, "NOJOB",
                             "no job %" PRIu64 "; AFTER and BIND need jobs that exist", id);
}

static int resolve_all(const struct submission_group *group, struct submit_options *options,
                       struct aw_error *reterr)
{
    for (uint32_t i = 0; i < options->after_count; i++) {
        uint64_t id = resolve(group, options->after[i]);
        if (id == 0)
            return refuse_unknown(reterr, options->after[i]);
        options->after[i] = id;
    }
    for (uint32_t i = 0; i < options->bind_count; i++) {
        uint64_t id = resolve(group, options->binds[i].job_id);
        if (id == 0)
            return refuse_unknown(reterr, options->binds[i].job_id);
        options->binds[i].job_id = id;
    }
    return 0;
}

int broker_group_add(struct submission_group *group, struct submit_options *options,
                     struct aw_error *reterr)
{
    struct job *job;
    uint32_t index = group->group.count;
    if (index == group->capacity)
        return aw_error_set(reterr, -EINVAL, "more jobs than were announced");
    int result = resolve_all(group, options, reterr);
    if (result == 0)
        result = submit_make_job(group->broker, options, options->target, options->arguments,
                                 options->argument_count, group->now_ms, &job, reterr);
    if (result < 0)
        return result;
    group->ids[index] = job->id;
    group->changes[index] = (struct store_change){
        .kind = CHANGE_INSERT, .job = job, .now_ms = group->now_ms};
    group->group.bytes += sizeof group->changes[0] + job_size_bytes(job) +
                          job_extras_size_bytes(job);
    group->group.count++;
    return 0;
}

void broker_group_abandon(struct submission_group *group)
{
    for (uint32_t i = 0; i < group->group.count; i++) {
        store_change_discard(&group->changes[i]);
        limits_stored(group->changes[i].job);
        job_free(group->changes[i].job);
    }
    free(group->ids);
    free(group);
}

static void refuse_all(struct submission_group *group, int result)
{
    struct aw_error error;
    uint32_t refused = group->group.refused;
    group->broker->counters.refused += group->group.count;
    if (result < 0) {
        (void)aw_error_set_code(&error, result, "FULL",
                                "the disk that holds the queue is full; no job of the MULTI was "
                                "stored");
    } else {
        const struct aw_error *why = &group->changes[refused - 1].job->extras->refusal;
        (void)aw_error_set_code(&error, -EINVAL, why->code, "job %u of the MULTI: %s", refused,
                                why->message);
    }
    group->done(group->context, NULL, 0, &error);
    broker_group_abandon(group);
}

static void stored(struct store_change *change, int result)
{
    struct submission_group *group = change->context;
    if (result < 0 || !change->applied) {
        refuse_all(group, result);
        return;
    }
    uint32_t count = group->group.count;
    for (uint32_t i = 0; i < count; i++)
        if (!group->changes[i].applied)
            group->ids[i] = group->changes[i].job->extras->existing_id;
    group->done(group->context, group->ids, count, NULL);
    for (uint32_t i = 0; i < count; i++) {
        limits_stored(group->changes[i].job);
        if (group->changes[i].applied)
            submit_take_in(group->broker, &group->changes[i]);
        else
            job_free(group->changes[i].job);
    }
    group->group.count = 0;
    broker_group_abandon(group);
}

void broker_group_submit(struct submission_group *group, broker_group_submitted done,
                         void *context)
{
    group->done = done;
    group->context = context;
    group->change = (struct store_change){.kind = CHANGE_INSERT_ALL,
                                          .group = &group->group,
                                          .now_ms = group->now_ms,
                                          .done = stored,
                                          .context = group};
    committer_add(&group->broker->committer, &group->change);
}
