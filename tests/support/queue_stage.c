/* queue_stage.c - see queue_stage.h. */
#include "support/queue_stage.h"

#include "admin/log.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32

void queue_stage_make(struct queue_stage *stage)
{
    folder_make(stage->folder, sizeof stage->folder);
    log_set_level(LOG_LEVEL_ERROR);
}

void queue_stage_remove(struct queue_stage *stage)
{
    folder_remove(stage->folder);
}

void queue_stage_open(struct queue_stage *stage, const char *settings)
{
    char text[2000];
    int size = snprintf(text, sizeof text,
                        "[daemon]\nstate = %s\n[target local]\ntype = sqlite\npath = local.db\n%s",
                        stage->folder, settings);
    cr_assert_lt((size_t)size, sizeof text);
    struct aw_error error = {0};
    int result =
        config_parse("test.conf", text, (size_t)size, &stage->configuration, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    result = broker_open(&stage->configuration, &stage->broker, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    struct outcome outcome;
    static const char create[] = "CREATE TABLE IF NOT EXISTS effect (number INTEGER)";
    struct argument sql = {.data = create, .size = sizeof create - 1};
    result = broker_run(stage->broker, FORMAT_ROWS, (struct argument){.data = "local", .size = 5},
                        &sql, 1, &outcome, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    cr_assert_eq(outcome.kind, OUTCOME_DONE, "%s", outcome.message);
    buffer_free(&outcome.result);
}

void queue_stage_close(struct queue_stage *stage)
{
    broker_close(stage->broker);
    stage->broker = NULL;
    config_free(&stage->configuration);
}

static int run_body(void *argument)
{
    void (*body)(void) = (void (*)(void))argument;
    body();
    return 0;
}

void queue_stage_run(void (*body)(void))
{
    struct aw_error error = {0};
    int result = aw_run_with(NULL, run_body, (void *)body, &error);
    cr_assert_eq(result, 0, "%s", error.message);
}

struct pending {
    uint64_t *id; /* where it goes; NULL: `waiting` is told */
    struct waiting *waiting;
};

struct waiting {
    struct aw_event event;
    uint64_t id;
    struct aw_error error;
};

static void submitted(void *context, uint64_t id, const struct aw_error *error)
{
    struct pending *pending = context;
    if (pending->id) {
        cr_assert_null(error);
        *pending->id = id;
    } else {
        pending->waiting->id = id;
        if (error)
            pending->waiting->error = *error;
        aw_event_set(&pending->waiting->event);
    }
    free(pending);
}

static int submit(struct queue_stage *stage, const char *options, const char *sql,
                  struct pending *pending, struct aw_error *reterr)
{
    char words[500];
    snprintf(words, sizeof words, "%s", options);
    struct argument arguments[WORDS_MAX];
    uint32_t count = 0;
    char *rest;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = (struct argument){.data = word, .size = (uint32_t)strlen(word)};
    arguments[count++] = (struct argument){.data = sql, .size = (uint32_t)strlen(sql)};
    struct submit_options parsed;
    int result = submit_options_parse(SUBMIT_COMMAND, arguments, count, &parsed, reterr);
    cr_assert_eq(result, 0, "%s", reterr->message);
    result = broker_submit(stage->broker, &parsed, parsed.target, parsed.arguments,
                           parsed.argument_count, submitted, pending, reterr);
    submit_options_free(&parsed);
    return result;
}

static struct pending *make_pending(uint64_t *id, struct waiting *waiting)
{
    struct pending *pending = calloc(1, sizeof *pending);
    cr_assert_not_null(pending);
    pending->id = id;
    pending->waiting = waiting;
    return pending;
}

uint64_t queue_stage_try_submit(struct queue_stage *stage, const char *options, const char *sql,
                                struct aw_error *reterr)
{
    struct waiting waiting = {0};
    aw_event_init(&waiting.event);
    struct pending *pending = make_pending(NULL, &waiting);
    if (submit(stage, options, sql, pending, reterr) < 0) {
        free(pending);
        return 0;
    }
    cr_assert_eq(aw_event_wait(&waiting.event), 0);
    *reterr = waiting.error;
    return waiting.id;
}

uint64_t queue_stage_submit(struct queue_stage *stage, const char *options, const char *sql)
{
    struct aw_error error = {0};
    uint64_t id = queue_stage_try_submit(stage, options, sql, &error);
    cr_assert_neq(id, 0, "%s", error.message);
    return id;
}

void queue_stage_submit_later(struct queue_stage *stage, const char *options, const char *sql,
                              uint64_t *ret_id)
{
    struct aw_error error = {0};
    *ret_id = 0;
    int result = submit(stage, options, sql, make_pending(ret_id, NULL), &error);
    cr_assert_eq(result, 0, "%s", error.message);
}

void queue_stage_await(struct queue_stage *stage, uint64_t id, struct watch *ret_watch)
{
    struct aw_event event;
    aw_event_init(&event);
    *ret_watch = (struct watch){.id = id, .event = &event};
    cr_assert_eq(broker_watch(stage->broker, ret_watch, 1), 0);
    cr_assert(ret_watch->known, "no such job");
    if (!ret_watch->finished)
        cr_assert_eq(aw_event_wait(&event), 0);
    cr_assert(ret_watch->finished);
}

enum job_state queue_stage_end_of(struct queue_stage *stage, uint64_t id)
{
    struct watch watch;
    queue_stage_await(stage, id, &watch);
    broker_unwatch(stage->broker, &watch, 1);
    return watch.state;
}

int queue_stage_cancel(struct queue_stage *stage, uint64_t id)
{
    return broker_cancel(stage->broker, &id, 1);
}

const char *queue_stage_field(struct queue_stage *stage, uint64_t id, const char *field)
{
    static char value[600];
    struct buffer out = {0};
    int result = broker_describe(stage->broker, id, &out);
    if (result == -ENOENT) {
        buffer_free(&out);
        return NULL;
    }
    cr_assert_eq(result, 0);
    buffer_append(&out, "", 1);
    char name[64];
    snprintf(name, sizeof name, "$%zu\r\n%s\r\n", strlen(field), field);
    const char *at = strstr(out.data, name);
    cr_assert_not_null(at, "no field %s", field);
    at += strlen(name);
    if (*at == '$')
        at = strstr(at, "\r\n") + 2;
    else
        at++;
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    buffer_free(&out);
    return value;
}

int64_t queue_stage_number(struct queue_stage *stage, const char *sql)
{
    struct aw_error error = {0};
    struct outcome outcome;
    struct argument argument = {.data = sql, .size = (uint32_t)strlen(sql)};
    int result =
        broker_run(stage->broker, FORMAT_JSON, (struct argument){.data = "local", .size = 5},
                   &argument, 1, &outcome, &error);
    cr_assert_eq(result, 0, "%s", error.message);
    cr_assert_eq(outcome.kind, OUTCOME_DONE, "%s %s", outcome.code, outcome.message);
    buffer_append(&outcome.result, "", 1);
    const char *colon = strrchr(outcome.result.data, ':'); /* [{"count(*)":12}] */
    cr_assert_not_null(colon, "%s", outcome.result.data);
    int64_t number = strtoll(colon + 1, NULL, 10);
    buffer_free(&outcome.result);
    return number;
}

void queue_stage_wait_running(struct queue_stage *stage, uint64_t id)
{
    const struct job *job = job_table_find(&stage->broker->jobs, id);
    while (!job || job->state != JOB_RUNNING || !job->record || !job->record->in_scope) {
        cr_assert_eq(aw_sleep(1), 0);
        job = job_table_find(&stage->broker->jobs, id);
    }
}

void queue_stage_submit_many(struct queue_stage *stage, uint32_t count, bool with_priorities,
                             uint64_t *ids)
{
    char padding[1200];
    memset(padding, 'x', sizeof padding - 1);
    padding[sizeof padding - 1] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        char options[100];
        char sql[1400];
        uint32_t priority = with_priorities ? (uint32_t)random() % 5 : 7;
        snprintf(options, sizeof options, "PRIORITY %u local", priority);
        snprintf(sql, sizeof sql, "INSERT INTO effect VALUES (%u) -- %s", priority * 1000000 + i,
                 padding);
        queue_stage_submit_later(stage, options, sql, &ids[i]);
        if (i % 16 == 15)
            cr_assert_eq(aw_yield(), 0);
    }
    for (uint32_t i = 0; i < count; i++)
        while (ids[i] == 0)
            cr_assert_eq(aw_sleep(1), 0);
}
