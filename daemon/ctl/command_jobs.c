/* command_jobs.c - job and jobs: look at stored jobs. */
#include "ctl/connection.h"
#include "ctl/job_fields.h"

#include <stdlib.h>
#include <string.h>

#define OPTION_STRING(name, letter, value, word, help) \
    {name, letter, OPTION_TEXT, value, word, help}

static const struct option no_options[] = {{0}};

static const struct option jobs_options[] = {
    OPTION_STRING("queue", 'q', "NAME", "QUEUE", "only this queue"),
    OPTION_STRING("state", 's', "STATE", "STATE",
                  "scheduled blocked ready running done dead cancelled uncertain"),
    OPTION_STRING("target", 0, "NAME", "TARGET", "only this target"),
    OPTION_STRING("match", 'm', "GLOB", "MATCH", "only arguments like this: '*visits*'"),
    {"limit", 'n', OPTION_NUMBER, "N", "LIMIT", "at most that many a page"},
    OPTION_STRING("cursor", 0, "CURSOR", "CURSOR", "go on where a page ended"),
    {"all", 'a', OPTION_FLAG, NULL, NULL, "every page"},
    {0},
};

/* --- job -------------------------------------------------------------------------------------- */

static enum exit_code run_job(const struct invocation *invocation)
{
    struct words words = {0};
    redisReply *reply = NULL;
    words_add(&words, "JOB");
    words_add(&words, invocation->arguments[0]);
    enum exit_code code = connection_ask(invocation, &words, invocation->reply_timeout_ms, &reply);
    words_free(&words);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR) {
        code = reply_complain(reply, NULL);
    } else if (!job_is_fields(reply)) {
        code = complain(EXIT_REFUSED, "the daemon's answer to JOB is not a list of fields");
    } else if (invocation->output.json) {
        struct json json;
        json_init(&json, stdout);
        job_json(&json, reply);
        putchar('\n');
    } else {
        job_print(&invocation->output, reply);
    }
    freeReplyObject(reply);
    return code;
}

/* --- jobs ------------------------------------------------------------------------------------- */

struct listing {
    const struct invocation *invocation;
    struct table table;
    struct json json;
    bool all;
    size_t shown;
};

static void build_jobs(struct words *words, const struct invocation *invocation, const char *cursor)
{
    words_add(words, "JOBS");
    for (int index = 0; jobs_options[index].name != NULL; index++) {
        const struct option *option = &jobs_options[index];
        const struct option_value *value = &invocation->values[index];
        if (!value->set || option->word == NULL || strcmp(option->word, "CURSOR") == 0)
            continue;
        words_add(words, option->word);
        words_add(words, value->text);
    }
    if (cursor != NULL) {
        words_add(words, "CURSOR");
        words_add(words, cursor);
    }
}

static bool is_page(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->str == NULL || reply->element[1]->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t index = 0; index < reply->element[1]->elements; index++)
        if (!job_is_fields(reply->element[1]->element[index]))
            return false;
    return true;
}

static void show_page(struct listing *listing, const redisReply *jobs)
{
    for (size_t index = 0; index < jobs->elements; index++) {
        if (listing->invocation->output.json)
            job_json(&listing->json, jobs->element[index]);
        else
            job_table_add(&listing->table, jobs->element[index]);
    }
    listing->shown += jobs->elements;
    if (!listing->invocation->output.json)
        table_print(&listing->table, stdout);
}

/* One page; *cursor (owned text) becomes where the next one begins, or "0". */
static enum exit_code list_page(struct listing *listing, struct connection *connection,
                                struct text *cursor)
{
    struct words words = {0};
    redisReply *reply = NULL;
    build_jobs(&words, listing->invocation, cursor->size > 0 ? cursor->data : NULL);
    enum exit_code code = connection_call(connection, &words,
                                          listing->invocation->reply_timeout_ms, false, &reply);
    words_free(&words);
    if (code != EXIT_OK)
        return code;
    if (reply->type == REDIS_REPLY_ERROR) {
        code = reply_complain(reply, NULL);
    } else if (!is_page(reply)) {
        code = complain(EXIT_REFUSED, "the daemon's answer to JOBS is not a cursor and jobs");
    } else {
        text_free(cursor);
        text_append(cursor, reply->element[0]->str, reply->element[0]->len);
        show_page(listing, reply->element[1]);
    }
    freeReplyObject(reply);
    return code;
}

static void begin_listing(struct listing *listing)
{
    const struct output *output = &listing->invocation->output;
    struct table_style style = output_table_style(output);
    style.width_max = output->screen_width;
    job_table_init(&listing->table, &style);
    json_init(&listing->json, stdout);
    if (output->json)
        json_array(&listing->json);
}

static void end_listing(struct listing *listing, const char *cursor)
{
    const struct output *output = &listing->invocation->output;
    if (output->json) {
        json_array_end(&listing->json);
        putchar('\n');
    } else if (output->terminal) {
        printf("(%zu job%s)\n", listing->shown, listing->shown == 1 ? "" : "s");
    }
    if (strcmp(cursor, "0") != 0 && cursor[0] != '\0')
        fprintf(stderr, "awaitctl: there may be more: --cursor %s for the next page, --all for "
                        "every page\n", cursor);
    table_free(&listing->table);
}

static enum exit_code run_jobs(const struct invocation *invocation)
{
    const struct option_value *start = option_of(&command_jobs, invocation, "cursor");
    struct listing listing = {.invocation = invocation,
                              .all = option_of(&command_jobs, invocation, "all")->set};
    struct connection connection;
    struct text cursor = {0};
    text_append_string(&cursor, start->set ? start->text : "");
    enum exit_code code = connection_open(&connection, invocation->socket_path,
                                          invocation->reply_timeout_ms);
    if (code != EXIT_OK) {
        text_free(&cursor);
        return code;
    }
    begin_listing(&listing);
    do {
        code = list_page(&listing, &connection, &cursor);
    } while (code == EXIT_OK && listing.all && strcmp(cursor.data, "0") != 0);
    end_listing(&listing, code == EXIT_OK ? cursor.data : "");
    text_free(&cursor);
    connection_close(&connection);
    return code;
}

const struct command command_job = {
    .name = "job",
    .arguments = "<id>",
    .summary = "print everything known about a job",
    .help = "  awaitctl job 455895103311970304\n"
            "  awaitctl --json job 455895103311970304 | jq -r .state\n",
    .options = no_options,
    .argument_min = 1,
    .argument_max = 1,
    .run = run_job,
};

const struct command command_jobs = {
    .name = "jobs",
    .arguments = "[option ...]",
    .summary = "list stored jobs, by queue, state, target or a pattern",
    .help = "One page; --all follows to the end.\n"
            "\n"
            "  awaitctl jobs --state dead\n"
            "  awaitctl jobs --queue nightly --limit 20\n"
            "  awaitctl jobs --all --state dead | cut -f1        ids only\n"
            "  awaitctl --json jobs --match '*visits*' | jq '.[].id'\n",
    .options = jobs_options,
    .argument_min = 0,
    .argument_max = 0,
    .run = run_jobs,
};
