/* command_worker.c - worker: a command for each job of a worker target. */
#include "ctl/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEASE_DEFAULT_MS 60000
#define LEASE_MIN_MS 100
#define LEASE_MAX_MS 86400000 /* the daemon's */

static const struct option worker_options[] = {
    {"jobs", 'n', OPTION_NUMBER, "N", NULL, "how many at once, 1 to 256 (default 1)"},
    {"lease", 'l', OPTION_DURATION, "DURATION", "LEASE",
     "how long after this worker's death another gets the job (default 1m)"},
    {"timeout", 't', OPTION_DURATION, "DURATION", NULL, "end a run that takes longer; it failed"},
    {"stdin", 'i', OPTION_FLAG, NULL, NULL,
     "the first argument is the command's standard input: any bytes, any size"},
    {0},
};

static bool is_program(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Looks where execvp(3) will look: told now, a wrong name costs no job an attempt. */
static bool can_be_found(const char *name)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/') != NULL)
        return is_program(name);
    if (path == NULL)
        path = "/bin:/usr/bin";
    while (true) {
        const char *end = strchrnul(path, ':');
        struct text candidate = {0};
        text_append(&candidate, path, (size_t)(end - path));
        text_append_string(&candidate, end > path ? "/" : "./");
        text_append_string(&candidate, name);
        bool found = is_program(candidate.data);
        text_free(&candidate);
        if (found || *end == '\0')
            return found;
        path = end + 1;
    }
}

/* So that no pipe of ours gets the number of a standard stream. */
static void fill_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static enum exit_code run_worker(const struct invocation *invocation)
{
    const struct option_value *jobs = option_of(&command_worker, invocation, "jobs");
    const struct option_value *lease = option_of(&command_worker, invocation, "lease");
    const struct worker_settings settings = {
        .socket_path = invocation->socket_path,
        .connect_timeout_ms = invocation->reply_timeout_ms,
        .target = invocation->arguments[0],
        .jobs = !jobs->set ? 1 : jobs->number <= WORKER_JOBS_MAX ? (uint32_t)jobs->number : 0,
        .lease_ms = lease->set ? lease->number : LEASE_DEFAULT_MS,
        .timeout_ms = option_of(&command_worker, invocation, "timeout")->number,
        .first_on_stdin = option_of(&command_worker, invocation, "stdin")->set,
        .command = invocation->arguments + 1,
        .command_count = invocation->argument_count - 1,
    };
    if (settings.jobs == 0)
        return complain(EXIT_USAGE, "worker: --jobs takes 1 to %d", WORKER_JOBS_MAX);
    if (settings.lease_ms < LEASE_MIN_MS || settings.lease_ms > LEASE_MAX_MS)
        return complain(EXIT_USAGE, "worker: --lease takes 100ms to 1d");
    if (!can_be_found(settings.command[0]))
        return complain(EXIT_USAGE, "worker: no program %s to be found or executed%s",
                        settings.command[0],
                        strchr(settings.command[0], '/') != NULL ? "" : " in PATH");
    fill_standard_streams();
    return worker_run(&settings);
}

const struct command command_worker = {
    .name = "worker",
    .arguments = "<target> [option ...] -- <command> [argument ...]",
    .summary = "run a command for each job of a worker target",
    .help =
        "Waits for jobs of a [target] of type worker and runs the command once for each, the\n"
        "job's arguments behind its own. Goes on until a signal ends it, also over a restart of\n"
        "the daemon.\n"
        "\n"
        "  awaitctl worker mail -- ./send-mail            SUBMIT mail ann@example.org hello\n"
        "                                                 runs ./send-mail ann@example.org hello\n"
        "  awaitctl worker mail --jobs 4 --timeout 30s -- ./send-mail --verbose\n"
        "  awaitctl worker pages --stdin -- sh -c 'cat > \"$1\"' save\n"
        "                                                 SUBMIT pages <any bytes> /tmp/page\n"
        "\n"
        "Exit code 0: the job is done, and what the command printed is its result (up to 1 MiB;\n"
        "OK when it printed nothing). Any other (75, EX_TEMPFAIL, too), or a signal: the attempt\n"
        "failed, the last line of standard error is the reason, and the job's RETRY and BACKOFF\n"
        "say what follows. Standard error is passed on, each line with its job's id.\n"
        "\n"
        "The command's environment: AWAITD_JOB (the id), AWAITD_ATTEMPT (1, 2 ...),\n"
        "AWAITD_TARGET, AWAITD_ARGC, AWAITD_ARG1 ... (an SQL NULL is \"\" in the arguments and\n"
        "not set here), AWAITD_SOCKET and AWAITD_TOKEN, so that it can tell how far it is:\n"
        "\n"
        "  awaitctl progress $AWAITD_JOB $AWAITD_TOKEN 40 'page 4 of 10'\n"
        "\n"
        "With --stdin the first argument is on standard input only: $1 is the second one, and\n"
        "AWAITD_ARG1 is not set.\n"
        "\n"
        "While the command runs its lease is extended, at half its time and at least each 10s.\n"
        "When the job was cancelled, or belongs to somebody else by now, that tells, and the\n"
        "command is ended: SIGTERM to its process group, SIGKILL after 5s.\n"
        "\n"
        "SIGTERM or SIGINT: takes no more jobs and lets the running ones finish; exit code 0.\n"
        "The second signal ends them, and they are given back to be run again at once.\n",
    .options = worker_options,
    .argument_min = 2,
    .argument_max = -1,
    .run = run_worker,
};
