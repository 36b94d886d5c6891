/* delivery.c - see delivery.h. */
#include "support/delivery.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

#define WORDS_MAX 24

struct target delivery_target;
struct outcome delivery_outcome;
int (*delivery_finished)(struct target *target, void *context, const uint64_t *ids, uint32_t count,
                         bool *ret_finished);

struct stage {
    const struct target_type *type;
    struct target_settings settings;
    void (*body)(void);
};

static void nothing(struct target *target, void *context)
{
    (void)target;
    (void)context;
}

static int play(void *argument)
{
    const struct stage *stage = argument;
    struct aw_group group;
    struct aw_error error = {0};
    aw_group_init(&group, AW_GROUP_COLLECT);
    delivery_target = (struct target){.type = stage->type,
                                      .settings = stage->settings,
                                      .group = &group,
                                      .up = true,
                                      .changed = nothing,
                                      .finished = delivery_finished};
    cr_assert_eq(stage->type->start(&delivery_target, &error), 0, "%s", error.message);
    stage->body();
    buffer_free(&delivery_outcome.result);
    aw_group_cancel(&group);
    int result = aw_group_wait(&group);
    stage->type->stop(&delivery_target);
    return result;
}

void delivery_run(const struct target_type *type, struct target_settings settings,
                  void (*body)(void))
{
    settings.name = "main";
    settings.store = settings.store ? settings.store : DELIVERY_STORE;
    settings.connections = settings.connections ? settings.connections : 2;
    settings.pipeline = settings.pipeline ? settings.pipeline : 16;
    settings.connect_timeout_ms = 30000;
    struct stage stage = {type, settings, body};
    cr_expect_eq(aw_run(play, &stage), 0);
}

static uint32_t collect(struct argument *arguments, va_list words)
{
    uint32_t count = 0;
    for (const char *word; (word = va_arg(words, const char *)) != NULL;) {
        cr_assert_lt(count, WORDS_MAX);
        arguments[count++] = (struct argument){word, (uint32_t)strlen(word), false};
    }
    return count;
}

static void run_words(uint64_t job_id, const struct argument *arguments, uint32_t count)
{
    const struct execution execution = {.arguments = arguments,
                                        .argument_count = count,
                                        .job_id = job_id,
                                        .attempt = 1,
                                        .result_size_max = 1u << 20};
    buffer_free(&delivery_outcome.result);
    delivery_outcome = (struct outcome){0};
    delivery_target.type->execute(&delivery_target, &execution, &delivery_outcome);
}

void delivery_execute(uint64_t job_id, ...)
{
    struct argument arguments[WORDS_MAX];
    va_list words;
    va_start(words, job_id);
    uint32_t count = collect(arguments, words);
    va_end(words);
    run_words(job_id, arguments, count);
}

int delivery_check(struct aw_error *reterr, ...)
{
    struct argument arguments[WORDS_MAX];
    va_list words;
    va_start(words, reterr);
    uint32_t count = collect(arguments, words);
    va_end(words);
    return delivery_target.type->check(&delivery_target, arguments, count, reterr);
}

void delivery_expect_result(uint64_t job_id, const char *text)
{
    const struct outcome *outcome = &delivery_outcome;
    cr_expect_eq(outcome->kind, OUTCOME_DONE, "job %u: %s %s", (unsigned)job_id, outcome->code,
                 outcome->message);
    cr_expect(outcome->result.size == strlen(text) &&
                  memcmp(outcome->result.data, text, strlen(text)) == 0,
              "job %u: got %.*s instead of %s", (unsigned)job_id, (int)outcome->result.size,
              outcome->result.data, text);
}

void delivery_expect_failure(enum outcome_kind kind, const char *code)
{
    const struct outcome *outcome = &delivery_outcome;
    cr_expect_eq(outcome->kind, kind, "%d: %s %s", outcome->kind, outcome->code, outcome->message);
    cr_expect_str_eq(outcome->code, code, "%s", outcome->message);
}

void delivery_expect(const char *sql, const char *text)
{
    struct argument argument = {sql, (uint32_t)strlen(sql), false};
    run_words(0, &argument, 1);
    delivery_expect_result(0, text);
}
