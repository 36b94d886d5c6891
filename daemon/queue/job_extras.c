/* job_extras.c - see job_extras.h. */
#include "queue/job_extras.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static int compare_binds(const void *left, const void *right)
{
    const struct submit_bind *a = left;
    const struct submit_bind *b = right;
    return a->job_id != b->job_id ? (a->job_id > b->job_id) - (a->job_id < b->job_id)
                                  : (a->argument > b->argument) - (a->argument < b->argument);
}

/* One allocation: the extras, parents, binds, then the two keys. */
static struct job_extras *allocate(const struct submit_options *options)
{
    size_t parents = ((size_t)options->after_count + options->bind_count) * sizeof(uint64_t);
    size_t binds = options->bind_count * sizeof(struct submit_bind);
    size_t size = sizeof(struct job_extras) + parents + binds + options->key.size +
                  options->serial.size;
    struct job_extras *extras = calloc(1, size);
    if (!extras)
        return NULL;
    extras->size_bytes = size;
    extras->parents = (uint64_t *)(void *)(extras + 1);
    extras->binds = (struct submit_bind *)(void *)((char *)extras->parents + parents);
    char *keys = (char *)extras->binds + binds;
    if (options->has_key) {
        memcpy(keys, options->key.data, options->key.size);
        extras->key = (struct argument){.data = keys, .size = options->key.size};
    }
    if (options->has_serial) {
        keys += options->key.size;
        memcpy(keys, options->serial.data, options->serial.size);
        extras->serial = (struct argument){.data = keys, .size = options->serial.size};
    }
    return extras;
}

void job_extras_sort(struct job_extras *extras)
{
    uint32_t count = extras->parent_count;
    qsort(extras->binds, extras->bind_count, sizeof *extras->binds, compare_binds);
    qsort(extras->parents, count, sizeof *extras->parents, compare_ids);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || extras->parents[i] != extras->parents[kept - 1])
            extras->parents[kept++] = extras->parents[i];
    extras->parent_count = kept;
}

static void take_parents(struct job_extras *extras, const struct submit_options *options)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < options->after_count; i++)
        extras->parents[count++] = options->after[i];
    for (uint32_t i = 0; i < options->bind_count; i++) {
        extras->binds[i] = options->binds[i];
        extras->parents[count++] = options->binds[i].job_id;
    }
    extras->bind_count = options->bind_count;
    extras->parent_count = count;
    job_extras_sort(extras);
}

static uint8_t flags_of(const struct submit_options *options)
{
    return (uint8_t)((options->has_key ? JOB_HAS_KEY : 0) |
                     (options->has_serial ? JOB_HAS_SERIAL : 0) |
                     (options->has_expire ? JOB_HAS_EXPIRY : 0) |
                     (options->after_count + options->bind_count > 0 ? JOB_HAS_AFTER : 0) |
                     (options->bind_count > 0 ? JOB_HAS_BIND : 0));
}

int job_extras_add(struct job *job, const struct submit_options *options, uint64_t now_ms,
                   struct aw_error *reterr)
{
    uint8_t flags = flags_of(options);
    if (options->has_onfail && !(flags & JOB_HAS_AFTER))
        return aw_error_set(reterr, -EINVAL, "ONFAIL says what a failed job of AFTER or BIND does: "
                                             "it needs one of them");
    if (flags == 0)
        return 0;
    struct job_extras *extras = allocate(options);
    if (!extras)
        return -ENOMEM;
    take_parents(extras, options);
    if (extras->parent_count > PARENTS_MAX) {
        free(extras);
        return aw_error_set(reterr, -EINVAL, "AFTER and BIND together name at most %u jobs",
                            PARENTS_MAX);
    }
    extras->onfail = options->onfail;
    job->expire_ms = options->has_expire ? now_ms + options->expire_ms : 0;
    job->flags |= flags;
    job->extras = extras;
    return 0;
}

void job_extras_drop(struct job *job)
{
    free(job->extras);
    job->extras = NULL;
}
