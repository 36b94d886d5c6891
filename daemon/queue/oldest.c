/* oldest.c - the oldest job that is ready, of some queues: found in the windows and, behind them,
 * in the index that orders ready jobs on the disk. */
#include "queue/broker_state.h"

#include <errno.h>

#define LOOKS_MAX 1000u /* rows of the index that one answer looks at */

struct search {
    struct store_read read;
    struct broker *broker;
    struct oldest_job *wanted;
    uint32_t count;
    uint32_t looks;
    int result;
    struct aw_error error;
};

static void look_at_window(struct oldest_job *oldest, const struct lane *lane)
{
    /* the first of each priority has its lowest id */
    for (uint32_t i = 0; i < lane->count; i = lane_next_priority(lane, i))
        if (lane->window[lane->head + i]->id < oldest->id)
            oldest->id = lane->window[lane->head + i]->id;
}

/* The first of each priority behind the window; running jobs are passed over. */
static void look_at_disk(struct search *search, struct oldest_job *oldest, const struct lane *lane,
                         struct store *store)
{
    struct lane_key key = lane->cursor;
    uint32_t count = 1;
    while (search->result == 0 && search->looks++ < LOOKS_MAX) {
        search->result =
            store_list_ready(store, lane, key, INT64_MAX, 1, &key, &count, &search->error);
        if (search->result < 0 || count == 0)
            return;
        const struct job *job = job_table_find(&search->broker->jobs, key.id);
        if (job && job->state == JOB_RUNNING)
            continue;
        if (key.id < oldest->id)
            oldest->id = key.id;
        key.id = INT64_MAX;
    }
}

/* In the committer's task. */
static void perform(struct store_read *read, struct store *store)
{
    struct search *search = read->context;
    for (uint32_t i = 0; i < search->count; i++) {
        struct oldest_job *oldest = &search->wanted[i];
        for (const struct lane *lane = oldest->queue->lanes; lane; lane = lane->queue_next) {
            look_at_window(oldest, lane);
            if (!lane->complete)
                look_at_disk(search, oldest, lane, store);
        }
    }
}

int oldest_find(struct broker *broker, struct oldest_job *wanted, uint32_t count,
                struct aw_error *reterr)
{
    struct search search = {.broker = broker, .wanted = wanted, .count = count};
    for (uint32_t i = 0; i < count; i++)
        wanted[i].id = UINT64_MAX;
    search.read.perform = perform;
    search.read.context = &search;
    committer_read(&broker->committer, &search.read);
    for (uint32_t i = 0; i < count; i++)
        if (wanted[i].id == UINT64_MAX)
            wanted[i].id = 0;
    if (search.result < 0)
        return aw_error_set_code(reterr, search.result, "ERR", "%s", search.error.message);
    return 0;
}

uint64_t oldest_age_ms(const struct oldest_job *oldest, uint64_t now_ms)
{
    uint64_t created_ms = oldest->id ? job_id_time_ms(oldest->id) : now_ms;
    return now_ms > created_ms ? now_ms - created_ms : 0;
}
