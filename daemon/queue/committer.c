/* committer.c - see committer.h. */
#include "queue/committer.h"

#include "admin/log.h"
#include "queue/job_extras.h"

#include <errno.h>

#define FULL_RETRY_MS 500u
#define EVEN_BATCH_CHANGES 16u

void committer_init(struct committer *committer, struct store *store)
{
    *committer = (struct committer){.store = store, .give_up_ns = AW_NEVER};
    aw_event_init(&committer->work);
    aw_event_init(&committer->uncongested);
    aw_event_set(&committer->uncongested);
}

static size_t change_bytes(const struct store_change *change)
{
    size_t bytes = sizeof *change;
    if (change->kind == CHANGE_INSERT)
        bytes += job_size_bytes(change->job) + job_extras_size_bytes(change->job);
    if (change->kind == CHANGE_CRON_SET)
        bytes += change->schedule->request_size;
    if (change->kind == CHANGE_INSERT_ALL)
        bytes += change->group->bytes;
    if (change->result)
        bytes += change->result->capacity;
    return bytes;
}

uint32_t committer_pending(const struct committer *committer)
{
    return (uint32_t)(committer->added - committer->finished);
}

bool committer_is_congested(const struct committer *committer)
{
    return committer_pending(committer) > CONGESTED_CHANGES ||
           committer->pending_bytes > CONGESTED_BYTES;
}

void committer_add(struct committer *committer, struct store_change *change)
{
    change->next = NULL;
    if (committer->last)
        committer->last->next = change;
    else
        committer->first = change;
    committer->last = change;
    committer->added++;
    change->bytes = change_bytes(change);
    committer->pending_bytes += change->bytes;
    if (committer_is_congested(committer))
        aw_event_clear(&committer->uncongested);
    aw_event_set(&committer->work);
}

void committer_add_read(struct committer *committer, struct store_read *read)
{
    read->next = NULL;
    read->queued = true;
    read->changes_before = committer->added;
    if (committer->last_read)
        committer->last_read->next = read;
    else
        committer->first_read = read;
    committer->last_read = read;
    aw_event_set(&committer->work);
}

void committer_read(struct committer *committer, struct store_read *read)
{
    struct aw_scope shield;
    aw_event_init(&read->done);
    committer_add_read(committer, read);
    aw_shield_enter(&shield, AW_NEVER);
    while (read->queued)
        AW_IGNORE(aw_event_wait(&read->done));
    aw_scope_leave(&shield);
}

void committer_give_up_at(struct committer *committer, uint64_t deadline_ns)
{
    committer->give_up_ns = deadline_ns;
}

void committer_close(struct committer *committer)
{
    committer->closing = true;
    aw_event_set(&committer->work);
}

/* How many of the waiting changes the next batch takes. While one batch is on the disk, the answers
 * of the one before it bring the next requests. If that one took all there was, nearly everybody
 * waits for the disk, then nearly everybody for the processor; batches of one size keep both busy.
 * A few are not worth a second wait. */
static uint32_t batch_limit(const struct committer *committer)
{
    uint32_t waiting = committer_pending(committer);
    if (waiting <= EVEN_BATCH_CHANGES || waiting <= committer->last_batch)
        return BATCH_CHANGES;
    uint32_t even = waiting / 2 + committer->last_batch / 2 + 1;
    if (even < EVEN_BATCH_CHANGES)
        even = EVEN_BATCH_CHANGES;
    return even < BATCH_CHANGES ? even : BATCH_CHANGES;
}

/* The next batch, taken off the list. */
static struct store_change *take_batch(struct committer *committer, uint32_t *ret_count)
{
    uint32_t limit = batch_limit(committer);
    struct store_change *batch = committer->first;
    struct store_change *last = batch;
    uint32_t count = batch ? 1 : 0;
    while (last && last->next && count < limit) {
        last = last->next;
        count++;
    }
    if (last) {
        committer->first = last->next;
        if (!committer->first)
            committer->last = NULL;
        last->next = NULL;
    }
    *ret_count = count;
    return batch;
}

static int write_batch(struct committer *committer, struct store_change *batch,
                       struct aw_error *reterr)
{
    int result = store_begin(committer->store, reterr);
    for (struct store_change *change = batch; change && result == 0; change = change->next)
        result = store_apply(committer->store, change, reterr);
    if (result == 0)
        result = store_commit(committer->store, reterr);
    return result;
}

static void finish_change(struct committer *committer, struct store_change *change, int result)
{
    committer->finished++;
    committer->pending_bytes -= change->bytes;
    if (!committer_is_congested(committer) && !committer->uncongested.set)
        aw_event_set(&committer->uncongested);
    change->done(change, result);
}

/* What a client asks for, and is told when there is no room for it. */
static bool is_request(const struct store_change *change)
{
    return change->kind == CHANGE_INSERT || change->kind == CHANGE_INSERT_ALL ||
           change->kind == CHANGE_CRON_SET || change->kind == CHANGE_CRON_DELETE;
}

