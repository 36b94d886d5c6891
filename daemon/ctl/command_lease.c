/* command_lease.c - reserve, ack, nack, extend and progress: a worker's words, one at a time. */
#include "ctl/connection.h"

#include "ctl/duration.h"
#include "ctl/input.h"

#include <string.h>

#define GRACE_MS 10000 /* the daemon keeps the time; this is for one that hangs */
#define JOB_FIELDS 3   /* id, token and attempt stand before a job's arguments */

static const struct option no_options[] = {{0}};

static const struct option reserve_options[] = {
    {"count", 'n', OPTION_NUMBER, "N", "COUNT", "up to so many, 1 to 1000 (default 1)"},
    {"timeout", 't', OPTION_DURATION, "DURATION", "TIMEOUT",
     "give up after that long (exit code 4); 0: do not wait"},
    {"lease", 'l', OPTION_DURATION, "DURATION", "LEASE",
     "the time to answer or extend (default 1m)"},
    {0},
};

static const struct option ack_options[] = {
    {"files", 'f', OPTION_FLAG, NULL, NULL,
     "the result - is standard input, @PATH a file, @@X the text @X"},
    {0},
};

static const struct option nack_options[] = {
    {"delay", 'd', OPTION_DURATION, "DURATION", "DELAY",
     "the pause before the next attempt (default: the job's BACKOFF)"},
    {"error", 'e', OPTION_TEXT, "TEXT", "ERROR", "the reason, shown in the job"},
    {0},
};

static void add_options(struct words *words, const struct command *command,
                        const struct invocation *invocation)
{
    for (int index = 0; command->options[index].name != NULL; index++) {
        const struct option *option = &command->options[index];
        const struct option_value *value = &invocation->values[index];
        if (!value->set || option->word == NULL)
            continue;
        words_add(words, option->word);
        if (option->kind == OPTION_TEXT)
            words_add(words, value->text);
        else
            words_add_number(words, value->number);
    }
}

/* --- reserve ---------------------------------------------------------------------------------- */

static bool is_reservation(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t index = 0; index < reply->elements; index++)
        if (reply->element[index]->type != REDIS_REPLY_ARRAY ||
            reply->element[index]->elements < JOB_FIELDS)
            return false;
    return true;
}

static void print_json(const redisReply *reply)
{
    static const char *const names[JOB_FIELDS] = {"id", "token", "attempt"};
    struct json json;
    json_init(&json, stdout);
    json_array(&json);
    for (size_t index = 0; index < reply->elements; index++) {
        const redisReply *job = reply->element[index];
        json_object(&json);
        for (size_t field = 0; field < JOB_FIELDS; field++) {
            json_key_text(&json, names[field]);
            reply_json(&json, job->element[field]);
        }
        json_key_text(&json, "arguments");
        json_array(&json);
        for (size_t field = JOB_FIELDS; field < job->elements; field++)
            reply_json(&json, job->element[field]);
        json_array_end(&json);
        json_object_end(&json);
    }
    json_array_end(&json);
    putchar('\n');
}

/* A line a job: its fields in the format of COPY, as rows are in a pipe. */
static void print_lines(const redisReply *reply)
{
    for (size_t index = 0; index < reply->elements; index++) {
        const redisReply *job = reply->element[index];
        struct text line = {0};
        for (size_t field = 0; field < job->elements; field++) {
            const redisReply *value = job->element[field];
            if (field > 0)
                text_append_string(&line, "\t");
            if (value->type == REDIS_REPLY_INTEGER)
                text_printf(&line, "%lld", value->integer);
            else if (value->str == NULL)
                text_append_string(&line, "\\N");
            else
                text_append_field(&line, value->str, value->len);
        }
        fwrite(line.data, 1, line.size, stdout);
        putchar('\n');
        text_free(&line);
    }
}

static enum exit_code print_jobs(const struct output *output, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return reply_complain(reply, NULL);
    if (!is_reservation(reply))
        return complain(EXIT_REFUSED, "the daemon's answer to RESERVE is no list of jobs");
    if (output->json)
        print_json(reply);
    else if (output->terminal && reply->elements > 0)
        reply_print(output, reply);
    else
        print_lines(reply);
    return reply->elements > 0 ? EXIT_OK : complain(EXIT_TIMEOUT, "no job came in time");
}

static enum exit_code run_reserve(const struct invocation *invocation)
{
    const struct option_value *timeout = option_of(&command_reserve, invocation, "timeout");
    struct words words = {0};
    redisReply *reply = NULL;
    words_add(&words, "RESERVE");
    for (int index = 0; index < invocation->argument_count; index++)
        words_add(&words, invocation->arguments[index]);
    add_options(&words, &command_reserve, invocation);
    enum exit_code code =
        connection_ask(invocation, &words, timeout->set ? timeout->number + GRACE_MS : 0, &reply);
    words_free(&words);
    if (code != EXIT_OK)
        return code;
    code = print_jobs(&invocation->output, reply);
    freeReplyObject(reply);
    return code;
}

