/* runtime.h - the loop of aw_run, for the layers above that keep things as long as it lives. */
#ifndef RING_RUNTIME_H
#define RING_RUNTIME_H

#include <await/task.h>

/* Calls function(argument) before aw_run returns: after every task the program started has
 * finished, in a task (it may suspend), last registered first. At most 16. 0, -ENOSPC, -EPERM
 * outside aw_run. */
AW_MUST_CHECK int runtime_at_exit(void (*function)(void *argument), void *argument);

/* The options aw_run was given, defaults filled in. */
const struct aw_options *runtime_options(void);

#endif
