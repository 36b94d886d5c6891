/* mailbox.h - how another thread reaches the loop: it posts a remote, and the loop calls its
 * `deliver` within the next turn (on the loop's thread, outside any task; it may wake tasks). */
#ifndef RING_MAILBOX_H
#define RING_MAILBOX_H

#include <await/base.h>

struct ring_remote {
    struct ring_remote *next;
    void (*deliver)(struct ring_remote *remote);
};

struct ring_mailbox;

/* The loop's mailbox, opened at first use. On the loop's thread only. Negative errno: no
 * descriptor, no memory. It lives as long as aw_run: every thread must have posted its last before
 * at_exit hooks end. */
AW_MUST_CHECK AW_SUSPENDS int ring_mailbox_current(struct ring_mailbox **ret_mailbox);

/* From any thread; never fails. The remote belongs to the mailbox until delivered. */
void ring_mailbox_post(struct ring_mailbox *mailbox, struct ring_remote *remote);

#endif
