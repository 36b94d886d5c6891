/* command_server.c - info, metrics, ping and call: the daemon itself. */
#include "ctl/connection.h"

#include <stdlib.h>
#include <string.h>

static const struct option no_options[] = {{0}};

/* Calls f for each line of the daemon's INFO text, without its line break. */
static void each_line(const char *data, size_t size,
                      void (*f)(void *context, const char *line, size_t length), void *context)
{
    const char *end = data + size;
    while (data < end) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        size_t length = (size_t)((stop != NULL ? stop : end) - data);
        const char *next = stop != NULL ? stop + 1 : end;
        if (length > 0 && data[length - 1] == '\r')
            length--;
        f(context, data, length);
        data = next;
    }
}

static void print_line(void *context, const char *line, size_t length)
{
    const struct output *output = context;
    struct text visible = {0};
    text_append_visible(&visible, line, length, TEXT_ESCAPE_LINES);
    bool title = output->colour && length > 0 && line[0] == '#';
    printf("%s%s%s\n", title ? "\033[1m" : "", visible.data, title ? "\033[0m" : "");
    text_free(&visible);
}

struct info_json {
    struct json json;
    bool in_section;
};

/* "# Queue" opens an object, "ready:12" is a member of it. */
static void json_line(void *context, const char *line, size_t length)
{
    struct info_json *info = context;
    const char *colon = memchr(line, ':', length);
    if (length > 2 && line[0] == '#') {
        if (info->in_section)
            json_object_end(&info->json);
        json_key(&info->json, line + 2, length - 2);
        json_object(&info->json);
        info->in_section = true;
    } else if (colon != NULL) {
        json_key(&info->json, line, (size_t)(colon - line));
        json_string(&info->json, colon + 1, length - (size_t)(colon - line) - 1);
    }
}

static enum exit_code run_info(const struct invocation *invocation)
{
    struct words words = {0};
    redisReply *reply = NULL;
    words_add(&words, "INFO");
    for (int index = 0; index < invocation->argument_count; index++)
        words_add(&words, invocation->arguments[index]);
    enum exit_code code = connection_ask(invocation, &words, invocation->reply_timeout_ms, &reply);
    words_free(&words);
    if (code != EXIT_OK)
        return code;
    struct output output = invocation->output;
    if (reply->type == REDIS_REPLY_ERROR) {
        code = reply_complain(reply, NULL);
    } else if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS) {
        reply_print(&output, reply);
    } else if (output.json) {
        struct info_json info = {0};
        json_init(&info.json, stdout);
        json_object(&info.json);
        each_line(reply->str, reply->len, json_line, &info);
        if (info.in_section)
            json_object_end(&info.json);
        json_object_end(&info.json);
        putchar('\n');
    } else {
        each_line(reply->str, reply->len, print_line, &output);
    }
    freeReplyObject(reply);
    return code;
}

static enum exit_code ask_and_print(const struct invocation *invocation, const struct words *words,
                                    uint64_t timeout_ms)
{
    redisReply *reply = NULL;
    enum exit_code code = connection_ask(invocation, words, timeout_ms, &reply);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, NULL);
    else
        reply_print(&invocation->output, reply);
    freeReplyObject(reply);
    return code;
}

/* As it is: it is made for another program. */
static enum exit_code run_metrics(const struct invocation *invocation)
{
    struct words words = {0};
    redisReply *reply = NULL;
    words_add(&words, "METRICS");
    enum exit_code code = connection_ask(invocation, &words, invocation->reply_timeout_ms, &reply);
    words_free(&words);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, NULL);
    else if (reply->type == REDIS_REPLY_STRING && !invocation->output.json)
        (void)fwrite(reply->str, 1, reply->len, stdout);
    else
        reply_print(&invocation->output, reply);
    freeReplyObject(reply);
    return code;
}

static enum exit_code run_ping(const struct invocation *invocation)
{
    struct words words = {0};
    words_add(&words, "PING");
    enum exit_code code = ask_and_print(invocation, &words, invocation->reply_timeout_ms);
    words_free(&words);
    return code;
}

static enum exit_code run_call(const struct invocation *invocation)
{
    struct words words = {0};
    for (int index = 0; index < invocation->argument_count; index++)
        words_add(&words, invocation->arguments[index]);
    enum exit_code code = ask_and_print(invocation, &words, 0);
    words_free(&words);
    return code;
}

const struct command command_info = {
    .name = "info",
    .arguments = "[section]",
    .summary = "print the daemon's state: version, jobs, targets, memory",
    .help = "  awaitctl info\n"
            "  awaitctl --json info | jq .\n",
    .options = no_options,
    .argument_min = 0,
    .argument_max = 1,
    .run = run_info,
};

const struct command command_metrics = {
    .name = "metrics",
    .arguments = "",
    .summary = "print what the daemon counts, in Prometheus's text format",
    .help = "  awaitctl metrics > /var/lib/node_exporter/awaitd.prom.new\n",
    .options = no_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_metrics,
};

const struct command command_ping = {
    .name = "ping",
    .arguments = "",
    .summary = "ask whether the daemon answers (exit code 0 if so)",
    .help = "  awaitctl ping || systemctl restart awaitd\n",
    .options = no_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_ping,
};

const struct command command_call = {
    .name = "call",
    .arguments = "<word> ...",
    .summary = "send a command in the protocol's own words and print the reply",
    .help = "For what has no command of its own here; docs/PROTOCOL.md lists them all.\n"
            "\n"
            "  awaitctl call JOBS STATE dead LIMIT 10\n"
            "  awaitctl --json call JOB 455895103311970304\n",
    .options = no_options,
    .stop_at_first = true,
    .argument_min = 1,
    .argument_max = -1,
    .run = run_call,
};
