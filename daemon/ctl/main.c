/* main.c - awaitctl: reads the command line, finds the command, runs it.
 *
 * A client like any other: it speaks RESP over the Unix socket with hiredis and needs no
 * io_uring, so it also works where the daemon cannot run. */
#include "ctl/command.h"
#include "ctl/completion.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SOCKET_PATH_DEFAULT "/run/awaitd/awaitd.sock"
#define REPLY_TIMEOUT_DEFAULT_MS 30000

static const struct command *const commands[] = {
    &command_submit, &command_run,    &command_await, &command_gather, &command_race, &command_job,
    &command_jobs,   &command_cancel, &command_info,  &command_ping,   &command_call,
    &command_worker, &command_reserve, &command_ack,  &command_nack,   &command_extend,
    &command_queues, &command_queue,  &command_targets, &command_target, &command_events,
    &command_progress, &command_retry, &command_delete, &command_promote, &command_backup,
    &command_reload, &command_shutdown, &command_cron, &command_enter, &command_top,
    &command_metrics,
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

enum {
    GLOBAL_SOCKET,
    GLOBAL_JSON,
    GLOBAL_TABLE,
    GLOBAL_HEADER,
    GLOBAL_REPLY_TIMEOUT,
    GLOBAL_HELP,
    GLOBAL_VERSION
};

static const struct option global_options[] = {
    {"socket", 'S', OPTION_TEXT, "PATH", NULL,
     "the socket (default: $AWAITD_SOCKET, else " SOCKET_PATH_DEFAULT ")"},
    {"json", 'j', OPTION_FLAG, NULL, NULL, "print JSON: rows as an array of objects"},
    {"table", 0, OPTION_FLAG, NULL, NULL, "print aligned tables also into a pipe or a file"},
    {"header", 0, OPTION_FLAG, NULL, NULL, "column names above tab-separated rows"},
    {"reply-timeout", 0, OPTION_DURATION, "TIME", NULL,
     "how long the daemon may take to answer (default 30s; 0: for ever)"},
    {"help", 'h', OPTION_FLAG, NULL, NULL, "explain awaitctl, or the command"},
    {"version", 0, OPTION_FLAG, NULL, NULL, "print the version"},
    {0},
};

/* --- help ------------------------------------------------------------------------------------- */

static const char exit_codes[] =
    "Exit codes: 0 done · 1 a job failed or was cancelled · 2 wrong command line · 3 no daemon ·\n"
    "4 time was up · 5 the daemon refused (ERR, NOTARGET, NOJOB, BADTOKEN, FULL, NOPERM,\n"
    "UNAVAILABLE) · 6 the output could not be written\n";

static void print_help(FILE *out)
{
    fputs("awaitctl - hand jobs to awaitd and await their results\n\n"
          "Usage: awaitctl [option ...] <command> [argument ...]\n\nCommands:\n", out);
    for (size_t index = 0; index < COMMAND_COUNT; index++)
        fprintf(out, "  %-8s %s\n", commands[index]->name, commands[index]->summary);
    fputs("\nOptions, before or after the command:\n", out);
    options_print_help(global_options, out);
    fputs("\nExamples:\n"
          "  awaitctl run local 'SELECT 1 AS one'                  ask, without the queue\n"
          "  awaitctl submit main 'INSERT INTO t VALUES ($1)' x    store a job; prints its id\n"
          "  awaitctl await 455895103311970304                        its result\n"
          "  awaitctl jobs --state dead                            what went wrong\n"
          "  awaitctl worker mail -- ./send-mail                   a program for each job\n\n"
          "awaitctl <command> --help explains a command with more examples.\n\n", out);
    fputs(exit_codes, out);
}

static void print_command_help(const struct command *command, FILE *out)
{
    fprintf(out, "awaitctl %s - %s\n\nUsage: awaitctl %s %s\n\n%s", command->name,
            command->summary, command->name, command->arguments, command->help);
    if (command->options[0].name != NULL) {
        fputs("\nOptions:\n", out);
        options_print_help(command->options, out);
    }
    fputs("\nOptions of every command:\n", out);
    options_print_help(global_options, out);
    fputc('\n', out);
    fputs(exit_codes, out);
}

static const struct command *find_command(const char *name)
{
    for (size_t index = 0; index < COMMAND_COUNT; index++)
        if (strcmp(commands[index]->name, name) == 0)
            return commands[index];
    return NULL;
}

/* --- settings --------------------------------------------------------------------------------- */

/* Text is UTF-8 here, also when a cron job or a service runs without a locale. */
static void set_locale(void)
{
    setlocale(LC_ALL, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    setlocale(LC_NUMERIC, "C");
}

static struct output output_from(const struct option_value *globals)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal_type = getenv("TERM");
    bool terminal = isatty(STDOUT_FILENO) == 1;
    bool dumb = terminal_type == NULL || strcmp(terminal_type, "dumb") == 0;
    struct winsize window = {0};
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) < 0)
        window.ws_col = 0;
    return (struct output){
        .json = globals[GLOBAL_JSON].set,
        .terminal = terminal || globals[GLOBAL_TABLE].set,
        .colour = terminal && !dumb && (no_colour == NULL || no_colour[0] == '\0'),
        .header = globals[GLOBAL_HEADER].set,
        .screen_width = window.ws_col,
    };
}

