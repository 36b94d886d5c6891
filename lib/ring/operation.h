/* operation.h - operations in flight, named by slot and generation, never by pointer.
 *
 * A slot is FREE, or in flight until its terminal completion has been seen. Only then may it be
 * used again, under the next generation, so that a late completion or cancel can never touch a
 * newer operation. The table grows in chunks up to two limits, above which tasks wait their turn:
 * aw_options.operations_max, and apart from it 1,024 for those that nothing interrupts. */
#ifndef RING_OPERATION_H
#define RING_OPERATION_H

#include "ring/backend.h"

#include <await/base.h>

/* Tags below this are the ring's own (cancels, the mailbox). */
#define TAG_CANCEL UINT64_C(0)
#define TAG_MAILBOX UINT64_C(1)

void operations_open(uint32_t operations_max);
void operations_close(void);

/* Gives a completion to its operation and wakes the task. */
void operations_deliver(const struct backend_completion *completion);

/* One attempt, as ring_perform without its retries; the lent buffer's number, if the kernel took
 * one, goes to *ret_buffer (may be NULL). */
AW_MUST_CHECK AW_SUSPENDS int operation_perform(const struct ring_request *request, bool shielded,
                                                uint32_t *ret_buffer);

/* How many are in flight. */
uint32_t operations_running(void);

#endif
