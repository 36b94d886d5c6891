/* lease.h - one connection of a target for one client alone: "async with" over the wire.
 *
 *     waiting -> held -> ended
 *
 * A lease is a task of its own, which enters the connection, runs what it is given, and leaves it:
 * one task from begin to end, because a connection's locks belong to the task that took them. It
 * ends when it is asked to, at its deadline, when its task is cancelled (the client has gone,
 * awaitd stops) or when the connection is lost. Whatever the reason: a statement that runs is
 * stopped, an open transaction is rolled back, and the connection goes back as new or is closed.
 *
 * Who may hold one: at most target->settings.leases at once; the others wait in order.
 *
 * The lease's memory belongs to whoever started it, until the task has ended (lease_free). */
#ifndef TARGETS_LEASE_H
#define TARGETS_LEASE_H

#include "targets/target.h"

#include <await.h>

enum lease_state { LEASE_WAITING, LEASE_HELD, LEASE_ENDED };

struct lease {
    struct lease *next; /* the owner's */
    struct target *target;
    uint64_t timeout_ms;
    enum lease_state state;
    void *session;      /* the target type's, while it is held */

    const struct execution *execution; /* what is to be run, or runs */
    struct outcome *outcome;
    int result;                        /* of execute_in, and what it says when negative */
    struct aw_error refusal;
    struct aw_scope *running;          /* around the statement that runs; NULL: none does */

    bool exit_wanted;
    bool rolled_back;       /* ended: a transaction was open */
    struct aw_error why;    /* ended: number 0 after an exit, else code is the reply's word */
    struct aw_event wanted; /* for the task: something to do */
    struct aw_event news;   /* for the owner: held, answered or ended */
};

/* Starts the lease in `group`: it waits up to timeout_ms for a connection and may be held as long
 * from then on. -EOPNOTSUPP (reterr says why), -ENOMEM, what aw_group_spawn gives. */
AW_MUST_CHECK int lease_start(struct lease **ret_lease, struct aw_group *group,
                              struct target *target, uint64_t timeout_ms, struct aw_error *reterr);

/* Waits until it is held. Negative errno: it has ended instead, lease->why says why; or the caller
 * was interrupted (then it is asked to end). */
AW_MUST_CHECK AW_SUSPENDS int lease_wait_held(struct lease *lease);

/* Runs one execution. 0: *ret_outcome is filled. Negative errno with the reply's word in
 * reterr->code: refused, or the lease has ended. When the caller is interrupted the statement is
 * stopped and the lease goes on, if the connection can. */
AW_MUST_CHECK AW_SUSPENDS int lease_execute(struct lease *lease, const struct execution *execution,
                                            struct outcome *ret_outcome, struct aw_error *reterr);

/* Asks it to end and waits until it has. Not a cancellation point. */
AW_SUSPENDS void lease_end(struct lease *lease);

/* Fills *reterr with why an ended lease is over. Returns reterr->number (0: it was ended). */
int lease_explain(const struct lease *lease, struct aw_error *reterr);

/* Only once it has ended, or its group has. NULL is fine. */
void lease_free(struct lease *lease);

#endif
