/* process.h - child processes: start, talk to, wait for, and never leave one behind.
 *
 *     const char *arguments[] = {"sort", "-n", NULL};
 *     struct aw_process_options options = {.arguments = arguments};
 *     struct aw_process_output output;
 *     result = aw_process_run(&options, "3\n1\n", 4, 1 << 20, &output, &error);
 *
 * A child starts with no signal blocked or ignored and no descriptor but 0, 1 and 2. Its end is
 * awaited on the ring (pidfd), so SIGCHLD is not used; a program that ignores SIGCHLD, or waits for
 * any child itself, takes the status away (-ECHILD). */
#ifndef AWAIT_PROCESS_H
#define AWAIT_PROCESS_H

#include <await/base.h>
#include <await/error.h>
#include <await/stream.h>
#include <sys/types.h>

struct aw_process;

enum aw_process_stream {
    AW_PROCESS_NULL = 0,   /* /dev/null */
    AW_PROCESS_INHERIT,    /* this process's own */
    AW_PROCESS_PIPE,       /* a pipe; see aw_process_input, _output, _errors */
    AW_PROCESS_DESCRIPTOR, /* a given descriptor, copied; it stays the caller's */
    AW_PROCESS_OUTPUT,     /* errors only: where the output goes */
};

struct aw_process_options {
    const char *const *arguments;   /* ends with NULL; the first is looked up in PATH */
    const char *const *environment; /* "NAME=value", ends with NULL; NULL: this process's own */
    const char *directory;          /* NULL: this process's own */
    enum aw_process_stream input;
    enum aw_process_stream output;
    enum aw_process_stream errors;
    int input_descriptor; /* of AW_PROCESS_DESCRIPTOR */
    int output_descriptor;
    int errors_descriptor;
    bool own_group;    /* signals go to the child and to what it started, not to the child alone */
    uint32_t grace_ms; /* from SIGTERM to SIGKILL in aw_process_close; 0: 2,000 */
    struct aw_stream_options stream; /* of the pipes */
};

/* Starts the child. -ENOENT, -EACCES, -ENOEXEC: the program or the directory; -EINVAL: no
 * arguments, or AW_PROCESS_OUTPUT for another stream than the errors; -EBADF: a given descriptor;
 * -EMFILE; -EAGAIN: too many processes (fork(2)); -ENOMEM. 0: *ret_process is the caller's, and
 * needs one aw_process_close. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_process_spawn(struct aw_process **ret_process,
                                                      const struct aw_process_options *options,
                                                      struct aw_error *reterr);

/* The streams of AW_PROCESS_PIPE, else NULL; they belong to the process. aw_stream_end on the input
 * gives the child the end of its input. Never suspend. */
AW_API struct aw_stream *aw_process_input(const struct aw_process *process);
AW_API struct aw_stream *aw_process_output(const struct aw_process *process);
AW_API struct aw_stream *aw_process_errors(const struct aw_process *process);

/* The child's pid; once it has been waited for it may be another process's. */
AW_API pid_t aw_process_id(const struct aw_process *process);

/* Waits until the child has ended. *ret_status is as of waitpid(2) (WIFEXITED, WEXITSTATUS,
 * WIFSIGNALED, WTERMSIG of <sys/wait.h>). May be repeated, and called by several tasks. When it is
 * interrupted the child goes on. -ECHILD: somebody else has taken the status. A child that waits
 * for its input to end, or for its output to be read, does not end by itself. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_process_wait(struct aw_process *process, int *ret_status);

/* Sends the signal `number` of signal(7): 0. -ESRCH once the child has ended and been waited for;
 * -EINVAL: there is no such signal. Never suspends. */
AW_API AW_MUST_CHECK int aw_process_signal(struct aw_process *process, int number);

/* Ends everything: closes the pipes, and a child that still runs gets SIGTERM and, after grace_ms,
 * SIGKILL, and is waited for, also when the task is interrupted (then without the grace). Frees the
 * process. NULL does nothing. */
AW_API AW_SUSPENDS void aw_process_close(struct aw_process *process);

struct aw_process_output { /* what a finished child has left */
    int status;            /* as of waitpid(2) */
    char *output;          /* the caller's, see aw_process_output_free; ends with a NUL that the */
    size_t output_size;    /* size does not count */
    char *errors;
    size_t errors_size;
};

/* Starts the child, gives it input_size bytes of input, collects its output and errors, at most
 * size_max bytes each, and waits for its end: 0, whatever the status. The options' input, output
 * and errors: AW_PROCESS_NULL counts as AW_PROCESS_PIPE here (the input only when there is some);
 * what goes elsewhere is not collected and is empty. A child that does not read its input to the
 * end is no error. -EFBIG: it wrote more. After an error, cancellation and deadline included, the
 * child has been ended as by aw_process_close. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_process_run(const struct aw_process_options *options,
                                                    const void *input, size_t input_size,
                                                    size_t size_max,
                                                    struct aw_process_output *ret_output,
                                                    struct aw_error *reterr);

/* Frees what aw_process_run collected. Never suspends. */
AW_API void aw_process_output_free(struct aw_process_output *output);

#endif