/* --- the words about a job -------------------------------------------------------------------- */

/* Silent when all is well: scripts call them often. */
static enum exit_code say(const struct invocation *invocation, struct words *words)
{
    redisReply *reply = NULL;
    enum exit_code code = connection_ask(invocation, words, invocation->reply_timeout_ms, &reply);
    words_free(words);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, NULL);
    freeReplyObject(reply);
    return code;
}

static void begin(struct words *words, const char *verb, const struct invocation *invocation,
                  int count)
{
    words_add(words, verb);
    for (int index = 0; index < count && index < invocation->argument_count; index++)
        words_add(words, invocation->arguments[index]);
}

static enum exit_code run_ack(const struct invocation *invocation)
{
    struct words words = {0};
    bool files = option_of(&command_ack, invocation, "files")->set;
    begin(&words, "ACK", invocation, files ? 2 : 3);
    if (files && invocation->argument_count > 2) {
        enum exit_code code = input_add(&words, invocation->arguments[2]);
        if (code != EXIT_OK) {
            words_free(&words);
            return code;
        }
    }
    return say(invocation, &words);
}

static enum exit_code run_nack(const struct invocation *invocation)
{
    struct words words = {0};
    begin(&words, "NACK", invocation, 2);
    add_options(&words, &command_nack, invocation);
    return say(invocation, &words);
}

static enum exit_code run_extend(const struct invocation *invocation)
{
    struct words words = {0};
    uint64_t lease_ms;
    if (!duration_parse(invocation->arguments[2], &lease_ms))
        return complain(EXIT_USAGE, "extend: %s is no duration with its unit, such as 30s or 5m",
                        invocation->arguments[2]);
    begin(&words, "EXTEND", invocation, 2);
    words_add_number(&words, lease_ms);
    return say(invocation, &words);
}

static enum exit_code run_progress(const struct invocation *invocation)
{
    struct words words = {0};
    begin(&words, "PROGRESS", invocation, 4);
    return say(invocation, &words);
}

const struct command command_reserve = {
    .name = "reserve",
    .arguments = "[option ...] <target> ...",
    .summary = "take jobs of worker targets, each with a lease",
    .help = "Prints a line a job: its id, its token, its attempt and its arguments. Answer each\n"
            "with ack or nack, by its token, before the lease runs out, or extend it; else the\n"
            "job goes to the next who asks. awaitctl worker does all that.\n"
            "\n"
            "  awaitctl reserve mail --timeout 10s\n"
            "  read -r id token attempt address < <(awaitctl reserve mail)\n"
            "  awaitctl --json reserve --count 10 mail post\n",
    .options = reserve_options,
    .argument_min = 1,
    .argument_max = -1,
    .run = run_reserve,
};

const struct command command_ack = {
    .name = "ack",
    .arguments = "[--files] <id> <token> [result]",
    .summary = "a reserved job is done; prints nothing",
    .help = "  awaitctl ack $id $token\n"
            "  awaitctl ack $id $token 'sent as 250 2.0.0'\n"
            "  ./render | awaitctl ack --files $id $token -\n"
            "\n"
            "Exit code 5 and BADTOKEN: the lease has ended; the job runs again or has done so.\n",
    .options = ack_options,
    .argument_min = 2,
    .argument_max = 3,
    .run = run_ack,
};

const struct command command_nack = {
    .name = "nack",
    .arguments = "[--delay DURATION] [--error TEXT] <id> <token>",
    .summary = "a reserved job failed; it is tried again by its RETRY and BACKOFF",
    .help = "  awaitctl nack --error 'no route to host' $id $token\n"
            "  awaitctl nack --delay 5m $id $token\n",
    .options = nack_options,
    .argument_min = 2,
    .argument_max = 2,
    .run = run_nack,
};

const struct command command_extend = {
    .name = "extend",
    .arguments = "<id> <token> <duration>",
    .summary = "keep a reserved job for that long from now",
    .help = "  awaitctl extend $id $token 5m || stop_working\n"
            "\n"
            "Exit code 1 and CANCELLED: nobody wants it any more.\n",
    .options = no_options,
    .argument_min = 3,
    .argument_max = 3,
    .run = run_extend,
};

const struct command command_progress = {
    .name = "progress",
    .arguments = "<id> <token> <percent> [text]",
    .summary = "tell how far a reserved job is, for awaitctl job to show",
    .help = "  awaitctl progress $AWAITD_JOB $AWAITD_TOKEN 40 'page 4 of 10'\n",
    .options = no_options,
    .argument_min = 3,
    .argument_max = 4,
    .run = run_progress,
};
