/* mailbox_internal.h - the loop's side of the mailbox. */
#ifndef RING_MAILBOX_INTERNAL_H
#define RING_MAILBOX_INTERNAL_H

#include "ring/mailbox.h"

/* The read of the eventfd has completed: deliver what was posted and wait for more. */
void mailbox_completed(int result);

/* Begins to close it; then the ring must turn until its read has ended (mailbox_pending). */
void mailbox_close_begin(void);
bool mailbox_pending(void);
void mailbox_close_end(void);

#endif
