/* command_await.c - await, gather and race: the results of stored jobs. */
#include "ctl/waiting.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct option wait_options[] = {
    {"timeout", 't', OPTION_DURATION, "DURATION", NULL,
     "give up after that long (exit code 4); the job goes on"},
    {0},
};

static enum exit_code ask(const struct invocation *invocation, const char *verb,
                          redisReply **ret_reply)
{
    const struct option_value *timeout = &invocation->values[0];
    const struct waiting waiting = {.verb = verb,
                                    .ids = invocation->arguments,
                                    .id_count = (size_t)invocation->argument_count,
                                    .limited = timeout->set,
                                    .timeout_ms = timeout->number};
    struct connection connection;
    enum exit_code code = connection_open(&connection, invocation->socket_path,
                                          invocation->reply_timeout_ms);
    if (code == EXIT_OK)
        code = wait_for(&connection, &waiting, ret_reply);
    connection_close(&connection);
    return code;
}

static enum exit_code run_await(const struct invocation *invocation)
{
    redisReply *reply = NULL;
    enum exit_code code = ask(invocation, "AWAIT", &reply);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR) {
        char subject[64];
        snprintf(subject, sizeof subject, "job %.40s", invocation->arguments[0]);
        code = reply_complain(reply, subject);
    } else {
        reply_print(&invocation->output, reply);
    }
    freeReplyObject(reply);
    return code;
}

/* --- several results, each with its id -------------------------------------------------------- */

/* What stands in one cell: everything but arrays, and the only value of an SQL result. NULL if it
 * needs more room. */
static const redisReply *single_value(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY)
        return reply;
    if (reply_is_rows(reply) && reply->elements == 2 && reply->element[1]->elements == 1)
        return reply->element[1]->element[0];
    return NULL;
}

/* "done", or an error's first word in small letters. */
static void outcome_of(const redisReply *reply, char *ret_word, size_t size)
{
    size_t length = 0;
    if (reply->type != REDIS_REPLY_ERROR) {
        snprintf(ret_word, size, "done");
        return;
    }
    while (length + 1 < size && length < reply->len && reply->str[length] != ' ') {
        ret_word[length] = (char)tolower((unsigned char)reply->str[length]);
        length++;
    }
    ret_word[length] = '\0';
}

static void add_value(struct table *table, const redisReply *reply)
{
    char word[32];
    char number[24];
    if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(number, sizeof number, "%lld", reply->integer);
        table_add_text(table, number);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        outcome_of(reply, word, sizeof word);
        size_t skip = strlen(word) < reply->len ? strlen(word) + 1 : reply->len;
        table_add(table, reply->str + skip, reply->len - skip);
    } else {
        table_add(table, reply->type == REDIS_REPLY_NIL ? NULL : reply->str, reply->len);
    }
}

static void print_table(const struct output *output, const char *const *ids,
                        redisReply **results, size_t count)
{
    static const char *const names[] = {"id", "outcome", "result"};
    struct table_style style = output_table_style(output);
    struct table table;
    table_init(&table, &style, 3);
    for (size_t column = 0; column < 3; column++)
        table_name(&table, column, names[column], strlen(names[column]));
    for (size_t index = 0; index < count; index++) {
        char word[32];
        outcome_of(results[index], word, sizeof word);
        table_add_text(&table, ids[index]);
        table_add_text(&table, word);
        add_value(&table, single_value(results[index]));
    }
    table_print(&table, stdout);
    table_free(&table);
}

static void print_blocks(const struct output *output, const char *const *ids,
                         redisReply **results, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        char word[32];
        outcome_of(results[index], word, sizeof word);
        printf("%s%s %s:\n", index > 0 ? "\n" : "", ids[index], word);
        reply_print(output, results[index]);
    }
}

static void print_json(const char *const *ids, redisReply **results, size_t count, bool as_array)
{
    struct json json;
    json_init(&json, stdout);
    if (as_array)
        json_array(&json);
    for (size_t index = 0; index < count; index++) {
        json_object(&json);
        json_key_text(&json, "id");
        json_string_text(&json, ids[index]);
        reply_json_member(&json, results[index]);
        json_object_end(&json);
    }
    if (as_array)
        json_array_end(&json);
    putchar('\n');
}

