/* command_queues.c - queues, queue, targets and target: see them, pause them, empty them. */
#include "ctl/connection.h"
#include "ctl/fields.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct option no_options[] = {{0}};

static enum exit_code ask(const struct invocation *invocation, const char *const *parts,
                          size_t count, uint64_t timeout_ms, redisReply **ret_reply)
{
    struct words words = {0};
    for (size_t index = 0; index < count; index++)
        words_add(&words, parts[index]);
    enum exit_code code = connection_ask(invocation, &words, timeout_ms, ret_reply);
    words_free(&words);
    if (code == EXIT_OK && (*ret_reply)->type == REDIS_REPLY_ERROR) {
        code = reply_complain(*ret_reply, NULL);
        freeReplyObject(*ret_reply);
        *ret_reply = NULL;
    }
    return code;
}

static enum exit_code list(const struct invocation *invocation, const char *word)
{
    redisReply *reply = NULL;
    enum exit_code code = ask(invocation, &word, 1, invocation->reply_timeout_ms, &reply);
    if (code != EXIT_OK)
        return code;
    if (fields_are_list(reply))
        fields_print_list(&invocation->output, reply);
    else
        code = complain(EXIT_REFUSED, "the daemon's answer to %s is not a list of maps", word);
    freeReplyObject(reply);
    return code;
}

static enum exit_code run_queues(const struct invocation *invocation)
{
    return list(invocation, "QUEUES");
}

static enum exit_code run_targets(const struct invocation *invocation)
{
    return list(invocation, "TARGETS");
}

/* The action's word in capitals, NULL when there is no such action. */
static const char *action_word(const char *action, const char *const *known)
{
    for (; *known != NULL; known++)
        if (strcasecmp(action, *known) == 0)
            return *known;
    return NULL;
}

static void show(const struct invocation *invocation, const char *action, const redisReply *reply)
{
    if (fields_are(reply))
        fields_print(&invocation->output, reply);
    else if (strcmp(action, "PURGE") == 0 && invocation->output.terminal &&
             !invocation->output.json)
        printf("%lld deleted\n", reply->integer);
    else
        reply_print(&invocation->output, reply);
}

static enum exit_code steer(const struct invocation *invocation, const char *word,
                            const char *const *known)
{
    const char *action = action_word(invocation->arguments[0], known);
    redisReply *reply = NULL;
    if (action == NULL)
        return complain(EXIT_USAGE, "%s knows no %s; see: awaitctl %s --help",
                        strcmp(word, "QUEUE") == 0 ? "queue" : "target", invocation->arguments[0],
                        strcmp(word, "QUEUE") == 0 ? "queue" : "target");
    const char *const parts[] = {word, action, invocation->arguments[1], "SQL"};
    bool sql = strcmp(word, "TARGET") == 0 && invocation->values[0].set;
    if (sql && strcmp(action, "INIT") != 0)
        return complain(EXIT_USAGE, "--sql is for: awaitctl target init NAME --sql");
    /* deleting millions takes its time */
    uint64_t timeout_ms = strcmp(action, "PURGE") == 0 ? 0 : invocation->reply_timeout_ms;
    enum exit_code code = ask(invocation, parts, sql ? 4 : 3, timeout_ms, &reply);
    if (code != EXIT_OK)
        return code;
    show(invocation, action, reply);
    freeReplyObject(reply);
    return EXIT_OK;
}

static enum exit_code run_queue(const struct invocation *invocation)
{
    static const char *const known[] = {"PAUSE", "RESUME", "PURGE", "STATS", NULL};
    return steer(invocation, "QUEUE", known);
}

static enum exit_code run_target(const struct invocation *invocation)
{
    static const char *const known[] = {"PAUSE", "RESUME", "STATS", "INIT", NULL};
    return steer(invocation, "TARGET", known);
}

const struct command command_queues = {
    .name = "queues",
    .arguments = "",
    .summary = "list the queues: what waits, runs and has finished in each",
    .help = "  awaitctl queues\n"
            "  awaitctl --json queues | jq -r '.[] | select(.paused).queue'\n",
    .options = no_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_queues,
};

const struct command command_queue = {
    .name = "queue",
    .arguments = "pause|resume|purge|stats <queue>",
    .summary = "pause, resume, empty or measure a queue",
    .help = "Nothing of a paused queue starts, also after a restart; what runs goes on. purge\n"
            "deletes the jobs that wait (scheduled, blocked or ready) and prints how many.\n"
            "\n"
            "  awaitctl queue pause nightly\n"
            "  awaitctl queue stats nightly\n",
    .options = no_options,
    .argument_min = 2,
    .argument_max = 2,
    .run = run_queue,
};

const struct command command_targets = {
    .name = "targets",
    .arguments = "",
    .summary = "list the targets: whether each is up, and how busy",
    .help = "  awaitctl targets\n"
            "  awaitctl --json targets | jq '.[] | select(.up | not)'\n",
    .options = no_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_targets,
};

static const struct option target_options[] = {
    {"sql", 0, OPTION_FLAG, NULL, NULL, "with init: print the SQL, make nothing"},
    {0},
};

const struct command command_target = {
    .name = "target",
    .arguments = "pause|resume|stats|init <target>",
    .summary = "pause, resume, measure or prepare a target",
    .help = "Nothing starts on a paused target, also after a restart: for the maintenance of a\n"
            "database. Jobs are still accepted. init makes what exactly-once on PostgreSQL needs,\n"
            "the table of receipts, with the rights of the target's own role.\n"
            "\n"
            "  awaitctl target pause main\n"
            "  awaitctl target stats main\n"
            "  awaitctl target init main\n"
            "  awaitctl target init main --sql    # for an administrator to run\n",
    .options = target_options,
    .argument_min = 2,
    .argument_max = 2,
    .run = run_target,
};
