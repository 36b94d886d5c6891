/* command_submit.c - submit and run: hand a job over, stored or at once. */
#include "ctl/bulk.h"
#include "ctl/input.h"
#include "ctl/submit_words.h"
#include "ctl/waiting.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define OPTION_TIMEOUT_OF_JOB \
    {"timeout", 't', OPTION_DURATION, "DURATION", "TIMEOUT", "stop an execution that takes longer"}
#define OPTION_FORMAT \
    {"format", 0, OPTION_TEXT, "rows|json", "FORMAT", "the shape of an SQL result"}
#define OPTION_NULLS \
    {"null", 0, OPTION_NUMBER_LIST, "N[,N...]", "NULL", \
     "these arguments are SQL NULL (the SQL is 1, its parameters 2...)"}
#define OPTION_FILES \
    {"files", 'f', OPTION_FLAG, NULL, NULL, \
     "an argument - is standard input, @PATH a file, @@X the text @X"}

static const struct option submit_options[] = {
    {"queue", 'q', OPTION_TEXT, "NAME", "QUEUE", "the queue (default: default)"},
    {"priority", 'p', OPTION_NUMBER, "N", "PRIORITY", "smaller is sooner (default 1024)"},
    {"delay", 'd', OPTION_DURATION, "DURATION", "DELAY", "not before that long from now"},
    {"at", 0, OPTION_MOMENT, "TIME", "AT", "not before: 08:00, 2030-01-31T08:00 (local) or ...Z"},
    OPTION_TIMEOUT_OF_JOB,
    {"retry", 'r', OPTION_NUMBER, "N", "RETRY", "attempts after the first one (default 3)"},
    {"backoff", 0, OPTION_DURATION_PAIR, "MIN,MAX", "BACKOFF",
     "pause between attempts (default 1s,1h)"},
    {"keep", 0, OPTION_DURATION, "DURATION", "KEEP",
     "how long a done job is kept (default 1h); 0: not at all"},
    {"expire", 0, OPTION_DURATION, "DURATION", "EXPIRE", "dead if not started by then"},
    {"key", 0, OPTION_TEXT, "KEY", "KEY", "one live job a key: else the id of the one there is"},
    {"serial", 0, OPTION_TEXT, "KEY", "SERIAL", "one after the other, in order of submission"},
    {"after", 0, OPTION_NUMBER_LIST, "ID[,ID...]", "AFTER", "start when these jobs are done"},
    {"bind", 0, OPTION_BIND_LIST, "N:ID:ROW:COL[,...]", "BIND",
     "argument N is a value of that job's result (the SQL is 1; rows and columns from 0)"},
    {"onfail", 0, OPTION_TEXT, "run|cancel", "ONFAIL",
     "what a failed one of these does (default cancel)"},
    OPTION_FORMAT,
    {"coalesce", 0, OPTION_NUMBER, "N", "COALESCE",
     "share a transaction with at most N - 1 other jobs; 1: with none (default: the target's)"},
    OPTION_NULLS,
    {"wait", 'w', OPTION_DURATION_OPTIONAL, "DURATION", NULL, "await the result and print it"},
    OPTION_FILES,
    {"from-csv", 0, OPTION_TEXT, "FILE", NULL, "a job for each record: its fields are arguments"},
    {"csv-names", 0, OPTION_FLAG, NULL, NULL, "the first record of the CSV file holds names"},
    {"from-json", 0, OPTION_TEXT, "FILE", NULL, "a job for each line: an array, or an object"},
    {"transaction", 0, OPTION_FLAG, NULL, NULL, "all jobs of the file or none (at most 10,000)"},
    {0},
};

static const struct option run_options[] = {
    OPTION_TIMEOUT_OF_JOB,
    OPTION_FORMAT,
    OPTION_NULLS,
    OPTION_FILES,
    {0},
};

/* "1,3" is NULL 1 NULL 3. */
static void add_list(struct words *words, const char *word, const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        words_add(words, word);
        words_add_bytes(words, list, length);
        list += length + (list[length] == ',');
    }
}

/* "2:ID:0:1,3:ID:0:0" is BIND 2 ID 0 1 BIND 3 ID 0 0. */
static void add_binds(struct words *words, const char *word, const char *list)
{
    bool begins = true;
    while (*list != '\0') {
        size_t length = strcspn(list, ":,");
        if (begins)
            words_add(words, word);
        words_add_bytes(words, list, length);
        begins = list[length] == ',';
        list += length + (list[length] != '\0');
    }
}