static const char *socket_path_from(const struct option_value *globals)
{
    const char *path = getenv("AWAITD_SOCKET");
    if (globals[GLOBAL_SOCKET].set)
        return globals[GLOBAL_SOCKET].text;
    return path != NULL && path[0] != '\0' ? path : SOCKET_PATH_DEFAULT;
}

static enum exit_code run_command(const struct command *command, const struct option_value *globals,
                                  const struct option_value *values, const char *const *arguments,
                                  int count)
{
    const struct invocation invocation = {
        .socket_path = socket_path_from(globals),
        .reply_timeout_ms = globals[GLOBAL_REPLY_TIMEOUT].set ? globals[GLOBAL_REPLY_TIMEOUT].number
                                                              : REPLY_TIMEOUT_DEFAULT_MS,
        .output = output_from(globals),
        .values = values,
        .arguments = arguments,
        .argument_count = count,
    };
    return command->run(&invocation);
}

/* --- the command line ------------------------------------------------------------------------- */

static enum exit_code usage_error(const struct command *command, const char *sentence)
{
    const char *name = command != NULL ? command->name : "";
    return complain(EXIT_USAGE, "%s%s%s; see: awaitctl %s%s--help", name,
                    command != NULL ? ": " : "", sentence, name, command != NULL ? " " : "");
}

/* The command with its own arguments, at argv[0 .. argc). */
static enum exit_code dispatch(const struct command *command, struct option_value *globals,
                               int argc, const char *const *argv)
{
    struct option_value values[OPTIONS_MAX] = {0};
    const struct option_set sets[] = {{global_options, globals}, {command->options, values}};
    const char **positional = memory_need(calloc((size_t)argc + 1, sizeof *positional));
    struct text error = {0};
    enum exit_code code;
    int count = 0;
    int taken = options_parse(sets, 2, argc, argv, command->stop_at_first, positional, &count,
                              &error);
    const char *const *arguments = command->stop_at_first && taken >= 0 ? argv + taken : positional;
    if (command->stop_at_first && taken >= 0)
        count = argc - taken;
    if (taken < 0) {
        code = usage_error(command, error.data);
    } else if (globals[GLOBAL_HELP].set) {
        print_command_help(command, stdout);
        code = EXIT_OK;
    } else if (count < command->argument_min) {
        text_printf(&error, "needs %s", command->arguments);
        code = usage_error(command, error.data);
    } else if (command->argument_max >= 0 && count > command->argument_max) {
        text_printf(&error, "too many arguments from %s on", arguments[command->argument_max]);
        code = usage_error(command, error.data);
    } else {
        code = run_command(command, globals, values, arguments, count);
    }
    text_free(&error);
    free((void *)(uintptr_t)positional);
    return code;
}

/* For the shells; made from the tables above, so nothing is missing in it. */
static enum exit_code print_completion(int argc, const char *const *argv)
{
    const struct completion completion = {commands, COMMAND_COUNT, global_options};
    if (argc == 1 && strcmp(argv[0], "bash") == 0)
        completion_bash(&completion, stdout);
    else if (argc == 1 && strcmp(argv[0], "zsh") == 0)
        completion_zsh(&completion, stdout);
    else
        return complain(EXIT_USAGE, "completion: needs bash or zsh");
    return EXIT_OK;
}

static enum exit_code command_line(int argc, const char *const *argv)
{
    struct option_value globals[OPTIONS_MAX] = {0};
    const struct option_set set = {global_options, globals};
    struct text error = {0};
    int ignored;
    int taken = options_parse(&set, 1, argc, argv, true, NULL, &ignored, &error);
    if (taken < 0) {
        enum exit_code code = usage_error(NULL, error.data);
        text_free(&error);
        return code;
    }
    bool help_word = taken < argc && strcmp(argv[taken], "help") == 0;
    if (globals[GLOBAL_VERSION].set) {
        puts("awaitctl " AWAITD_VERSION);
        return EXIT_OK;
    }
    if (help_word) {
        globals[GLOBAL_HELP].set = true;
        taken++;
    }
    if (taken == argc && globals[GLOBAL_HELP].set) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (taken == argc) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[taken], "completion") == 0)
        return print_completion(argc - taken - 1, argv + taken + 1);
    const struct command *command = find_command(argv[taken]);
    if (command == NULL)
        return complain(EXIT_USAGE, "no command named %s; see: awaitctl --help", argv[taken]);
    return dispatch(command, globals, argc - taken - 1, argv + taken + 1);
}

int main(int argc, char **argv)
{
    set_locale();
    signal(SIGPIPE, SIG_IGN); /* a daemon or a reader that goes away is an error to report */
    enum exit_code code = command_line(argc - 1, (const char *const *)argv + 1);
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (errno != EPIPE) /* `awaitctl jobs | head` is no error to tell */
            complain(EXIT_OUTPUT, "cannot write the output: %s", strerror(errno));
        code = code == EXIT_OK ? EXIT_OUTPUT : code;
    }
    return (int)code;
}
