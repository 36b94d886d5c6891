/* main.c - awaitd: options, start, signals, stop.
 *
 * Start: configuration, queue (recovery), targets, sockets; only then READY. Stop (SIGTERM,
 * SIGINT): no new jobs, what runs may finish until stop_timeout, then clients and queue are closed.
 * A second signal ends the waiting. */
#include "admin/check.h"
#include "admin/check_process.h"
#include "admin/control.h"
#include "admin/log.h"
#include "admin/notify.h"
#include "config/config.h"
#include "config/config_dump.h"
#include "queue/broker.h"
#include "server/server.h"

#include <await.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* of sysexits.h */
#define EXIT_TARGET 69 /* EX_UNAVAILABLE */
#define EXIT_STATE 73  /* EX_CANTCREAT */
#define EXIT_CONFIGURATION 78 /* EX_CONFIG */
#define REPLIES_TIMEOUT_MS 2000u

struct options {
    const char *configuration;
    bool check;
    bool dump;
};

struct process {
    struct options options;
    struct config configuration;
    struct broker *broker;
    struct server *server;
    struct aw_group tasks; /* log writer, signals, watchdog */
    struct control control;
    int signals;
    enum check_result check_result;
};

static const char help[] =
    "usage: awaitd [--config FILE] [--check | --dump-config]\n"
    "\n"
    "The job daemon: takes jobs over a Unix socket, stores each durably, runs it on\n"
    "PostgreSQL, Redis or SQLite, and gives its result to whoever awaits it.\n"
    "\n"
    "  --config FILE   configuration (default " CONFIG_PATH_DEFAULT ")\n"
    "  --check         say whether kernel, configuration, state and targets are fit, and exit\n"
    "  --dump-config   print the configuration in effect, and where each value comes from\n"
    "  --version       print the version\n"
    "  --help          print this\n"
    "\n"
    "Signals: TERM and INT stop it after what runs has finished, HUP reads the configuration\n"
    "again. See awaitd(8).\n";

static int fail(const struct aw_error *error)
{
    log_line(LOG_LEVEL_ERROR, "%s", error->message);
    return error->number < 0 ? error->number : -EIO;
}

static int open_signals(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    return aw_signal_open(&signals);
}

static int take_signals(void *argument)
{
    struct process *process = argument;
    aw_task_set_name(NULL, "signals");
    control_take_signals(&process->control, process->signals);
    return 0;
}

static int drain(void *argument)
{
    struct process *process = argument;
    broker_drain(process->broker, aw_after_ms(process->control.stop_timeout_ms));
    return 0;
}

static int wait_for_second_stop(void *argument)
{
    struct process *process = argument;
    return control_wait_stop(&process->control, 2);
}

/* Whichever comes first: all that runs has finished, the time is up, or the operator has had
 * enough. */
static void drain_or_signal(struct process *process)
{
    struct aw_task *tasks[2];
    size_t first;
    if (aw_spawn(&tasks[0], drain, process) < 0) {
        broker_drain(process->broker, 0);
        return;
    }
    if (aw_spawn(&tasks[1], wait_for_second_stop, process) < 0) {
        AW_IGNORE(aw_await(tasks[0]));
        return;
    }
    while (!aw_finished(tasks[0]) && !aw_finished(tasks[1]))
        if (aw_sleep(5) < 0)
            break;
    if (aw_finished(tasks[1]))
        log_line(LOG_LEVEL_WARNING, "second signal: what still runs is stopped and stays queued");
    AW_IGNORE(aw_race(2, tasks, &first));
}

static int open_broker(struct process *process, struct aw_error *reterr)
{
    struct aw_group opening;
    aw_group_init(&opening, AW_GROUP_COLLECT);
    int result = notify_start_opening(&opening);
    if (result < 0)
        (void)aw_error_set(reterr, result, "cannot start: %s", aw_error_text(result));
    else
        result = broker_open(&process->configuration, &process->broker, reterr);
    aw_group_cancel(&opening);
    AW_IGNORE(aw_group_wait(&opening));
    return result;
}

static int serve(struct process *process)
{
    struct aw_error error = {0};
    int result = open_broker(process, &error);
    if (result < 0)
        return fail(&error);
    result = server_open(&process->configuration, process->broker, &process->control,
                         &process->server, &error);
    if (result < 0) {
        broker_close(process->broker);
        return fail(&error);
    }
    result = notify_start_watchdog(&process->tasks, process->broker);
    if (result == 0) {
        process->control.broker = process->broker;
        notify_ready();
        log_line(LOG_LEVEL_INFO, "awaitd %s serves", AWAITD_VERSION);
        result = control_wait_stop(&process->control, 1);
    }
    process->control.broker = NULL;
    log_line(LOG_LEVEL_INFO, "stopping");
    notify_stopping(process->control.stop_timeout_ms);
    drain_or_signal(process);
    server_close(process->server, aw_after_ms(REPLIES_TIMEOUT_MS));
    aw_group_cancel(&process->tasks);
    broker_close(process->broker);
    log_line(LOG_LEVEL_INFO, "stopped");
    return result;
}