static void add_option(struct words *words, const struct option *option,
                       const struct option_value *value)
{
    if (!value->set || option->word == NULL)
        return;
    if (option->kind == OPTION_NUMBER_LIST) {
        add_list(words, option->word, value->text);
        return;
    }
    if (option->kind == OPTION_BIND_LIST) {
        add_binds(words, option->word, value->text);
        return;
    }
    words_add(words, option->word);
    if (option->kind == OPTION_TEXT) {
        words_add(words, value->text);
        return;
    }
    words_add_number(words, value->number);
    if (option->kind == OPTION_DURATION_PAIR)
        words_add_number(words, value->number_max);
}

/* The whole command: its name, the options' words, the target and the job's arguments. */
enum exit_code submit_words(struct words *words, const char *verb, const struct command *command,
                            const struct invocation *invocation)
{
    bool files = option_of(command, invocation, "files")->set;
    words_add(words, verb);
    for (int index = 0; command->options[index].name != NULL; index++)
        add_option(words, &command->options[index], &invocation->values[index]);
    for (int index = 0; index < invocation->argument_count; index++) {
        const char *argument = invocation->arguments[index];
        if (!files || index == 0) {
            words_add(words, argument);
            continue;
        }
        enum exit_code code = input_add(words, argument);
        if (code != EXIT_OK)
            return code;
    }
    return EXIT_OK;
}

static void print_id(const struct output *output, const redisReply *reply)
{
    if (!output->json) {
        reply_print(output, reply);
        return;
    }
    struct json json;
    json_init(&json, stdout);
    json_object(&json);
    json_key_text(&json, "id");
    reply_json(&json, reply);
    json_object_end(&json);
    putchar('\n');
}

/* Whether the result is JSON text already, to be printed as it is. */
static bool is_json_text(const struct command *command, const struct invocation *invocation,
                         const redisReply *reply)
{
    const struct option_value *format = option_of(command, invocation, "format");
    return format->set && strcasecmp(format->text, "json") == 0 &&
           reply->type == REDIS_REPLY_STRING;
}

static void print_result_with_id(const struct invocation *invocation, const char *id,
                                 const redisReply *reply)
{
    struct json json;
    json_init(&json, stdout);
    json_object(&json);
    json_key_text(&json, "id");
    json_string_text(&json, id);
    if (is_json_text(&command_submit, invocation, reply)) {
        json_key_text(&json, "result");
        json_raw(&json, reply->str, reply->len);
    } else {
        reply_json_member(&json, reply);
    }
    json_object_end(&json);
    putchar('\n');
}

static enum exit_code await_submitted(struct connection *connection,
                                      const struct invocation *invocation,
                                      const struct option_value *wait, const char *id)
{
    const struct waiting waiting = {.verb = "AWAIT",
                                    .ids = &id,
                                    .id_count = 1,
                                    .limited = wait->has_value,
                                    .timeout_ms = wait->number};
    redisReply *reply = NULL;
    enum exit_code code = wait_for(connection, &waiting, &reply);
    if (code != EXIT_OK)
        return complain(code, "job %s is stored; its result: awaitctl await %s", id, id);
    if (reply->type == REDIS_REPLY_ERROR) {
        char subject[64];
        snprintf(subject, sizeof subject, "job %s", id);
        code = reply_complain(reply, subject);
    } else if (invocation->output.json) {
        print_result_with_id(invocation, id, reply);
    } else {
        reply_print(&invocation->output, reply);
    }
    freeReplyObject(reply);
    return code;
}

static enum exit_code submit_on(struct connection *connection, const struct words *words,
                                const struct invocation *invocation)
{
    const struct option_value *wait = option_of(&command_submit, invocation, "wait");
    redisReply *reply = NULL;
    enum exit_code code =
        connection_call(connection, words, invocation->reply_timeout_ms, false, &reply);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR) {
        code = reply_complain(reply, NULL);
    } else if (!wait->set || reply->str == NULL) {
        print_id(&invocation->output, reply);
    } else {
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "job %s\n", reply->str);
        code = await_submitted(connection, invocation, wait, reply->str);
    }
    freeReplyObject(reply);
    return code;
}

static bool is_set(const struct invocation *invocation, const char *name)
{
    return option_of(&command_submit, invocation, name)->set;
}

