/* offload.h - run a blocking or CPU-bound function on a thread, and await it.
 *
 * The pool has at most aw_options.offload_threads_max threads, started when needed and kept; more
 * calls than threads wait in order. The function runs on another thread: it may not call libawait
 * and shares only what the caller gives it. */
#ifndef AWAIT_OFFLOAD_H
#define AWAIT_OFFLOAD_H

#include <await/base.h>
#include <await/task.h>

/* Runs function(argument) on the pool and returns its result. A call that has not started is taken
 * back when the caller is interrupted (-ECANCELED, -ETIME); one that has started is waited for,
 * since it may be using the caller's memory. -ENOMEM, -EAGAIN (no thread could be started). */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_to_thread(aw_function function, void *argument);

/* As aw_to_thread, but an interrupted caller returns at once: the function goes on and `release`
 * (may not be NULL; runs on the loop's thread) is called with the argument when nobody will look at
 * it any more. The argument must therefore not be on the caller's stack. If the call is not
 * interrupted the caller keeps the argument and release is not called. The result tells which of
 * the two happened, so the function itself may return neither -ECANCELED nor -ETIME. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_to_thread_abandonable(aw_function function, void *argument,
                                                              void (*release)(void *argument));

#endif
