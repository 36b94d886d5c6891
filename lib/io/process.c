/* process.c - one child process; see await/process.h. Running one to its end with its output is in
 * process_run.c.
 *
 * RUNNING -> ENDED (reaped: the status is kept and the pid may be somebody else's from then on, so
 * no signal is sent any more). Starting happens on a thread of the offload pool, since it waits for
 * the program's file; everything it needs lies in the caller's frame, which aw_to_thread does not
 * leave before the thread is done. */
#include <await/process.h>

#include "io/pipe_signal.h"
#include "ring/system_process.h"

#include <await/file.h>
#include <await/offload.h>
#include <await/scope.h>
#include <await/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define GRACE_DEFAULT_MS 2000u
#define STREAMS 3

struct aw_process {
    pid_t pid;
    int pidfd;
    bool ended;
    int wait_error; /* somebody else took the status */
    int status;
    bool own_group;
    uint32_t grace_ms;
    struct aw_stream *streams[STREAMS];
};

/* What starting needs: the child's ends of the pipes are closed once it has its copies. */
struct start {
    struct system_child child;
    int child_ends[STREAMS];
    int own_ends[STREAMS];
    pid_t pid;
    int pidfd;
};

static int start_on_thread(void *argument)
{
    struct start *start = argument;
    return system_spawn(&start->child, &start->pid, &start->pidfd);
}

static void close_ends(int *ends)
{
    for (int i = 0; i < STREAMS; i++) {
        if (ends[i] >= 0)
            (void)aw_close(ends[i]);
        ends[i] = -1;
    }
}

static int make_pipe(struct start *start, int i)
{
    int ends[2];
    int result = system_pipe(ends);
    if (result < 0)
        return result;
    int child_end = i == 0 ? 0 : 1;
    start->child_ends[i] = ends[child_end];
    start->own_ends[i] = ends[1 - child_end];
    start->child.descriptors[i] = ends[child_end];
    return 0;
}

