/* once.h - something that is done once, by whoever comes first, while the others wait for it.
 *
 * Starting state: all zero, or aw_once_init. States: idle -> running -> done, and back from running
 * to idle when it failed. */
#ifndef AWAIT_ONCE_H
#define AWAIT_ONCE_H

#include <await/base.h>
#include <await/sync.h>
#include <await/task.h>

struct aw_once { /* private */
    struct aw_wait_list waiters;
    struct aw_task *runner;
    int result;
    bool done;
};

/* Idle: nobody has run it. */
AW_API void aw_once_init(struct aw_once *once);

/* Runs function(argument) in this task unless it has succeeded before or runs in another task; then
 * waits for that. Returns the result of the run that succeeded, to everybody, for ever. A run that
 * failed (or was cancelled) gives its error to its own caller only, and the first waiter runs the
 * function again. -ECANCELED or -ETIME while waiting; -EDEADLK when the function calls it again. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_once_run(struct aw_once *once, aw_function function,
                                                 void *argument);

/* Whether it has succeeded. */
AW_API bool aw_once_done(const struct aw_once *once);

#endif
