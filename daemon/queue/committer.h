/* committer.h - group commit: the one task that touches the store.
 *
 * Changes gather in a list while a batch is on the disk; the next batch takes all that have
 * gathered (at most BATCH_CHANGES) as one transaction and one sync. Nothing waits for a timer: an
 * idle committer takes a single change at once. After each batch come the callbacks, in order, then
 * the reads that were asked for, so that a read sees every change made before it.
 *
 * A full disk refuses new jobs (-ENOSPC to their callbacks) and keeps the other changes until there
 * is room: limits refuse submissions, never outcomes. Only a daemon that must end while its disk is
 * full gives them up (committer_give_up_at); those jobs run again after the next start. While the
 * disk is full, reads go ahead of the changes that are kept. Any other failure of the store ends
 * the process: what is on the disk is then unknown, and only a new start can find out. */
#ifndef QUEUE_COMMITTER_H
#define QUEUE_COMMITTER_H

#include "queue/histogram.h"
#include "queue/store.h"

#include <await.h>

#define BATCH_CHANGES 8192u
#define CONGESTED_CHANGES 32768u
#define CONGESTED_BYTES (64u * 1024 * 1024)

/* A look into the store. `perform` runs in the committer's task and may not fail silently: it keeps
 * its result where its owner finds it. */
struct store_read {
    struct store_read *next;
    void (*perform)(struct store_read *read, struct store *store);
    void *context;
    uint64_t changes_before; /* how many had been handed over when it was asked for */
    struct aw_event done;    /* only set for committer_read */
    bool queued;
};

struct committer {
    struct store *store;
    struct store_change *first;
    struct store_change *last;
    struct store_read *first_read;
    struct store_read *last_read;
    struct aw_event work;
    struct aw_event uncongested;
    uint64_t added;         /* changes handed over since the start */
    uint64_t finished;      /* of these: committed or refused */
    uint64_t pending_bytes; /* of the jobs and results of the others */
    uint64_t largest_batch;
    uint32_t last_batch;    /* changes in it */
    uint64_t commit_ns;     /* time spent in transactions since the start */
    uint64_t commits;       /* of them that were not empty and succeeded, */
    uint64_t committed;     /* and the changes in these */
    uint64_t sync_ns;       /* the part of commit_ns that waited for the disk */
    struct histogram commit_times; /* of the last minutes: us, */
    struct histogram sync_times;   /* the part of it that waited for the disk, */
    struct histogram batch_sizes;  /* and changes */
    uint64_t give_up_ns;    /* when a full disk costs outcomes */
    bool disk_full;         /* as far as the last batch found out */
    uint64_t retry_ns;      /* when it is tried again then */
    bool closing;
};

void committer_init(struct committer *committer, struct store *store);

/* The task. Ends when closing and nothing is left. */
AW_SUSPENDS int committer_main(void *committer);

/* Hands a change over; change->done is called with 0, or -ENOSPC (only new jobs, and schedules
 * set or deleted; or any once the outcomes have been given up). */
void committer_add(struct committer *committer, struct store_change *change);

/* Hands a read over and goes on. */
void committer_add_read(struct committer *committer, struct store_read *read);

/* Hands a read over and waits until it has been performed, whatever happens to the caller (its
 * memory is in use). */
AW_SUSPENDS void committer_read(struct committer *committer, struct store_read *read);

/* How many changes have been handed over and not finished. */
uint32_t committer_pending(const struct committer *committer);

/* Whether the disk is full and it is not yet time to try new jobs again. */
bool committer_refuses(const struct committer *committer);

bool committer_is_congested(const struct committer *committer);

/* From that time on (AW_NEVER at first) changes that meet a full disk are refused, not kept. */
void committer_give_up_at(struct committer *committer, uint64_t deadline_ns);

void committer_close(struct committer *committer);

#endif
