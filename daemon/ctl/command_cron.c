/* command_cron.c - cron set, list, get, del and run: recurring jobs. The word after `cron` is a
 * command of its own, with its own options. */
#include "ctl/connection.h"
#include "ctl/job_fields.h"
#include "ctl/submit_words.h"

#include <stdlib.h>
#include <string.h>

static const struct option no_options[] = {{0}};

static const struct option set_options[] = {
    {"zone", 'z', OPTION_TEXT, "ZONE", "TZ", "the time zone, such as Europe/Berlin"},
    {"misfire", 'm', OPTION_TEXT, "skip|once|all", "MISFIRE",
     "what becomes of times that were missed (default once)"},
    {0},
};

/* Also behind the word, where people look for it. */
static const struct option show_options[] = {
    {"json", 'j', OPTION_FLAG, NULL, NULL, "print JSON"},
    {0},
};

static const char *const columns[] = {"name", "expression", "zone",  "misfire",
                                      "next", "last",       "error", NULL};

static enum exit_code usage(const char *problem)
{
    return complain(EXIT_USAGE, "cron: %s; see: awaitctl cron --help", problem);
}

/* Asks; an error reply is told, and no reply then. */
static enum exit_code ask(const struct invocation *invocation, struct words *words,
                          redisReply **ret_reply)
{
    enum exit_code code = connection_ask(invocation, words, invocation->reply_timeout_ms,
                                         ret_reply);
    words_free(words);
    if (code != EXIT_OK || (*ret_reply)->type != REDIS_REPLY_ERROR)
        return code;
    code = reply_complain(*ret_reply, NULL);
    freeReplyObject(*ret_reply);
    *ret_reply = NULL;
    return code;
}

/* --- set -------------------------------------------------------------------------------------- */

static void add_set_options(struct words *words, const struct option_value *values)
{
    for (int index = 0; set_options[index].name != NULL; index++) {
        if (!values[index].set)
            continue;
        words_add(words, set_options[index].word);
        words_add(words, values[index].text);
    }
}

/* CRON SET and all its words. `job` has the options of submit and what follows them. */
static enum exit_code set_words(struct words *words, const struct invocation *invocation,
                                const struct option_value *set_values,
                                const struct invocation *job)
{
    if (option_of(&command_submit, job, "wait")->set)
        return usage("set takes no --wait: the job runs later");
    words_add(words, "CRON");
    words_add(words, "SET");
    words_add(words, invocation->arguments[1]);
    words_add(words, invocation->arguments[2]);
    add_set_options(words, set_values);
    return submit_words(words, "SUBMIT", &command_submit, job);
}

static enum exit_code run_set(const struct invocation *invocation)
{
    struct option_value set_values[OPTIONS_MAX] = {0};
    struct option_value job_values[OPTIONS_MAX] = {0};
    const struct option_set sets[] = {{set_options, set_values},
                                      {command_submit.options, job_values}};
    struct text error = {0};
    struct words words = {0};
    redisReply *reply = NULL;
    int ignored;
    if (invocation->argument_count < 5)
        return usage("set needs <name> <expression> [option ...] <target> <arg> ...");
    int taken = options_parse(sets, 2, invocation->argument_count - 3, invocation->arguments + 3,
                              true, NULL, &ignored, &error);
    struct invocation job = *invocation;
    enum exit_code code = taken < 0 ? usage(error.data) : EXIT_OK;
    text_free(&error);
    if (code != EXIT_OK)
        return code;
    job.values = job_values;
    job.arguments = invocation->arguments + 3 + taken;
    job.argument_count = invocation->argument_count - 3 - taken;
    if (job.argument_count < 1)
        return usage("set needs a target and its arguments");
    code = set_words(&words, invocation, set_values, &job);
    if (code == EXIT_OK)
        code = ask(invocation, &words, &reply);
    words_free(&words);
    if (reply != NULL)
        freeReplyObject(reply); /* OK: silent, as other words that change something */
    return code;
}

/* --- list and get ----------------------------------------------------------------------------- */

static bool is_list(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t index = 0; index < reply->elements; index++)
        if (!job_is_fields(reply->element[index]))
            return false;
    return true;
}

static void print_list(const struct output *output, const redisReply *reply)
{
    if (output->json) {
        struct json json;
        json_init(&json, stdout);
        json_array(&json);
        for (size_t index = 0; index < reply->elements; index++)
            job_json(&json, reply->element[index]);
        json_array_end(&json);
        putchar('\n');
        return;
    }
    struct table_style style = output_table_style(output);
    struct table table;
    fields_table_init(&table, &style, columns);
    for (size_t index = 0; index < reply->elements; index++)
        fields_table_add(&table, columns, reply->element[index]);
    table_print(&table, stdout);
    table_free(&table);
}

