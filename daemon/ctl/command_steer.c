/* command_steer.c - cancel, retry, delete and promote: change stored jobs, by their ids or, with
 * --where, all that pass a filter. */
#include "ctl/connection.h"

#include <string.h>

static const struct option steer_options[] = {
    {"where", 'w', OPTION_FLAG, NULL, NULL, "not by ids: all jobs that the options below choose"},
    {"queue", 'q', OPTION_TEXT, "NAME", "QUEUE", "of this queue"},
    {"state", 's', OPTION_TEXT, "STATE", "STATE", "in this state"},
    {"target", 't', OPTION_TEXT, "NAME", "TARGET", "of this target"},
    {"match", 'm', OPTION_TEXT, "GLOB", "MATCH", "whose first argument is like this: '*visits*'"},
    {"limit", 'n', OPTION_NUMBER, "N", "LIMIT", "at most that many"},
    {0},
};

/* The words of the command; EXIT_USAGE when options and arguments do not fit together. */
static enum exit_code build(struct words *words, const char *verb,
                            const struct invocation *invocation)
{
    bool where = invocation->values[0].set;
    words_add(words, verb);
    if (where)
        words_add(words, "WHERE");
    for (int index = 1; steer_options[index].name != NULL; index++) {
        if (!invocation->values[index].set)
            continue;
        if (!where)
            return complain(EXIT_USAGE, "--%s chooses among all jobs: say --where too",
                            steer_options[index].name);
        words_add(words, steer_options[index].word);
        words_add(words, invocation->values[index].text);
    }
    if (where && invocation->argument_count > 0)
        return complain(EXIT_USAGE, "--where and job ids exclude each other");
    if (!where && invocation->argument_count == 0)
        return complain(EXIT_USAGE, "needs job ids, or --where with what chooses them");
    for (int index = 0; index < invocation->argument_count; index++)
        words_add(words, invocation->arguments[index]);
    return EXIT_OK;
}

static void print_count(const struct invocation *invocation, const redisReply *reply,
                        const char *done)
{
    if (invocation->output.json || !invocation->output.terminal)
        reply_print(&invocation->output, reply);
    else if (invocation->values[0].set)
        printf("%lld %s\n", reply->integer, done);
    else
        printf("%lld of %d %s\n", reply->integer, invocation->argument_count, done);
}

static enum exit_code steer(const struct invocation *invocation, const char *verb,
                            const char *done)
{
    struct words words = {0};
    redisReply *reply = NULL;
    /* a command over millions of jobs takes as long as it takes */
    uint64_t timeout_ms = invocation->values[0].set ? 0 : invocation->reply_timeout_ms;
    enum exit_code code = build(&words, verb, invocation);
    if (code == EXIT_OK)
        code = connection_ask(invocation, &words, timeout_ms, &reply);
    words_free(&words);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, NULL);
    else
        print_count(invocation, reply, done);
    freeReplyObject(reply);
    return code;
}

static enum exit_code run_cancel(const struct invocation *invocation)
{
    return steer(invocation, "CANCEL", "cancelled");
}

static enum exit_code run_retry(const struct invocation *invocation)
{
    return steer(invocation, "RETRY", "ready again");
}

static enum exit_code run_delete(const struct invocation *invocation)
{
    return steer(invocation, "DELETE", "deleted");
}

static enum exit_code run_promote(const struct invocation *invocation)
{
    return steer(invocation, "PROMOTE", "promoted");
}

#define STEER_ARGUMENTS "<id> ... | --where [option ...]"

const struct command command_cancel = {
    .name = "cancel",
    .arguments = STEER_ARGUMENTS,
    .summary = "cancel jobs that have not finished; print how many were",
    .help = "A running job is stopped on its server too.\n"
            "\n"
            "  awaitctl cancel $id\n"
            "  awaitctl cancel --where --queue nightly --state ready\n",
    .options = steer_options,
    .argument_min = 0,
    .argument_max = -1,
    .run = run_cancel,
};

const struct command command_retry = {
    .name = "retry",
    .arguments = STEER_ARGUMENTS,
    .summary = "make dead, cancelled or uncertain jobs ready again",
    .help = "They start anew, with all their attempts; what went wrong before stays in their\n"
            "history. With --where and no --state the dead ones are meant.\n"
            "\n"
            "  awaitctl retry $id\n"
            "  awaitctl retry --where --queue nightly\n"
            "  awaitctl retry --where --state uncertain --target main --limit 10\n",
    .options = steer_options,
    .argument_min = 0,
    .argument_max = -1,
    .run = run_retry,
};

const struct command command_delete = {
    .name = "delete",
    .arguments = STEER_ARGUMENTS,
    .summary = "delete jobs that do not run",
    .help = "Finished and waiting jobs are gone, with their results. Who awaits a waiting one is\n"
            "told that it was cancelled.\n"
            "\n"
            "  awaitctl delete $id\n"
            "  awaitctl delete --where --state dead --queue nightly\n",
    .options = steer_options,
    .argument_min = 0,
    .argument_max = -1,
    .run = run_delete,
};

const struct command command_promote = {
    .name = "promote",
    .arguments = STEER_ARGUMENTS,
    .summary = "make scheduled jobs ready now",
    .help = "Those that wait for a time or between two attempts.\n"
            "\n"
            "  awaitctl promote $id\n"
            "  awaitctl promote --where --target main\n",
    .options = steer_options,
    .argument_min = 0,
    .argument_max = -1,
    .run = run_promote,
};
