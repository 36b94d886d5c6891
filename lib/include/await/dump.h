/* dump.h - every task of this loop and where it waits: the first thing to look at when a program
 * hangs.
 *
 *     #ifndef NDEBUG
 *         result = aw_task_dump_on_signal(SIGUSR1, STDERR_FILENO);
 *     #endif
 */
#ifndef AWAIT_DUMP_H
#define AWAIT_DUMP_H

#include <await/base.h>
#include <await/task.h>

enum aw_task_state {
    AW_TASK_READY,   /* runs when its turn comes */
    AW_TASK_RUNNING, /* the caller */
    AW_TASK_WAITING, /* for what `where` says */
};

struct aw_task_info {
    const struct aw_task *task;
    uint64_t id;           /* counts up from 1 in the order of spawning; never used again */
    uint64_t parent_id;    /* who spawned it; 0 for the first task. It may have finished */
    const char *name;      /* aw_task_name */
    const char *where;     /* such as "lock" or "socket receive"; "" unless waiting */
    uint64_t duration_ns;  /* for how long it has waited, to within a turn of the loop */
    uint64_t deadline_ns;  /* of its scopes; AW_NEVER: none */
    uint32_t children;     /* of its own that have not finished, those in groups not counted */
    enum aw_task_state state;
    bool interrupted;      /* cancelled or past its deadline, as seen from where it is now */
};

/* Calls visit(info, context) for each task that has not finished, in the order of spawning; returns
 * how many there are (0 outside aw_run). Never suspends. `info` and its strings are valid during
 * the call; visit may not suspend, spawn or cancel. */
AW_API uint32_t aw_task_dump(void (*visit)(const struct aw_task_info *info, void *context),
                             void *context);

/* The same as text, a line a task:
 *
 *     3 "main" (by 1) waits 1500 ms: await a task; 2 children
 *
 * `buffer` always ends with a NUL and after a whole line (size 0: nothing is written); lines that
 * do not fit are left out. Returns the size that all of it needs, its NUL included. */
AW_API size_t aw_task_dump_text(char *buffer, size_t size);

/* From now on, until the calling task's function returns, each signal `number` (SIGUSR1 ...) writes
 * the dump as text to the descriptor `output`, which stays the caller's: at most 1 MiB of it. It
 * can only be written while the loop turns: a task that computes without end is not seen this way.
 * Blocks the signal for this thread, so call it before any thread is started. 0, -EINVAL (no such
 * signal), -ENOMEM, -EMFILE, -EPERM (outside aw_run), and errors as aw_spawn. Not a cancellation
 * point. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_task_dump_on_signal(int number, int output);

#endif
