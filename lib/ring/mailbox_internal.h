/* mailbox_internal.h - the loop's side of the mailbox. */
#ifndef RING_MAILBOX_INTERNAL_H
#define RING_MAILBOX_INTERNAL_H

#include "ring/mailbox.h"

/* The read of the eventfd has completed: deliver what was posted and wait for more. */
void mailbox_completed(int result);

/* Waits for posts if it does not yet. False: the ring was too busy; the loop must not sleep before
 * it has tried again, since nothing would wake it. */
bool mailbox_listen(void);

/* Begins to close it; then the ring must turn until its read has ended (mailbox_pending). */
void mailbox_close_begin(void);
bool mailbox_pending(void);
void mailbox_close_end(void);

#endif