/* Nothing of the batch is stored: refuse the new jobs, keep the rest for later, in order. */
static void keep_for_later(struct committer *committer, struct store_change *batch)
{
    bool give_up = aw_now_ns() >= committer->give_up_ns;
    uint32_t given_up = 0;
    struct store_change *kept = NULL;
    struct store_change **tail = &kept;
    struct store_change *kept_last = NULL;
    while (batch) {
        struct store_change *change = batch;
        batch = change->next;
        store_change_discard(change);
        if (is_request(change) || give_up) {
            given_up += !is_request(change);
            finish_change(committer, change, -ENOSPC);
            continue;
        }
        *tail = change;
        tail = &change->next;
        kept_last = change;
    }
    if (given_up > 0)
        log_line(LOG_LEVEL_ERROR,
                 "queue: the disk is still full at the end: %u changes are not stored; jobs among "
                 "them that have run will run again after the next start",
                 given_up);
    if (!kept)
        return;
    *tail = committer->first;
    committer->first = kept;
    if (!committer->last)
        committer->last = kept_last;
}

static void disk_is_full(struct committer *committer, struct store_change *batch,
                         struct aw_error *error)
{
    if (!committer->disk_full)
        log_line(LOG_LEVEL_ERROR, "%s: new jobs are refused until there is room", error->message);
    committer->disk_full = true;
    committer->retry_ns = aw_after_ms(FULL_RETRY_MS);
    if (store_roll_back(committer->store, error) < 0)
        log_fatal("%s", error->message);
    keep_for_later(committer, batch);
}

static uint64_t store_sync_ns(const struct committer *committer)
{
    struct store_statistics statistics;
    store_statistics(committer->store, &statistics);
    return statistics.sync_ns;
}

static void count_commit(struct committer *committer, uint64_t began_ns, uint64_t sync_ns,
                         uint32_t count)
{
    uint64_t now_ns = aw_now_ns();
    histogram_add(&committer->commit_times, (now_ns - began_ns) / 1000, now_ns);
    histogram_add(&committer->sync_times, sync_ns / 1000, now_ns);
    histogram_add(&committer->batch_sizes, count, now_ns);
    committer->sync_ns += sync_ns;
    committer->commits++;
    committer->committed += count;
    if (count > committer->largest_batch)
        committer->largest_batch = count;
}

static void commit_batch(struct committer *committer, struct store_change *batch, uint32_t count)
{
    struct aw_error error = {0};
    uint64_t began_ns = aw_now_ns();
    uint64_t synced_ns = store_sync_ns(committer);
    int result = write_batch(committer, batch, &error);
    committer->commit_ns += aw_now_ns() - began_ns;
    if (result == -ENOSPC) {
        disk_is_full(committer, batch, &error);
        return;
    }
    if (result < 0)
        log_fatal("%s: what the last batch stored is unknown, so nobody is answered; start again "
                  "to recover",
                  error.message);
    if (committer->disk_full)
        log_line(LOG_LEVEL_INFO, "queue: there is room on the disk again");
    committer->disk_full = false;
    count_commit(committer, began_ns, store_sync_ns(committer) - synced_ns, count);
    while (batch) {
        struct store_change *change = batch;
        batch = change->next;
        finish_change(committer, change, 0);
    }
}

/* The changes made before it are committed; on a full disk it would wait for too long. */
static bool may_read(const struct committer *committer, const struct store_read *read)
{
    return read && (read->changes_before <= committer->finished || committer->disk_full);
}

static void perform_reads(struct committer *committer)
{
    /* those asked for meanwhile wait for the next round: commits have their turn too */
    const struct store_read *last = committer->last_read;
    bool more = may_read(committer, committer->first_read);
    while (more) {
        struct store_read *read = committer->first_read;
        committer->first_read = read->next;
        if (!committer->first_read)
            committer->last_read = NULL;
        more = read != last && may_read(committer, committer->first_read);
        read->perform(read, committer->store);
        read->queued = false;
        aw_event_set(&read->done);
    }
}

static bool may_commit(const struct committer *committer)
{
    return committer->first &&
           (!committer->disk_full || aw_now_ns() >= committer->retry_ns);
}

bool committer_refuses(const struct committer *committer)
{
    return committer->disk_full &&
           (committer->first || aw_now_ns() < committer->retry_ns);
}

static void wait_for_work(struct committer *committer)
{
    struct aw_scope scope;
    aw_event_clear(&committer->work);
    aw_scope_enter(&scope, committer->first ? committer->retry_ns : AW_NEVER);
    AW_IGNORE(aw_event_wait(&committer->work));
    aw_scope_leave(&scope);
}

static void commit_next(struct committer *committer)
{
    uint32_t count;
    /* Under load the answers of the last batch bring the next requests: one turn of the loop takes
     * in those that have arrived, which else would wait for a whole sync. Alone, nobody is coming.
     */
    if (committer->last_batch > 1)
        AW_IGNORE(aw_yield());
    struct store_change *batch = take_batch(committer, &count);
    committer->last_batch = count;
    commit_batch(committer, batch, count);
    struct aw_error error = {0};
    int result = store_maintain(committer->store, false, &error);
    if (result < 0 && result != -ENOSPC)
        log_fatal("%s", error.message);
}

int committer_main(void *argument)
{
    struct committer *committer = argument;
    struct aw_scope shield;
    aw_task_set_name(NULL, "committer");
    aw_shield_enter(&shield, AW_NEVER);
    for (;;) {
        if (may_commit(committer))
            commit_next(committer);
        else if (!may_read(committer, committer->first_read)) {
            if (committer->closing && !committer->first)
                break;
            wait_for_work(committer);
            continue;
        }
        perform_reads(committer);
    }
    aw_scope_leave(&shield);
    return 0;
}
