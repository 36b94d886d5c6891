/* graph_stage.c - see graph_stage.h. */
#include "support/graph_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct job *make(uint64_t id, const char *text)
{
    char words[500];
    struct argument arguments[40];
    uint32_t count = 0;
    char *rest;
    snprintf(words, sizeof words, "%s local x y", text);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = (struct argument){.data = word, .size = (uint32_t)strlen(word)};
    struct submit_options options;
    struct aw_error error = {0};
    cr_assert_eq(submit_options_parse(SUBMIT_COMMAND, arguments, count, &options, &error), 0, "%s",
                 error.message);
    struct job *job = stage_make_job(id, &lanes[id % STAGE_LANES], JOB_READY);
    job->due_ms = options.has_delay ? NOW + options.delay_ms : 0;
    job->state = job->due_ms ? JOB_SCHEDULED : JOB_READY;
    job->retries = 3;
    cr_assert_eq(job_extras_add(job, &options, NOW, &error), 0, "%s", error.message);
    submit_options_free(&options);
    return job;
}

struct told told;

void hear(struct store_change *change)
{
    told = (struct told){.scheduled_ms = change->scheduled_ms, .unfinished = change->unfinished};
    for (struct job *job = change->woken; job; job = job->next) {
        told.woken++;
        told.last_woken = job->id;
    }
    for (struct ended_job *ended = change->ended; ended; ended = ended->next)
        told.ended++;
    store_change_discard(change);
}

uint64_t insert(uint64_t id, const char *text)
{
    struct job *job = make(id, text);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job, .now_ms = NOW};
    stage_change(&change);
    uint64_t existing = job->extras ? job->extras->existing_id : 0;
    cr_assert(change.applied || existing, "%s", job->extras->refusal.message);
    hear(&change);
    job_free(job);
    return existing ? existing : id;
}

void insert_refused(uint64_t id, const char *text, const char *code, const char *words)
{
    struct job *job = make(id, text);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job, .now_ms = NOW};
    bool refused;
    stage_begin();
    cr_assert_eq(store_check_insert(store, &change, &refused, NULL), 0);
    cr_expect(refused);
    cr_expect_str_eq(job->extras->refusal.code, code);
    stage_apply(&change);
    stage_commit();
    cr_expect_not(change.applied);
    cr_expect_str_eq(job->extras->refusal.code, code);
    cr_expect_not_null(strstr(job->extras->refusal.message, words), "%s",
                       job->extras->refusal.message);
    struct stored_job row;
    cr_expect_eq(store_read_job(store, id, stage_copy_row, &row, NULL), -ENOENT);
    job_free(job);
}

struct store_change finish_of(struct job *job, enum job_state state, const struct buffer *result,
                              uint64_t purge_ms)
{
    job->attempts = 1;
    return (struct store_change){.kind = CHANGE_FINISH, .job = job, .now_ms = NOW, .state = state,
                                 .attempt_spent = true, .purge_ms = purge_ms, .result = result};
}

void finish(uint64_t id, uint8_t flags, enum job_state state, const char *result,
            uint64_t purge_ms)
{
    struct job *job = stage_make_job(id, &lanes[id % STAGE_LANES], JOB_RUNNING);
    struct buffer value = {0};
    job->flags = flags;
    if (result)
        buffer_append_text(&value, result);
    struct store_change change = finish_of(job, state, &value, purge_ms);
    stage_change(&change);
    cr_assert(change.applied);
    hear(&change);
    buffer_free(&value);
    job_free(job);
}

void cancel(uint64_t id)
{
    struct store_change change = {.kind = CHANGE_CANCEL, .id = id, .now_ms = NOW};
    stage_change(&change);
    cr_assert(change.applied);
    hear(&change);
}

void reopen(void)
{
    stage_close();
    stage_open();
}

static char error_text[200];

static bool copy_error(void *context, const struct stored_job *row)
{
    (void)context;
    snprintf(error_text, sizeof error_text, "%s %s", row->error_code ? row->error_code : "",
             row->error_message ? row->error_message : "");
    return false;
}

const char *error_of(uint64_t id)
{
    cr_assert_eq(store_read_job(store, id, copy_error, NULL, NULL), 0);
    return error_text;
}


static char argument_text[100];

static bool copy_argument(void *context, const struct stored_job *row)
{
    (void)context;
    bool corrupt;
    struct job *job = job_from_payload(row->payload, row->payload_size, &corrupt);
    cr_assert_not_null(job);
    struct argument argument = job->arguments[1];
    snprintf(argument_text, sizeof argument_text, "%.*s", argument.null ? 6 : (int)argument.size,
             argument.null ? "(null)" : argument.data);
    job_free(job);
    return false;
}

const char *argument_of(uint64_t id)
{
    cr_assert_eq(store_read_job(store, id, copy_argument, NULL, NULL), 0);
    return argument_text;
}
