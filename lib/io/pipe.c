/* pipe.c - pipes and socket pairs, and the signal that comes with pipes; see await/pipe.h and
 * pipe_signal.h. */
#include <await/pipe.h>

#include "io/pipe_signal.h"
#include "ring/runtime.h"
#include "ring/system_process.h"

static _Thread_local bool held;

static void release(void *argument)
{
    const bool *was_unblocked = argument;
    if (*was_unblocked)
        system_release_pipe_signal();
    held = false;
}

int pipe_signal_hold(void)
{
    static _Thread_local bool unblocked;
    if (held)
        return 0;
    int result = runtime_at_exit(release, &unblocked);
    if (result < 0)
        return result;
    held = true;
    unblocked = false; /* nothing to undo when the next call fails */
    return system_hold_pipe_signal(&unblocked);
}

int aw_pipe(int ret_ends[2])
{
    int result = pipe_signal_hold();
    return result < 0 ? result : system_pipe(ret_ends);
}

int aw_socket_pair(int type, int ret_ends[2])
{
    return system_socket_pair(type, ret_ends);
}
