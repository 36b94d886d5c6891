/* command_events.c - events: a line for each thing that happens, until it is interrupted. */
#include "ctl/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct option events_options[] = {
    {"count", 'n', OPTION_NUMBER, "N", NULL, "end after that many"},
    {0},
};

/* The next reply, for as long as it takes. */
static enum exit_code next_reply(struct connection *connection, redisReply **ret_reply)
{
    void *reply = NULL;
    errno = 0;
    if (redisGetReply(connection->context, &reply) == REDIS_OK && reply != NULL) {
        *ret_reply = reply;
        return EXIT_OK;
    }
    return complain(EXIT_UNREACHABLE, "the connection to awaitd at %s was lost%s",
                    connection->path,
                    connection->context->err == REDIS_ERR_EOF
                        ? " (it stopped, or this client was too slow)"
                        : "");
}

static void print_event(const struct output *output, const redisReply *channel,
                        const redisReply *text)
{
    struct text line = {0};
    if (!output->json) {
        text_append_visible(&line, channel->str, channel->len, TEXT_ESCAPE_LINES);
        text_append_string(&line, "\t");
    }
    text_append_visible(&line, text->str, text->len, TEXT_ESCAPE_LINES);
    puts(line.data);
    (void)fflush(stdout); /* whoever reads a pipe wants it now; main looks at ferror */
    text_free(&line);
}

/* Whether it is a message; *ret_code is set when it is an error. */
static bool is_message(const redisReply *reply, enum exit_code *ret_code)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        *ret_code = reply_complain(reply, NULL);
        return false;
    }
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
           reply->element[2]->type == REDIS_REPLY_STRING &&
           reply->element[3]->type == REDIS_REPLY_STRING;
}

static enum exit_code follow(const struct invocation *invocation, struct connection *connection,
                             uint64_t wanted)
{
    enum exit_code code = EXIT_OK;
    for (uint64_t shown = 0; code == EXIT_OK && shown < wanted && !ferror(stdout);) {
        redisReply *reply = NULL;
        code = next_reply(connection, &reply);
        if (code == EXIT_OK && is_message(reply, &code)) {
            print_event(&invocation->output, reply->element[2], reply->element[3]);
            shown++;
        }
        freeReplyObject(reply);
    }
    return code;
}

/* Without a pattern: each job's events once, by its queue, and those of targets themselves. */
static void build(struct words *words, const struct invocation *invocation)
{
    words_add(words, "PSUBSCRIBE");
    for (int index = 0; index < invocation->argument_count; index++)
        words_add(words, invocation->arguments[index]);
    if (invocation->argument_count == 0)
        words_add(words, "queue:*");
}

static enum exit_code run_events(const struct invocation *invocation)
{
    const struct option_value *count = option_of(&command_events, invocation, "count");
    struct words words = {0};
    struct connection connection;
    redisReply *reply = NULL;
    enum exit_code code = connection_open(&connection, invocation->socket_path,
                                          invocation->reply_timeout_ms);
    if (code != EXIT_OK)
        return code;
    build(&words, invocation);
    /* the first confirmation is the call's reply; waiting has no limit from here on */
    code = connection_call(&connection, &words, 0, false, &reply);
    words_free(&words);
    if (code == EXIT_OK && reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, NULL);
    freeReplyObject(reply);
    if (code == EXIT_OK)
        code = follow(invocation, &connection, count->set ? count->number : UINT64_MAX);
    connection_close(&connection);
    return code;
}

const struct command command_events = {
    .name = "events",
    .arguments = "[option ...] [pattern ...]",
    .summary = "print what happens to jobs, queues and targets, as it happens",
    .help = "Patterns are of channels: job:<id>, queue:<queue>, target:<target>, cron:<name>;\n"
            "without one: queue:*. A line is the channel and the event in JSON; with --json the\n"
            "event alone.\n"
            "\n"
            "  awaitctl events\n"
            "  awaitctl events 'target:*'\n"
            "  awaitctl --json events 'queue:mails' | jq -r 'select(.event == \"dead\").error'\n",
    .options = events_options,
    .argument_min = 0,
    .argument_max = -1,
    .run = run_events,
};