static int load_configuration(struct process *process)
{
    struct aw_error error = {0};
    int result = config_load(process->options.configuration, &process->configuration, &error);
    if (result < 0) {
        log_line(LOG_LEVEL_ERROR, "%s", error.message);
        return -ENOEXEC; /* told apart from failures of the system: EXIT_CONFIGURATION */
    }
    log_set_level((enum config_log_level)process->configuration.log_level);
    for (uint32_t i = 0; i < process->configuration.warning_count; i++)
        log_line(LOG_LEVEL_WARNING, "%s", process->configuration.warnings[i]);
    return 0;
}

static int dump_configuration(const char *path)
{
    struct buffer text = {0};
    struct aw_error error = {0};
    int result = config_dump(path, &text, &error);
    if (result < 0)
        log_line(LOG_LEVEL_ERROR, "%s", error.message[0] ? error.message : aw_error_text(result));
    else if (fwrite(text.data, 1, text.size, stdout) != text.size) /* lint: direct - nobody waits */
        result = -EIO;
    buffer_free(&text);
    return result < 0 ? -ENOEXEC : 0;
}

static int check(struct process *process)
{
    struct buffer text = {0};
    check_process(&process->configuration, &text);
    buffer_printf(&text, "configuration: %s is valid\n", process->options.configuration);
    process->check_result = check_surroundings(&process->configuration, &text);
    int result = text.failed ? -ENOMEM : 0;
    if (fwrite(text.data, 1, text.size, stdout) != text.size) /* lint: direct - nobody waits */
        result = -EIO;
    buffer_free(&text);
    return result;
}

static int run(void *argument)
{
    struct process *process = argument;
    if (process->options.dump)
        return dump_configuration(process->options.configuration);
    int result = load_configuration(process);
    if (result == 0 && process->options.check)
        result = check(process);
    if (result < 0 || process->options.check) {
        config_free(&process->configuration);
        return result;
    }
    process->signals = open_signals();
    if (process->signals < 0) {
        log_line(LOG_LEVEL_ERROR, "cannot receive signals: %s", aw_error_text(process->signals));
        config_free(&process->configuration);
        return process->signals;
    }
    AW_IGNORE(aw_loop_watch()); /* for METRICS */
    aw_group_init(&process->tasks, AW_GROUP_COLLECT);
    log_start(&process->tasks);
    control_init(&process->control, process->options.configuration, &process->configuration);
    result = aw_group_spawn(&process->tasks, take_signals, process);
    if (result == 0)
        result = serve(process);
    log_stop();
    aw_group_cancel(&process->tasks);
    AW_IGNORE(aw_group_wait(&process->tasks));
    (void)aw_close(process->signals);
    config_free(&process->configuration);
    return result;
}

/* As many descriptors as the system lets us have: each client is one. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Fills the options, or returns the exit status to leave with (-1: go on). */
static int parse_options(int count, char **arguments, struct options *options)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"dump-config", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "c:h", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->configuration = optarg;
            break;
        case 'k':
            options->check = true;
            break;
        case 'd':
            options->dump = true;
            break;
        case 'v':
            puts("awaitd " AWAITD_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(help, stdout); /* lint: direct - before there is a loop */
            return EXIT_SUCCESS;
        default:
            fprintf(stderr, "awaitd: see awaitd --help\n");
            return 64; /* EX_USAGE */
        }
    }
    if (optind < count) {
        fprintf(stderr, "awaitd: '%s' is no option; see awaitd --help\n", arguments[optind]);
        return 64;
    }
    return -1;
}

int main(int count, char **arguments)
{
    struct process process = {.options.configuration = CONFIG_PATH_DEFAULT};
    int status = parse_options(count, arguments, &process.options);
    if (status >= 0)
        return status;
    (void)umask(0077);
    raise_descriptor_limit();
    (void)signal(SIGPIPE, SIG_IGN);
    struct aw_error error = {0};
    int result = aw_run_with(NULL, run, &process, &error);
    if (error.number < 0)
        log_line(LOG_LEVEL_ERROR, "%s", error.message);
    if (result == 0 && process.check_result != CHECK_FINE)
        return process.check_result == CHECK_STATE ? EXIT_STATE : EXIT_TARGET;
    return result == 0 ? EXIT_SUCCESS : result == -ENOEXEC ? EXIT_CONFIGURATION : EXIT_FAILURE;
}
