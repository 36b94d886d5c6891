/* receipt_cleaner.h - deletes the receipts of exactly-once jobs that nobody needs any more.
 *
 * A receipt keeps a job's effect from happening a second time. It may go when nothing can run that
 * job's statements again, and that is when both are true:
 *
 *   finished  the job is done or no longer stored, durably, and not in execution: awaitd will not
 *             run it again, whatever happens (target->finished);
 *   fenced    no session of the engine, left behind by this daemon or an earlier one of the same
 *             store, can still work on an older run of it. Such a zombie may have the statements
 *             in its socket, unread, for as long as the session lives; no time is long enough. So
 *             sessions are looked at, not clocks: see postgres_receipt_clean.c. An engine inside
 *             this process has none.
 *
 * The order is what makes it true: first a set of finished jobs, then a moment, then the proof that
 * every session that could hold something sent before that moment is gone, then the deletion of
 * that set. On top of it a receipt stays for `receipt_keep`, so that a queue restored from a
 * younger backup does not repeat what the backup did not know of.
 *
 * Nothing is remembered: which receipts there are is asked of the engine, which jobs are finished
 * of the queue, each time. A daemon killed in between has deleted some of them, or none. */
#ifndef TARGETS_RECEIPT_CLEANER_H
#define TARGETS_RECEIPT_CLEANER_H

#include "targets/target.h"

#define RECEIPT_PAGE 1024u /* receipts that are listed or deleted at once */

struct receipt_page {
    uint64_t ids[RECEIPT_PAGE]; /* of receipts older than receipt_keep, ascending */
    uint32_t count;
    uint64_t last; /* the last receipt looked at, old or not: the next page begins behind it */
    bool end;      /* nothing is behind it that is worth a look */
};

/* How an engine keeps receipts. All return 0 or negative errno with one line in *reterr. */
struct receipt_engine {
    /* Receipts of this store behind the id `after`. -ENOENT: there is no table. */
    AW_SUSPENDS int (*list)(void *context, uint64_t after, struct receipt_page *ret_page,
                            struct aw_error *reterr);
    /* Comes back with 0 once no old session can work on what was sent before the call. NULL: there
     * never is one. */
    AW_SUSPENDS int (*fence)(void *context, struct aw_error *reterr);
    AW_SUSPENDS int (*forget)(void *context, const uint64_t *ids, uint32_t count,
                              struct aw_error *reterr);
};

/* Cleans in the background, in the target's group, from now on, as its settings say. The context is
 * the engine's own. */
AW_MUST_CHECK int receipt_cleaner_start(struct target *target, const struct receipt_engine *engine,
                                        void *context);

#endif
