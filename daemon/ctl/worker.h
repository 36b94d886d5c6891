/* worker.h - runs a command for each job of a worker target: awaitctl worker. */
#ifndef CTL_WORKER_H
#define CTL_WORKER_H

#include "ctl/command.h"

#define WORKER_JOBS_MAX 256

struct worker_settings {
    const char *socket_path;
    uint64_t connect_timeout_ms;
    const char *target;
    uint32_t jobs;         /* at once */
    uint64_t lease_ms;
    uint64_t timeout_ms;   /* of one run, 0: none */
    bool first_on_stdin;   /* the first argument goes to standard input, and nowhere else */
    const char *const *command;
    int command_count;
};

/* Returns when a signal has ended it and all its jobs are answered, or when it cannot go on. */
enum exit_code worker_run(const struct worker_settings *settings);

#endif