static void print_results(const struct output *output, const char *const *ids, redisReply **results,
                          size_t count)
{
    bool simple = true;
    for (size_t index = 0; index < count; index++)
        simple = simple && single_value(results[index]) != NULL;
    if (simple)
        print_table(output, ids, results, count);
    else
        print_blocks(output, ids, results, count);
}

/* A failed job outweighs one that is not finished, and that one a refusal. */
static enum exit_code worst(redisReply **results, size_t count)
{
    static const enum exit_code order[] = {EXIT_FAILED, EXIT_TIMEOUT, EXIT_REFUSED};
    for (size_t rank = 0; rank < sizeof order / sizeof order[0]; rank++)
        for (size_t index = 0; index < count; index++)
            if (reply_exit_code(results[index]) == order[rank])
                return order[rank];
    return EXIT_OK;
}

static enum exit_code run_gather(const struct invocation *invocation)
{
    redisReply *reply = NULL;
    enum exit_code code = ask(invocation, "GATHER", &reply);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR) {
        code = reply_complain(reply, NULL);
    } else if (reply->type != REDIS_REPLY_ARRAY ||
               reply->elements != (size_t)invocation->argument_count) {
        code = complain(EXIT_REFUSED, "the daemon's answer to GATHER is not one result per id");
    } else {
        if (invocation->output.json)
            print_json(invocation->arguments, reply->element, reply->elements, true);
        else
            print_results(&invocation->output, invocation->arguments, reply->element,
                          reply->elements);
        code = worst(reply->element, reply->elements);
    }
    freeReplyObject(reply);
    return code;
}

static enum exit_code run_race(const struct invocation *invocation)
{
    redisReply *reply = NULL;
    enum exit_code code = ask(invocation, "RACE", &reply);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR) {
        code = reply_complain(reply, NULL);
    } else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
               reply->element[0]->type != REDIS_REPLY_STRING) {
        code = complain(EXIT_REFUSED, "the daemon's answer to RACE is not an id and its result");
    } else {
        const char *id = reply->element[0]->str;
        if (invocation->output.json)
            print_json(&id, &reply->element[1], 1, false);
        else
            print_results(&invocation->output, &id, &reply->element[1], 1);
        code = worst(&reply->element[1], 1);
    }
    freeReplyObject(reply);
    return code;
}

const struct command command_await = {
    .name = "await",
    .arguments = "[--timeout DURATION] <id>",
    .summary = "wait for a job and print its result",
    .help = "Waits for as long as it takes, also over a restart of the daemon. The result is kept\n"
            "after the job has finished for as long as KEEP says.\n"
            "\n"
            "  awaitctl await 455895103311970304\n"
            "  awaitctl await --timeout 5s 455895103311970304\n"
            "\n"
            "Exit code 1: the job failed or was cancelled; its reason is on standard error.\n",
    .options = wait_options,
    .argument_min = 1,
    .argument_max = 1,
    .run = run_await,
};

const struct command command_gather = {
    .name = "gather",
    .arguments = "[--timeout DURATION] <id> ...",
    .summary = "wait for several jobs and print all results",
    .help = "In the order asked, each with its id and outcome; a failed job stands in its place.\n"
            "\n"
            "  a=$(awaitctl submit local 'SELECT sleep(1000)')\n"
            "  b=$(awaitctl submit local 'SELECT sleep(1000)')\n"
            "  awaitctl gather $a $b                      one second, not two\n"
            "  awaitctl --json gather $a $b | jq '.[].result'\n"
            "\n"
            "Exit code 1 if any failed, else 4 if any is not finished, else 5 if any is unknown.\n",
    .options = wait_options,
    .argument_min = 1,
    .argument_max = -1,
    .run = run_gather,
};

const struct command command_race = {
    .name = "race",
    .arguments = "[--timeout DURATION] <id> ...",
    .summary = "print the result of the first of several jobs to finish",
    .help = "The others go on; cancel them if nobody needs them.\n"
            "\n"
            "  awaitctl race $a $b\n",
    .options = wait_options,
    .argument_min = 1,
    .argument_max = -1,
    .run = run_race,
};
