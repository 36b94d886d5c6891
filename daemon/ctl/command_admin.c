/* command_admin.c - backup, reload and shutdown: what an operator does to the whole daemon. */
#include "ctl/connection.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct option no_options[] = {{0}};

static const struct option shutdown_options[] = {
    {"drain", 0, OPTION_DURATION_OPTIONAL, "DURATION", NULL,
     "let what runs finish first, at most that long (the daemon's stop_timeout)"},
    {0},
};

static enum exit_code ask(const struct invocation *invocation, struct words *words)
{
    redisReply *reply = NULL;
    enum exit_code code = connection_ask(invocation, words, 0, &reply);
    words_free(words);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, NULL);
    else
        reply_print(&invocation->output, reply);
    freeReplyObject(reply);
    return code;
}

/* The daemon wants an absolute path: its folder is not ours. */
static enum exit_code run_backup(const struct invocation *invocation)
{
    const char *path = invocation->arguments[0];
    struct text absolute = {0};
    struct words words = {0};
    char folder[PATH_MAX];
    if (path[0] != '/' && getcwd(folder, sizeof folder) != NULL) {
        text_append_string(&absolute, folder);
        text_append_string(&absolute, "/");
    }
    text_append_string(&absolute, path);
    words_add(&words, "BACKUP");
    words_add(&words, absolute.data);
    enum exit_code code = ask(invocation, &words);
    text_free(&absolute);
    return code;
}

static enum exit_code run_reload(const struct invocation *invocation)
{
    struct words words = {0};
    words_add(&words, "RELOAD");
    return ask(invocation, &words);
}

static enum exit_code run_shutdown(const struct invocation *invocation)
{
    const struct option_value *drain = option_of(&command_shutdown, invocation, "drain");
    struct words words = {0};
    words_add(&words, "SHUTDOWN");
    if (drain->set)
        words_add(&words, "DRAIN");
    if (drain->has_value)
        words_add_number(&words, drain->number);
    return ask(invocation, &words);
}

const struct command command_backup = {
    .name = "backup",
    .arguments = "<file>",
    .summary = "copy the queue into a new file while the daemon goes on",
    .help = "The daemon writes the file, so it must be allowed to; a file that exists is not\n"
            "overwritten. To restore: stop awaitd, put the file in the place of queue.db in its\n"
            "state folder (and remove queue.db-wal), start it.\n"
            "\n"
            "  awaitctl backup /var/backups/awaitd-$(date +%F).db\n",
    .options = no_options,
    .argument_min = 1,
    .argument_max = 1,
    .run = run_backup,
};

const struct command command_reload = {
    .name = "reload",
    .arguments = "",
    .summary = "have the daemon read its configuration again",
    .help = "A wrong file changes nothing. The answer names what needs a restart.\n",
    .options = no_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_reload,
};

const struct command command_shutdown = {
    .name = "shutdown",
    .arguments = "[option]",
    .summary = "stop the daemon; what runs stays queued, or finishes with --drain",
    .help = "  awaitctl shutdown --drain=30s\n",
    .options = shutdown_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_shutdown,
};