static int connect_stream(struct start *start, int i, enum aw_process_stream kind, int descriptor)
{
    switch (kind) {
    case AW_PROCESS_NULL:
        start->child.descriptors[i] = -1;
        return 0;
    case AW_PROCESS_INHERIT:
        start->child.descriptors[i] = i;
        return 0;
    case AW_PROCESS_PIPE:
        return make_pipe(start, i);
    case AW_PROCESS_DESCRIPTOR:
        start->child.descriptors[i] = descriptor;
        return descriptor < 0 ? -EBADF : 0;
    case AW_PROCESS_OUTPUT:
        start->child.descriptors[i] = start->child.descriptors[1];
        return i == 2 ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

static int connect_streams(struct start *start, const struct aw_process_options *options)
{
    int result = connect_stream(start, 0, options->input, options->input_descriptor);
    if (result == 0)
        result = connect_stream(start, 1, options->output, options->output_descriptor);
    if (result == 0)
        result = connect_stream(start, 2, options->errors, options->errors_descriptor);
    return result;
}

static int open_streams(struct aw_process *process, struct start *start,
                        const struct aw_stream_options *options)
{
    for (int i = 0; i < STREAMS; i++) {
        if (start->own_ends[i] < 0)
            continue;
        int fd = start->own_ends[i];
        int result = aw_stream_open_pair(&process->streams[i], i == 0 ? -1 : fd, i == 0 ? fd : -1,
                                         options);
        if (result < 0)
            return result;
        start->own_ends[i] = -1;
    }
    return 0;
}

static void free_process(struct aw_process *process)
{
    for (int i = 0; i < STREAMS; i++)
        aw_stream_abort(process->streams[i]);
    if (process->pidfd >= 0)
        (void)aw_close(process->pidfd);
    free(process);
}

static int start_child(struct aw_process *process, struct start *start,
                       const struct aw_process_options *options)
{
    int result = pipe_signal_hold();
    if (result == 0)
        result = connect_streams(start, options);
    /* last of all the child: whatever fails before needs no process to be taken back */
    if (result == 0)
        result = open_streams(process, start, &options->stream);
    if (result == 0)
        result = aw_to_thread(start_on_thread, start);
    close_ends(start->child_ends);
    close_ends(start->own_ends);
    if (result == 0) {
        process->pid = start->pid;
        process->pidfd = start->pidfd;
    }
    return result;
}

int aw_process_spawn(struct aw_process **ret_process, const struct aw_process_options *options,
                     struct aw_error *reterr)
{
    if (options->arguments == NULL || options->arguments[0] == NULL)
        return aw_error_set(reterr, -EINVAL, "cannot start a process: it has no arguments");
    struct aw_process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return aw_error_set(reterr, -ENOMEM, "cannot start %s: no memory", options->arguments[0]);
    process->pidfd = -1;
    process->own_group = options->own_group;
    process->grace_ms = options->grace_ms > 0 ? options->grace_ms : GRACE_DEFAULT_MS;
    struct start start = {
        .child = {.arguments = options->arguments,
                  .environment = options->environment,
                  .directory = options->directory,
                  .own_group = options->own_group},
        .child_ends = {-1, -1, -1},
        .own_ends = {-1, -1, -1},
        .pidfd = -1,
    };
    int result = start_child(process, &start, options);
    if (result < 0) {
        free_process(process);
        return aw_error_set(reterr, result, "cannot start %s%s%s: %s", options->arguments[0],
                            options->directory ? " in " : "",
                            options->directory ? options->directory : "", aw_error_text(result));
    }
    *ret_process = process;
    return 0;
}

struct aw_stream *aw_process_input(const struct aw_process *process)
{
    return process->streams[0];
}

struct aw_stream *aw_process_output(const struct aw_process *process)
{
    return process->streams[1];
}

struct aw_stream *aw_process_errors(const struct aw_process *process)
{
    return process->streams[2];
}

pid_t aw_process_id(const struct aw_process *process)
{
    return process->pid;
}

static void reap(struct aw_process *process)
{
    int result = process->ended ? 0 : system_reap(process->pidfd, &process->status);
    if (result != 0)
        process->ended = true;
    if (result < 0)
        process->wait_error = result;
}

int aw_process_wait(struct aw_process *process, int *ret_status)
{
    reap(process);
    while (!process->ended) {
        int result = aw_poll(process->pidfd, POLLIN);
        if (result < 0)
            return result;
        reap(process);
    }
    if (process->wait_error < 0)
        return process->wait_error;
    *ret_status = process->status;
    return 0;
}

int aw_process_signal(struct aw_process *process, int number)
{
    if (process->ended)
        return -ESRCH;
    return process->own_group ? system_signal_group(process->pid, number)
                              : system_signal_child(process->pidfd, number);
}

static bool wait_until(struct aw_process *process, uint64_t deadline_ns)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, deadline_ns);
    int status;
    AW_IGNORE(aw_process_wait(process, &status));
    aw_scope_leave(&scope);
    return process->ended;
}

/* A child that is gone already, or was never ours to signal, is seen by the waiting. */
static void end_child(struct aw_process *process)
{
    AW_IGNORE(aw_process_signal(process, SIGTERM));
    if (process->own_group)
        AW_IGNORE(aw_process_signal(process, SIGCONT)); /* a stopped one takes no SIGTERM */
    if (wait_until(process, aw_after_ms(process->grace_ms)))
        return;
    AW_IGNORE(aw_process_signal(process, SIGKILL));
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    (void)wait_until(process, AW_NEVER);
    aw_scope_leave(&shield);
}

void aw_process_close(struct aw_process *process)
{
    if (process == NULL)
        return;
    for (int i = 0; i < STREAMS; i++) {
        aw_stream_abort(process->streams[i]);
        process->streams[i] = NULL;
    }
    reap(process);
    if (!process->ended)
        end_child(process);
    free_process(process);
}
