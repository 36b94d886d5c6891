/* watches.c - those who wait for the end of a job: AWAIT, GATHER, RACE. A hash table of watches by
 * job id; a watch is registered first and the store is asked afterwards, so that no end can fall in
 * between. */
#include "queue/broker_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct watch **bucket(struct broker *broker, uint64_t id)
{
    uint64_t hash = id * UINT64_C(0x9e3779b97f4a7c15);
    return &broker->watches[(hash >> 40) % WATCH_BUCKETS];
}

static void link_watch(struct broker *broker, struct watch *watch)
{
    struct watch **place = bucket(broker, watch->id);
    watch->next = *place;
    watch->slot = place;
    if (watch->next)
        watch->next->slot = &watch->next;
    *place = watch;
}

static void unlink_watch(struct watch *watch)
{
    if (!watch->slot)
        return;
    *watch->slot = watch->next;
    if (watch->next)
        watch->next->slot = watch->slot;
    watch->slot = NULL;
}

static void fill(struct watch *watch, enum job_state state, const void *result, size_t result_size,
                 const char *code, const char *message)
{
    watch->known = true;
    watch->finished = true;
    watch->state = state;
    if (state == JOB_DONE && result_size > 0)
        buffer_append(&watch->result, result, result_size);
    (void)snprintf(watch->code, sizeof watch->code, "%s", code ? code : "");
    (void)snprintf(watch->message, sizeof watch->message, "%s", message ? message : "");
    aw_event_set(watch->event);
}

void watches_finish(struct broker *broker, uint64_t id, enum job_state state,
                    const struct buffer *result, const char *code, const char *message)
{
    for (struct watch *watch = *bucket(broker, id); watch; watch = watch->next)
        if (watch->id == id && !watch->finished)
            fill(watch, state, result ? result->data : NULL, result ? result->size : 0, code,
                 message);
}

struct watch_lookup {
    struct store_read read;
    struct watch *watches;
    struct watch *current;
    size_t count;
    int result;
};

static bool visit(void *context, const struct stored_job *job)
{
    struct watch_lookup *lookup = context;
    struct watch *watch = lookup->current;
    watch->known = true;
    if (job_state_is_final(job->state) && !watch->finished)
        fill(watch, job->state, job->result, job->result_size, job->error_code,
             job->error_message);
    return false;
}

static void perform(struct store_read *read, struct store *store)
{
    struct watch_lookup *lookup = read->context;
    for (size_t i = 0; i < lookup->count; i++) {
        struct aw_error error;
        lookup->current = &lookup->watches[i];
        if (lookup->current->known)
            continue;
        int result = store_read_job(store, lookup->current->id, visit, lookup, &error);
        if (result < 0 && result != -ENOENT) {
            lookup->result = result;
            return;
        }
    }
}

int broker_watch(struct broker *broker, struct watch *watches, size_t count)
{
    bool all_known = true;
    for (size_t i = 0; i < count; i++) {
        struct watch *watch = &watches[i];
        *watch = (struct watch){.id = watch->id, .event = watch->event};
        /* in memory means not finished yet: no need to ask the store */
        const struct job *job = job_table_find(&broker->jobs, watch->id);
        watch->known = job && !job->ended_in_store;
        all_known = all_known && watch->known;
        link_watch(broker, watch);
    }
    if (all_known)
        return 0;
    struct watch_lookup lookup = {.watches = watches, .count = count};
    lookup.read.perform = perform;
    lookup.read.context = &lookup;
    committer_read(&broker->committer, &lookup.read);
    if (lookup.result < 0)
        broker_unwatch(broker, watches, count);
    return lookup.result;
}

void broker_unwatch(struct broker *broker, struct watch *watches, size_t count)
{
    (void)broker;
    for (size_t i = 0; i < count; i++) {
        unlink_watch(&watches[i]);
        buffer_free(&watches[i].result);
    }
}
