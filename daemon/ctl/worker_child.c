/* worker_child.c - see worker_child.h. */
#include "ctl/worker_child.h"

#include "ctl/exit_code.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_STARTED 127
#define READS_MAX 64 /* a turn: a command that floods does not hold up the others */

/* --- starting --------------------------------------------------------------------------------- */

enum { PIPE_INPUT, PIPE_OUTPUT, PIPE_ERRORS, PIPE_EXEC, PIPE_COUNT };

struct pipes {
    int ends[PIPE_COUNT][2]; /* as of pipe(2); -1: closed */
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pipes(struct pipes *pipes)
{
    for (int index = 0; index < PIPE_COUNT; index++) {
        close_end(&pipes->ends[index][0]);
        close_end(&pipes->ends[index][1]);
    }
}

static int open_pipes(struct pipes *pipes, bool with_input)
{
    memset(pipes, 0xff, sizeof *pipes);
    for (int index = with_input ? PIPE_INPUT : PIPE_OUTPUT; index < PIPE_COUNT; index++) {
        if (pipe2(pipes->ends[index], O_CLOEXEC) < 0) {
            int error = -errno;
            close_pipes(pipes);
            return error;
        }
    }
    return 0;
}

/* In the child: becomes the command, or leaves the reason in the pipe. Only async-signal-safe
 * calls. */
static void become(struct pipes *pipes, char *const *arguments, char *const *environment,
                   pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    int input = pipes->ends[PIPE_INPUT][0];
    if (input < 0)
        input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool placed = getppid() == parent && dup2(input, STDIN_FILENO) >= 0 &&
                  dup2(pipes->ends[PIPE_OUTPUT][1], STDOUT_FILENO) >= 0 &&
                  dup2(pipes->ends[PIPE_ERRORS][1], STDERR_FILENO) >= 0;
    if (placed)
        execvpe(arguments[0], arguments, environment);
    int error = errno;
    ssize_t written = write(pipes->ends[PIPE_EXEC][1], &error, sizeof error);
    _exit(written == (ssize_t)sizeof error ? EXIT_NOT_STARTED : EXIT_NOT_STARTED + 1);
}

/* Waits until the child has become the command: 0, or its negative errno. */
static int exec_result(struct pipes *pipes, pid_t pid)
{
    int error = 0;
    ssize_t size;
    close_end(&pipes->ends[PIPE_EXEC][1]);
    do
        size = read(pipes->ends[PIPE_EXEC][0], &error, sizeof error);
    while (size < 0 && errno == EINTR);
    if (size == 0)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return size == (ssize_t)sizeof error && error > 0 ? -error : -EIO;
}

/* Our end: waits for nobody. */
static int take_end(int *fd)
{
    int taken = *fd;
    *fd = -1;
    if (taken >= 0)
        (void)fcntl(taken, F_SETFL, O_NONBLOCK); /* a fresh pipe's end: cannot fail */
    return taken;
}

int child_start(struct child *child, char *const *arguments, char *const *environment,
                const char *data, size_t data_size, const char *name)
{
    struct pipes pipes;
    int result = open_pipes(&pipes, data != NULL);
    if (result < 0)
        return result;
    fflush(NULL);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(&pipes, arguments, environment, parent);
    result = pid < 0 ? -errno : exec_result(&pipes, pid);
    if (result == 0) {
        *child = (struct child){.pid = pid, .data = data, .data_size = data_size, .name = name};
        child->input = take_end(&pipes.ends[PIPE_INPUT][1]);
        child->output = take_end(&pipes.ends[PIPE_OUTPUT][0]);
        child->errors = take_end(&pipes.ends[PIPE_ERRORS][0]);
    }
    close_pipes(&pipes);
    return result;
}

/* --- what goes in and comes out --------------------------------------------------------------- */

static void feed(struct child *child)
{
    while (child->input >= 0) {
        if (child->data_size == 0) {
            close_end(&child->input);
            return;
        }
        ssize_t written = write(child->input, child->data, child->data_size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            return;
        if (written < 0) { /* it does not read: its own affair */
            close_end(&child->input);
            return;
        }
        child->data += written;
        child->data_size -= (size_t)written;
    }
}

static void keep_output(struct child *child, const char *data, size_t size)
{
    size_t room = RESULT_SIZE_MAX - child->result.size;
    if (size > room)
        child->truncated = true;
    text_append(&child->result, data, size < room ? size : room);
}

static void end_line(struct child *child)
{
    size_t size = child->line_size;
    while (size > 0 && child->line[size - 1] == '\r')
        size--;
    if (size > 0) {
        memcpy(child->last_line, child->line, size);
        child->last_line[size] = '\0';
        complain(EXIT_FAILED, "job %s: %s", child->name, child->last_line);
    }
    child->line_size = 0;
}

static void keep_errors(struct child *child, const char *data, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        if (data[at] == '\n') {
            end_line(child);
            continue;
        }
        if (child->line_size == CHILD_LINE_SIZE - 1)
            end_line(child);
        child->line[child->line_size++] = data[at] != '\0' ? data[at] : ' ';
    }
}

/* Reads until nothing is there, the other end is closed, or it was enough for one turn. */
static void drain(struct child *child, int *fd,
                  void (*keep)(struct child *child, const char *data, size_t size))
{
    char block[65536];
    for (int reads = 0; *fd >= 0 && reads < READS_MAX; reads++) {
        ssize_t size = read(*fd, block, sizeof block);
        if (size > 0)
            keep(child, block, (size_t)size);
        else if (size == 0 || (errno != EAGAIN && errno != EINTR))
            close_end(fd);
        else if (errno == EAGAIN)
            return;
    }
}

void child_transfer(struct child *child)
{
    feed(child);
    drain(child, &child->output, keep_output);
    drain(child, &child->errors, keep_errors);
}

/* --- ending ----------------------------------------------------------------------------------- */

bool child_ended(struct child *child, int *ret_status)
{
    siginfo_t information = {0};
    if (child->pid == 0 ||
        waitid(P_PID, (id_t)child->pid, &information, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        information.si_pid != child->pid)
        return false;
    if (child->signalled) /* before its pid, the group's number, is free for others */
        (void)kill(-child->pid, SIGKILL);
    if (waitpid(child->pid, ret_status, 0) != child->pid)
        return false;
    child->pid = 0;
    /* What it wrote is in the pipes by now. One of its own children may hold them open for ever:
     * nobody waits for their end. */
    drain(child, &child->output, keep_output);
    drain(child, &child->errors, keep_errors);
    end_line(child);
    return true;
}

void child_signal(struct child *child, int signal_number)
{
    child->signalled = true;
    if (child->pid > 0)
        (void)kill(-child->pid, signal_number); /* has it gone, SIGCHLD tells */
}

void child_free(struct child *child)
{
    close_end(&child->input);
    close_end(&child->output);
    close_end(&child->errors);
    text_free(&child->result);
    *child = (struct child){.input = -1, .output = -1, .errors = -1};
}
