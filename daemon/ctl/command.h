/* command.h - what a command of awaitctl is, and how one ends.
 *
 * A command parses nothing itself: main.c reads its options by its table and calls `run` with
 * them. `run` talks to the daemon, prints, and returns the exit code. */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include "ctl/exit_code.h"
#include "ctl/options.h"
#include "ctl/reply.h"

struct invocation {
    const char *socket_path;
    uint64_t reply_timeout_ms; /* for commands that do not wait for a job */
    struct output output;
    const struct option_value *values; /* of the command's own options, in its table's order */
    const char *const *arguments;      /* what is no option, without the command's name */
    int argument_count;
};

struct command {
    const char *name;
    const char *arguments; /* in --help: "[option ...] <target> <arg> ..." */
    const char *summary;   /* one line */
    const char *help;      /* what it does, with examples */
    const struct option *options;
    bool stop_at_first; /* options come first; what follows is passed on as it is */
    int argument_min;
    int argument_max; /* -1: any number */
    enum exit_code (*run)(const struct invocation *invocation);
};

extern const struct command command_submit, command_run, command_await, command_gather,
    command_race, command_job, command_jobs, command_cancel, command_info, command_ping,
    command_call, command_worker, command_reserve, command_ack, command_nack, command_extend,
    command_queues, command_queue, command_targets, command_target, command_events,
    command_progress, command_retry, command_delete, command_promote, command_backup,
    command_reload, command_shutdown, command_cron, command_enter, command_top, command_metrics;

/* The value of the option `name` in a command's table. Aborts when the table has none. */
const struct option_value *option_of(const struct command *command,
                                     const struct invocation *invocation, const char *name);

#endif
