/* system_process.h - child processes, pipes and socket pairs: the part of the seam beside system.h
 * that only programs which start others need. Results as in system.h. */
#ifndef RING_SYSTEM_PROCESS_H
#define RING_SYSTEM_PROCESS_H

#include <await/base.h>
#include <signal.h>
#include <sys/types.h>

AW_MUST_CHECK int system_pipe(int ret_ends[2]);
AW_MUST_CHECK int system_socket_pair(int type, int ret_ends[2]);

/* Blocks SIGPIPE for this thread: a write to a pipe that nobody reads raises it whatever the
 * operation's flags say. *ret_blocked: it was not blocked before. */
AW_MUST_CHECK int system_hold_pipe_signal(bool *ret_blocked);

/* Drops a pending SIGPIPE and unblocks it. */
void system_release_pipe_signal(void);

struct system_child { /* how to start one */
    const char *const *arguments;   /* ends with NULL; arguments[0] is looked up in PATH */
    const char *const *environment; /* ends with NULL; NULL: this process's own */
    const char *directory;          /* NULL: this process's own */
    int descriptors[3];             /* the child's 0, 1 and 2: -1 for /dev/null */
    bool own_group;                 /* leader of a process group of its own */
};

/* Starts the child with no signal blocked, every handler reset and no descriptor but its three, and
 * opens a descriptor (CLOEXEC) that is readable once it has ended. Waits until the child runs its
 * program, so only a thread of the offload pool calls it. -ENOENT and -EACCES are the program's or
 * the directory's. Nothing is left behind by a failure. */
AW_MUST_CHECK int system_spawn(const struct system_child *child, pid_t *ret_pid, int *ret_pidfd);

/* Signals the child behind a pidfd, or (group) the process group it leads; it must not have been
 * reaped, else `pid` may be somebody else. */
AW_MUST_CHECK int system_signal_child(int pidfd, int number);
AW_MUST_CHECK int system_signal_group(pid_t pid, int number);

/* Takes the ended child's status, never waiting: 1 and *ret_status as of waitpid(2), 0 while it
 * runs, -ECHILD when it is not ours (any more). */
AW_MUST_CHECK int system_reap(int pidfd, int *ret_status);

#endif
