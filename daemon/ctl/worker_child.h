/* worker_child.h - one command that runs for one job, with what goes into it and comes out of it.
 *
 * It leads a process group of its own: a signal meets what it started, too, and Ctrl-C at the
 * terminal is the worker's to obey. It gets SIGTERM when the worker dies.
 *
 * Standard output is kept up to RESULT_SIZE_MAX, the rest read and dropped, so that the command
 * never stands before a full pipe. Standard error is passed on line by line, the last line kept. */
#ifndef CTL_WORKER_CHILD_H
#define CTL_WORKER_CHILD_H

#include "ctl/text.h"

#include <sys/types.h>

#define RESULT_SIZE_MAX 1048576u
#define CHILD_LINE_SIZE 512u

struct child { /* pid 0: none */
    pid_t pid;
    int input;  /* our ends of its standard input, output and error; -1: closed */
    int output;
    int errors;
    bool signalled;
    const char *data; /* for its standard input; the caller's, as long as the child is there */
    size_t data_size;
    const char *name; /* of its job, before each line of its standard error; the caller's */
    struct text result;
    bool truncated;
    char line[CHILD_LINE_SIZE]; /* that has not ended yet */
    size_t line_size;
    char last_line[CHILD_LINE_SIZE];
};

/* Starts arguments[0] (found by PATH). Without data standard input is /dev/null. 0, or a negative
 * errno: of pipe, fork, or of the exec itself. */
int child_start(struct child *child, char *const *arguments, char *const *environment,
                const char *data, size_t data_size, const char *name);

/* Moves what can be moved now, in all directions. */
void child_transfer(struct child *child);

/* Whether it has ended; then *ret_status is as of waitpid(2), all its output has been read, and
 * only child_free is left to do. What is left of its group is killed if it had been signalled. */
bool child_ended(struct child *child, int *ret_status);

/* To the whole group. */
void child_signal(struct child *child, int signal_number);

void child_free(struct child *child);

#endif
