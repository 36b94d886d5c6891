/* cancel.h - runs a function again and again, cancelled a little later each time, until it is
 * through before the cancellation comes; then the same with the deadline of a scope around it. */
#ifndef SUPPORT_CANCEL_H
#define SUPPORT_CANCEL_H

#include <await/task.h>

/* Inside a task. The function's result must be -ECANCELED when it was cancelled in time, -ETIME
 * when the deadline passed in time, else 0 or above; after each round no descriptor, child process,
 * task or slot of an operation may be left. The first turns are tried one by one, later ones in
 * growing steps. Returns how many rounds were cancelled. */
int cancel_everywhere(aw_function function, void *argument);

#endif
