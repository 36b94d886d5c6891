/* committer.c - see committer.h. */
#include "queue/committer.h"

#include "admin/log.h"

#include <errno.h>

#define FULL_RETRY_MS 500u

void committer_init(struct committer *committer, struct store *store)
{
    *committer = (struct committer){.store = store};
    aw_event_init(&committer->work);
    aw_event_init(&committer->uncongested);
    aw_event_set(&committer->uncongested);
}

static size_t change_bytes(const struct store_change *change)
{
    return change->kind == CHANGE_INSERT ? job_size_bytes(change->job) : sizeof *change;
}

bool committer_is_congested(const struct committer *committer)
{
    return committer->pending > CONGESTED_CHANGES || committer->pending_bytes > CONGESTED_BYTES;
}

void committer_add(struct committer *committer, struct store_change *change)
{
    change->next = NULL;
    if (committer->last)
        committer->last->next = change;
    else
        committer->first = change;
    committer->last = change;
    committer->pending++;
    committer->pending_bytes += change_bytes(change);
    if (committer_is_congested(committer))
        aw_event_clear(&committer->uncongested);
    aw_event_set(&committer->work);
}

void committer_add_read(struct committer *committer, struct store_read *read)
{
    read->next = NULL;
    read->queued = true;
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

void committer_close(struct committer *committer)
{
    committer->closing = true;
    aw_event_set(&committer->work);
}

/* The next batch, taken off the list. */
static struct store_change *take_batch(struct committer *committer, uint32_t *ret_count)
{
    struct store_change *batch = committer->first;
    struct store_change *last = batch;
    uint32_t count = batch ? 1 : 0;
    while (last && last->next && count < BATCH_CHANGES) {
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
    committer->pending--;
    committer->pending_bytes -= change_bytes(change);
    change->done(change, result);
}

static void free_woken(struct store_change *change)
{
    while (change->woken) {
        struct job *job = change->woken;
        change->woken = job->next;
        job_free(job);
    }
}

/* Nothing of the batch is stored: refuse the new jobs, keep the rest for later, in order. */
static void keep_for_later(struct committer *committer, struct store_change *batch)
{
    struct store_change *kept = NULL;
    struct store_change **tail = &kept;
    struct store_change *kept_last = NULL;
    while (batch) {
        struct store_change *change = batch;
        batch = change->next;
        free_woken(change);
        if (change->kind == CHANGE_INSERT) {
            finish_change(committer, change, -ENOSPC);
            continue;
        }
        *tail = change;
        tail = &change->next;
        kept_last = change;
    }
    if (!kept)
        return;
    *tail = committer->first;
    committer->first = kept;
    if (!committer->last)
        committer->last = kept_last;
}

static void commit_batch(struct committer *committer, struct store_change *batch, uint32_t count)
{
    struct aw_error error;
    uint64_t began_ns = aw_now_ns();
    int result = write_batch(committer, batch, &error);
    committer->commit_ns += aw_now_ns() - began_ns;
    if (result == -ENOSPC) {
        if (!committer->disk_full)
            log_line(LOG_LEVEL_ERROR, "%s: new jobs are refused until there is room",
                     error.message);
        committer->disk_full = true;
        if (store_roll_back(committer->store, &error) < 0)
            log_fatal("%s", error.message);
        keep_for_later(committer, batch);
        (void)aw_sleep(FULL_RETRY_MS);
        return;
    }
    if (result < 0)
        log_fatal("%s: what the last batch stored is unknown, so nobody is answered; start again "
                  "to recover",
                  error.message);
    if (committer->disk_full)
        log_line(LOG_LEVEL_INFO, "queue: there is room on the disk again");
    committer->disk_full = false;
    if (count > committer->largest_batch)
        committer->largest_batch = count;
    while (batch) {
        struct store_change *change = batch;
        batch = change->next;
        finish_change(committer, change, 0);
    }
    if (!committer_is_congested(committer))
        aw_event_set(&committer->uncongested);
}

static void perform_reads(struct committer *committer)
{
    /* those asked for meanwhile wait for the next round, behind the changes made before them */
    struct store_read *read = committer->first_read;
    committer->first_read = NULL;
    committer->last_read = NULL;
    while (read) {
        struct store_read *next = read->next;
        read->perform(read, committer->store);
        read->queued = false;
        aw_event_set(&read->done);
        read = next;
    }
}

int committer_main(void *argument)
{
    struct committer *committer = argument;
    struct aw_scope shield;
    aw_task_set_name(NULL, "committer");
    aw_shield_enter(&shield, AW_NEVER);
    for (;;) {
        if (!committer->first && !committer->first_read) {
            if (committer->closing)
                break;
            aw_event_clear(&committer->work);
            AW_IGNORE(aw_event_wait(&committer->work));
            continue;
        }
        uint32_t count;
        struct store_change *batch = take_batch(committer, &count);
        if (batch)
            commit_batch(committer, batch, count);
        perform_reads(committer);
        struct aw_error error;
        int result = store_maintain(committer->store, false, &error);
        if (result < 0 && result != -ENOSPC)
            log_fatal("%s", error.message);
    }
    aw_scope_leave(&shield);
    return 0;
}