static void print_one(const struct output *output, const redisReply *reply)
{
    if (!output->json) {
        job_print(output, reply);
        return;
    }
    struct json json;
    json_init(&json, stdout);
    job_json(&json, reply);
    putchar('\n');
}

/* `words` ask for one schedule or all. */
static enum exit_code show(const struct invocation *invocation, struct words *words, bool all)
{
    redisReply *reply = NULL;
    enum exit_code code = ask(invocation, words, &reply);
    if (code != EXIT_OK)
        return code;
    if (all ? !is_list(reply) : !job_is_fields(reply))
        code = complain(EXIT_REFUSED, "the daemon's answer to CRON is not a list of fields");
    else if (all)
        print_list(&invocation->output, reply);
    else
        print_one(&invocation->output, reply);
    freeReplyObject(reply);
    return code;
}

/* --- the word after cron ---------------------------------------------------------------------- */

static enum exit_code print_reply(const struct invocation *invocation, struct words *words)
{
    redisReply *reply = NULL;
    enum exit_code code = ask(invocation, words, &reply);
    if (code != EXIT_OK)
        return code;
    reply_print(&invocation->output, reply);
    freeReplyObject(reply);
    return code;
}

static enum exit_code delete(const struct invocation *invocation, struct words *words,
                             const char *name)
{
    redisReply *reply = NULL;
    enum exit_code code = ask(invocation, words, &reply);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0)
        code = complain(EXIT_REFUSED, "no schedule %s; awaitctl cron list shows them", name);
    freeReplyObject(reply);
    return code;
}

/* Those with at most one argument: the name. */
static enum exit_code run_simple(const struct invocation *invocation, const char *verb)
{
    struct option_value values[OPTIONS_MAX] = {0};
    const struct option_set set = {show_options, values};
    const char **names = memory_need(calloc((size_t)invocation->argument_count, sizeof *names));
    struct text error = {0};
    struct words words = {0};
    struct invocation asked = *invocation;
    int count = 0;
    int taken = options_parse(&set, 1, invocation->argument_count - 1, invocation->arguments + 1,
                              false, names, &count, &error);
    bool all = strcmp(verb, "LIST") == 0;
    enum exit_code code = EXIT_OK;
    if (taken < 0)
        code = usage(error.data);
    else if (count != (all ? 0 : 1))
        code = usage(all ? "list takes no name" : "needs one schedule's name");
    asked.output.json = asked.output.json || values[0].set;
    if (code == EXIT_OK) {
        words_add(&words, "CRON");
        words_add(&words, verb);
        if (!all)
            words_add(&words, names[0]);
        if (all || strcmp(verb, "GET") == 0)
            code = show(&asked, &words, all);
        else if (strcmp(verb, "DEL") == 0)
            code = delete(&asked, &words, names[0]);
        else
            code = print_reply(&asked, &words);
    }
    text_free(&error);
    free((void *)(uintptr_t)names);
    return code;
}

static enum exit_code run_cron(const struct invocation *invocation)
{
    static const struct {
        const char *word;
        const char *verb;
    } simple[] = {{"list", "LIST"}, {"get", "GET"}, {"del", "DEL"}, {"run", "RUN"}};
    const char *word = invocation->arguments[0];
    if (strcmp(word, "set") == 0)
        return run_set(invocation);
    for (size_t index = 0; index < sizeof simple / sizeof simple[0]; index++)
        if (strcmp(word, simple[index].word) == 0)
            return run_simple(invocation, simple[index].verb);
    return usage("takes set, list, get, del or run");
}

const struct command command_cron = {
    .name = "cron",
    .arguments = "set <name> <expression> [option ...] <target> <arg> ... | list | get <name> | "
                 "del <name> | run <name>",
    .summary = "jobs that recur: set, list, get, del and run schedules",
    .help =
        "An expression has five fields (minute hour day-of-month month day-of-week) or six (the\n"
        "second first), or is @yearly @monthly @weekly @daily @hourly or @every 90s. Options of\n"
        "set: --zone ZONE, --misfire skip|once|all, and those of submit. A schedule that is set\n"
        "again is replaced; run submits its job now and prints the id.\n"
        "\n"
        "  awaitctl cron set nightly '0 3 * * *' --zone Europe/Berlin main 'CALL rollup()'\n"
        "  awaitctl cron set beat '*/10 * * * * *' --misfire skip --keep 0 cache INCR beats\n"
        "  awaitctl cron set report '@every 90m' --retry 5 mail report weekly\n"
        "  awaitctl cron list\n"
        "  awaitctl cron get nightly --json\n"
        "  awaitctl await $(awaitctl cron run nightly)\n"
        "  awaitctl cron del nightly\n",
    .options = no_options,
    .stop_at_first = true,
    .argument_min = 1,
    .argument_max = -1,
    .run = run_cron,
};