/* Jobs out of a file. */
static enum exit_code run_bulk(const struct invocation *invocation)
{
    bool json = is_set(invocation, "from-json");
    if (json && is_set(invocation, "from-csv"))
        return complain(EXIT_USAGE, "submit: --from-csv and --from-json exclude each other");
    if (is_set(invocation, "wait") || (json && is_set(invocation, "csv-names")))
        return complain(EXIT_USAGE, "submit: --wait and --csv-names do not go with this");
    struct words words = {0};
    const struct bulk_source source = {
        .path = option_of(&command_submit, invocation, json ? "from-json" : "from-csv")->text,
        .json = json,
        .skip_first = is_set(invocation, "csv-names"),
        .transaction = is_set(invocation, "transaction"),
        .base = &words,
        .arguments_before = (size_t)invocation->argument_count,
    };
    enum exit_code code = submit_words(&words, "SUBMIT", &command_submit, invocation);
    if (code == EXIT_OK)
        code = bulk_submit(invocation, &source);
    words_free(&words);
    return code;
}

static enum exit_code run_submit(const struct invocation *invocation)
{
    struct words words = {0};
    struct connection connection = {0};
    if (is_set(invocation, "from-csv") || is_set(invocation, "from-json"))
        return run_bulk(invocation);
    if (is_set(invocation, "csv-names") || is_set(invocation, "transaction"))
        return complain(EXIT_USAGE, "submit: --csv-names and --transaction need a file of jobs");
    if (invocation->argument_count < 2)
        return complain(EXIT_USAGE, "submit: needs [option ...] <target> <arg> ...; see: awaitctl "
                                    "submit --help");
    enum exit_code code = submit_words(&words, "SUBMIT", &command_submit, invocation);
    if (code == EXIT_OK)
        code = connection_open(&connection, invocation->socket_path, invocation->reply_timeout_ms);
    if (code == EXIT_OK)
        code = submit_on(&connection, &words, invocation);
    connection_close(&connection);
    words_free(&words);
    return code;
}

static enum exit_code run_run(const struct invocation *invocation)
{
    struct words words = {0};
    redisReply *reply = NULL;
    enum exit_code code = submit_words(&words, "RUN", &command_run, invocation);
    if (code == EXIT_OK)
        code = connection_ask(invocation, &words, 0, &reply);
    words_free(&words);
    if (code != EXIT_OK)
        return code;
    struct output output = invocation->output;
    output.json = output.json && !is_json_text(&command_run, invocation, reply);
    if (reply->type == REDIS_REPLY_ERROR)
        code = reply_complain(reply, NULL);
    else
        reply_print(&output, reply);
    freeReplyObject(reply);
    return code;
}

const struct command command_submit = {
    .name = "submit",
    .arguments = "[option ...] <target> <arg> ...",
    .summary = "store a job durably and print its id",
    .help =
        "The id is printed once the job is on the disk: from then on it survives a crash. Options\n"
        "come before the target; everything after it is the job. Options may also be given in the\n"
        "protocol's own words: awaitctl submit DELAY 5000 main 'SELECT 1'.\n"
        "\n"
        "  awaitctl submit main 'INSERT INTO visits(page) VALUES ($1)' /index.html\n"
        "  awaitctl submit --wait main 'SELECT count(*) FROM visits'\n"
        "  awaitctl submit --delay 10m --retry 5 --backoff 1s,5m cache INCR counter\n"
        "  awaitctl submit --at 03:00 --queue nightly --timeout 1h main 'CALL rollup()'\n"
        "  awaitctl submit --files main @report.sql            the statement is in a file\n"
        "  id=$(awaitctl submit local 'SELECT sleep(1000)') && awaitctl await $id\n"
        "  awaitctl submit --from-csv visits.csv main 'INSERT INTO visits VALUES ($1, $2)'\n"
        "  awaitctl submit --transaction --from-json - < jobs.jsonl\n"
        "\n"
        "A line of JSON is an array of arguments, behind those on the command line, or an object:\n"
        "{\"target\": \"main\", \"args\": [\"SELECT $1\", null], \"queue\": \"q\", "
        "\"delay\": 500}.\n",
    .options = submit_options,
    .stop_at_first = true,
    .argument_min = 0,
    .argument_max = -1,
    .run = run_submit,
};

const struct command command_run = {
    .name = "run",
    .arguments = "[option ...] <target> <arg> ...",
    .summary = "run a job at once, without storing it, and print the result",
    .help = "Not queued, not stored, not retried: for questions rather than for writes that must\n"
            "not be lost. Rows are a table on a terminal and tab-separated lines in a pipe.\n"
            "\n"
            "  awaitctl run main 'SELECT 1 AS one'\n"
            "  awaitctl run --timeout 2s cache GET greeting\n"
            "  awaitctl --json run local 'SELECT * FROM visits' | jq '.[0]'\n"
            "  echo 'SELECT 42' | awaitctl run --files local -\n",
    .options = run_options,
    .stop_at_first = true,
    .argument_min = 2,
    .argument_max = -1,
    .run = run_run,
};
