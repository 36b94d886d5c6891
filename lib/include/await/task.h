/* task.h - tasks: functions that run concurrently on one thread.
 *
 * A task is a stackful coroutine: ordinary C that reads top to bottom, on a stack of its own. It
 * runs until it suspends (an AW_SUSPENDS function that must wait); then another task runs.
 *
 * Lifetime is structured. Each task belongs to a parent: the task that spawned it, or a group
 * (group.h). When a task's function returns while children of it still run, they are cancelled and
 * waited for before the task counts as finished, so no task outlives what its parent's stack holds.
 *
 * Cancellation is level-triggered: see scope.h. */
#ifndef AWAIT_TASK_H
#define AWAIT_TASK_H

#include <await/base.h>
#include <await/error.h>

/* What a task runs. Its result is given to whoever awaits the task: 0 or positive for success,
 * negative errno for failure. */
typedef int (*aw_function)(void *argument);

struct aw_task;

struct aw_options {
    size_t stack_size_bytes;     /* of each task; 0: 256 KiB. Rounded up to pages, at least 16 KiB,
                                    at most 1 GiB */
    uint32_t tasks_max;          /* at once, the loop's own one included; 0: 4,194,304; aw_spawn
                                    gives -EAGAIN above it */
    uint32_t operations_max;     /* I/O operations in flight at once; 0: 65,536. Beyond it tasks
                                    wait their turn; what cannot be interrupted (closing, shielded
                                    writes) has 1,024 places of its own */
    uint32_t offload_threads_max; /* threads of aw_to_thread, started when needed; 0: 4 */
};

/* Runs `function` as the first task of a new loop on this thread, and everything it spawns, until
 * it has finished. Returns its result, or before it ran: -EBUSY (a loop already runs on this
 * thread), -EINVAL (options), -EAGAIN (tasks_max below 2), -ENOMEM, -EMFILE, or what
 * io_uring_setup(2) said (-EPERM, -ENOSYS, -EINVAL ...), with the cause and its remedy in *reterr
 * (may be NULL). `options` may be NULL. */
AW_API AW_MUST_CHECK int aw_run(aw_function function, void *argument);
AW_API AW_MUST_CHECK int aw_run_with(const struct aw_options *options, aw_function function,
                                     void *argument, struct aw_error *reterr);

/* Starts a child of the current task; it first runs after the caller suspends. *ret_task is a
 * handle the caller owns: give it up with aw_await or aw_detach. Whoever it is passed to, it is
 * good only until the caller's own function has returned and its children have settled. Errors:
 * -ENOMEM, -EAGAIN (tasks_max), -EPERM (outside aw_run), -ECANCELED (the caller's function has
 * returned and its children are being settled). */
AW_API AW_MUST_CHECK int aw_spawn(struct aw_task **ret_task, aw_function function, void *argument);

/* Waits until the task has finished, frees the handle and returns its function's result. If the
 * caller is interrupted meanwhile (cancelled, or past its deadline) the task is cancelled and still
 * waited for; the result is then the task's own. Errors: -EDEADLK when a task awaits itself. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_await(struct aw_task *task);

/* Waits until the task has finished or the deadline has passed, and keeps the handle. Returns 0,
 * -ETIME (the deadline, or a scope's) or -ECANCELED (the caller); the task goes on in both cases.
 * -EDEADLK: a task waits for itself. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_wait(struct aw_task *task, uint64_t deadline_ns);

/* Gives up the handle: the task goes on as its parent's child and its result is dropped. A finished
 * task is freed. */
AW_API void aw_detach(struct aw_task *task);

/* Asks the task to stop: from now on each of its suspension points returns -ECANCELED. Does not
 * wait, may be repeated, and does nothing to a finished task. */
AW_API void aw_cancel(struct aw_task *task);

/* Whether the task's function has returned and its children have settled. */
AW_API bool aw_finished(const struct aw_task *task);

/* Awaits all `count` tasks, freeing the handles; results[i] (results may be NULL) is task i's.
 * Returns 0 if none failed, else the first error in order of completion. A failure does not stop
 * the others. If the caller is interrupted, those that still run are cancelled and waited for.
 * -EDEADLK, with the handles kept: the caller is among them. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_gather(size_t count, struct aw_task *const tasks[],
                                               int results[]);

/* Waits for the first of `count` tasks to finish, cancels and awaits the others, frees all handles.
 * Returns the winner's result; its index goes to *ret_index. -ECANCELED, -ETIME: the caller was
 * interrupted before there was one, -ENOMEM: there was no memory to wait with: all have been
 * cancelled and awaited. -EINVAL: count is 0. -EDEADLK: the caller is among them. In those two
 * cases the handles are kept. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_race(size_t count, struct aw_task *const tasks[],
                                             size_t *ret_index);

/* As aw_gather, but the first failure cancels the tasks that still run: results[i] of those is what
 * they made of it, usually -ECANCELED. All have settled when it returns the first error, or 0; the
 * handles are freed. -EDEADLK, with the handles kept: the caller is among them. Without memory to
 * wait with it cancels them all. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_gather_fail_fast(size_t count,
                                                         struct aw_task *const tasks[],
                                                         int results[]);

/* Waits until at least one of `count` tasks has finished or the deadline has passed; *ret_index is
 * the one that finished first. Cancels nothing and keeps all handles: aw_await that one next.
 * Returns 0, -ETIME, -ECANCELED, -EINVAL (count is 0), -ENOMEM, -EDEADLK (a task waits for itself).
 */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_wait_any(size_t count, struct aw_task *const tasks[],
                                                 uint64_t deadline_ns, size_t *ret_index);

/* Suspends for at least duration_ms, or until deadline_ns (AW_NEVER: until interrupted). 0 ms only
 * yields; a deadline that has passed gives 0 at once. Returns 0, -ECANCELED or -ETIME (a scope's
 * deadline came first). */
AW_API AW_SUSPENDS int aw_sleep(uint64_t duration_ms);
AW_API AW_SUSPENDS int aw_sleep_until(uint64_t deadline_ns);

/* Lets the other ready tasks and the loop run once. Returns 0, -ECANCELED or -ETIME. */
AW_API AW_SUSPENDS int aw_yield(void);

/* The running task, NULL outside aw_run. Not a handle to give up. */
AW_API struct aw_task *aw_current(void);

/* Gives the task a `name` for dumps and errors, copied, cut at 31 bytes; `task` NULL is the current
 * one (outside aw_run: nothing happens). */
AW_API void aw_task_set_name(struct aw_task *task, const char *name);

/* The name of a task that has not been freed, "task" when it has none; valid as long as the task
 * is, until its name changes. */
AW_API const char *aw_task_name(const struct aw_task *task);

/* How many tasks of this loop have not finished, the first one included. */
AW_API uint32_t aw_task_count(void);

/* How long ago the loop last looked at I/O and timers, in ns: long computations use it to decide
 * when to aw_yield. */
AW_API uint64_t aw_running_ns(void);

#endif
