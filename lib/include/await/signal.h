/* signal.h - signals as something to await (signalfd(2) on the ring). */
#ifndef AWAIT_SIGNAL_H
#define AWAIT_SIGNAL_H

#include <await/base.h>
#include <signal.h>

/* Blocks the signals for this thread and opens a descriptor that receives them. Call it before any
 * thread is started. Returns the descriptor, the caller's to aw_close (the signals stay blocked),
 * or the errors of signalfd(2): -EMFILE, -ENFILE, -ENOMEM; then nothing is blocked. Never suspends.
 */
AW_API AW_MUST_CHECK int aw_signal_open(const sigset_t *signals);

/* Waits for the next signal and returns its number, above 0. Several tasks may wait on one
 * descriptor: each signal goes to one of them. -EBADF: not a descriptor of aw_signal_open, or it
 * was closed; -EIO: what was read is no signal. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_signal_wait(int fd);

#endif
