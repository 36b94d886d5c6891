/* store_sqlite_group.c - the jobs of a MULTI: all or none, inside one transaction with others.
 *
 * First every job is looked at as it would be inserted, leaving aside what it says about others of
 * the group; only then the first is written. So nothing has to be taken back. */
#include "queue/store_sqlite.h"

#include "queue/job_extras.h"

#include <errno.h>

/* The lists are ascending and the ids of the group above all others: they stand at the end. */
static void count_others(const struct job_extras *extras, uint64_t first_id, uint32_t *ret_parents,
                         uint32_t *ret_binds)
{
    uint32_t parents = extras->parent_count;
    uint32_t binds = extras->bind_count;
    while (parents > 0 && extras->parents[parents - 1] >= first_id)
        parents--;
    while (binds > 0 && extras->binds[binds - 1].job_id >= first_id)
        binds--;
    *ret_parents = parents;
    *ret_binds = binds;
}

static int check_one(struct store *store, const struct store_change *member, uint64_t first_id,
                     bool *ret_refused, struct aw_error *reterr)
{
    struct job_extras *extras = member->job->extras;
    *ret_refused = false;
    if (!extras)
        return 0;
    uint32_t parents = extras->parent_count;
    uint32_t binds = extras->bind_count;
    count_others(extras, first_id, &extras->parent_count, &extras->bind_count);
    int result = store_check_insert(store, member, ret_refused, reterr);
    extras->parent_count = parents;
    extras->bind_count = binds;
    return result;
}

/* The id under which a job of the group is known now. */
static uint64_t id_of(const struct store_group *group, uint64_t id)
{
    uint32_t low = 0;
    uint32_t high = group->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (group->changes[middle].job->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    const struct job_extras *extras = low < group->count ? group->changes[low].job->extras : NULL;
    return extras && group->changes[low].job->id == id && extras->existing_id ? extras->existing_id
                                                                               : id;
}

/* What the job waits for may have turned out to be older jobs, by their KEYs. */
static void follow_keys(const struct store_group *group, struct job_extras *extras,
                        uint64_t first_id)
{
    bool changed = false;
    for (uint32_t i = 0; i < extras->parent_count; i++)
        if (extras->parents[i] >= first_id) {
            uint64_t id = id_of(group, extras->parents[i]);
            changed = changed || id != extras->parents[i];
            extras->parents[i] = id;
        }
    for (uint32_t i = 0; i < extras->bind_count; i++)
        if (extras->binds[i].job_id >= first_id)
            extras->binds[i].job_id = id_of(group, extras->binds[i].job_id);
    if (changed)
        job_extras_sort(extras);
}

/* It wants a value of a job of the group that was cancelled as it came: then it is too. */
static int insert_orphan(struct store *store, struct store_change *member, struct aw_error *reterr)
{
    struct job *job = member->job;
    job->extras->bind_count = 0;
    job->extras->onfail = ONFAIL_CANCEL;
    job->flags &= (uint8_t)~JOB_HAS_BIND;
    int result = store_apply(store, member, reterr);
    if (result == 0 && !member->applied)
        result = aw_error_set(reterr, -EBADMSG, "queue: a job of a MULTI that was found to be "
                                                "right cannot be inserted");
    return result;
}

static int insert_each(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    struct store_group *group = change->group;
    uint64_t first_id = group->changes[0].job->id;
    int result = 0;
    for (uint32_t i = 0; i < group->count && result == 0; i++) {
        struct store_change *member = &group->changes[i];
        struct job_extras *extras = member->job->extras;
        if (extras)
            follow_keys(group, extras, first_id);
        result = store_apply(store, member, reterr);
        if (result == 0 && !member->applied && extras && !extras->existing_id)
            result = insert_orphan(store, member, reterr);
    }
    return result;
}

int store_insert_all(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    struct store_group *group = change->group;
    group->refused = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        bool refused;
        int result = check_one(store, &group->changes[i], group->changes[0].job->id, &refused,
                               reterr);
        if (result < 0)
            return result;
        if (refused) {
            group->refused = i + 1;
            return 0;
        }
    }
    change->applied = true;
    return insert_each(store, change, reterr);
}
