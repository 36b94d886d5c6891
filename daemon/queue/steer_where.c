/* steer_where.c - the bulk forms of RETRY, DELETE, PROMOTE and CANCEL: the jobs that pass a filter
 * are found page by page and steered by their ids. Between two pages everything else goes on. Jobs
 * submitted after the command are left out by their ids. */
#include "queue/broker_state.h"

#define PAGE_JOBS 500u

struct bulk {
    struct walk walk;
    struct job_filter filter;
    uint64_t ids[PAGE_JOBS];
    size_t count;
};

static void note_id(void *context, const struct stored_job *job)
{
    struct bulk *bulk = context;
    bulk->ids[bulk->count++] = job->id;
}

typedef int (*page_function)(struct broker *broker, int action, const uint64_t *ids, size_t count);

static int for_each_page(struct broker *broker, const struct job_filter *filter,
                         page_function steer, int action, uint64_t *ret_changed)
{
    struct bulk bulk = {.filter = *filter};
    int result = 0;
    *ret_changed = 0;
    /* an id of its own: later ones are above it */
    bulk.filter.id_max = job_id_next(&broker->ids, aw_wall_ms());
    bulk.walk = (struct walk){
        .broker = broker, .filter = &bulk.filter, .visitor = note_id, .context = &bulk};
    do {
        uint64_t left = filter->limit - *ret_changed;
        bulk.count = 0;
        bulk.walk.limit = left < PAGE_JOBS ? left : PAGE_JOBS;
        result = walk_page(&bulk.walk);
        int changed = result == 0 && bulk.count > 0 ? steer(broker, action, bulk.ids, bulk.count)
                                                    : result;
        if (changed > 0)
            *ret_changed += (uint64_t)changed;
        result = changed < 0 ? changed : aw_interrupted();
    } while (result == 0 && bulk.walk.stopped && *ret_changed < filter->limit);
    return result;
}

static int steer_page(struct broker *broker, int action, const uint64_t *ids, size_t count)
{
    return broker_steer(broker, (enum steer_action)action, ids, count);
}

static int cancel_page(struct broker *broker, int action, const uint64_t *ids, size_t count)
{
    (void)action;
    return broker_cancel(broker, ids, count);
}

int broker_steer_where(struct broker *broker, enum steer_action action,
                       const struct job_filter *filter, uint64_t *ret_changed)
{
    return for_each_page(broker, filter, steer_page, (int)action, ret_changed);
}

int broker_cancel_where(struct broker *broker, const struct job_filter *filter,
                        uint64_t *ret_changed)
{
    return for_each_page(broker, filter, cancel_page, 0, ret_changed);
}
