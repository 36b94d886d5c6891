/* company.c - see company.h. */
#include "support/company.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct company_job company[COMPANY_MAX];
int company_count;

struct company_job *company_add(const char *sql, const char *parameter)
{
    cr_assert_lt(company_count, COMPANY_MAX);
    struct company_job *job = &company[company_count++];
    *job = (struct company_job){.id = (uint64_t)company_count, .words = {sql, parameter}};
    job->word_count = parameter ? 2 : 1;
    return job;
}

const char *company_digits(int value)
{
    static char texts[COMPANY_MAX][12];
    snprintf(texts[value], sizeof texts[value], "%d", value);
    return texts[value];
}

void company_add_numbers(const char *sql, int from, int count)
{
    for (int i = 0; i < count; i++) {
        company_add(sql, company_digits(from + i));
    }
}

int company_run(void *argument)
{
    struct company_job *job = argument;
    struct argument arguments[8];
    for (uint32_t i = 0; i < job->word_count; i++) {
        arguments[i] =
            (struct argument){job->words[i], (uint32_t)strlen(job->words[i]), false};
    }
    const struct execution execution = {
        .arguments = arguments,
        .argument_count = job->word_count,
        .job_id = job->id,
        .attempt = 1,
        .alone = job->alone,
        .coalesce = job->coalesce,
        .result_size_max = job->result_size_max ? job->result_size_max : 1u << 20};
    struct aw_scope scope;
    aw_scope_enter(&scope, job->timeout_ms ? aw_after_ms(job->timeout_ms) : AW_NEVER);
    delivery_target.type->execute(&delivery_target, &execution, &job->outcome);
    aw_scope_leave(&scope);
    return 0;
}

void company_start(void)
{
    for (int i = 0; i < company_count; i++) {
        cr_assert_eq(aw_spawn(&company[i].task, company_run, &company[i]), 0);
    }
}

void company_await(void)
{
    for (int i = 0; i < company_count; i++) {
        cr_assert_eq(aw_await(company[i].task), 0);
    }
}

void company_expect(int index, enum outcome_kind kind, const char *text)
{
    const struct outcome *outcome = &company[index].outcome;
    cr_expect_eq(outcome->kind, kind, "job %d: %d %s %s", index + 1, outcome->kind, outcome->code,
                 outcome->message);
    if (kind != OUTCOME_DONE) {
        cr_expect_str_eq(outcome->code, text, "job %d: %s", index + 1, outcome->message);
    } else {
        cr_expect(outcome->result.size == strlen(text) &&
                      memcmp(outcome->result.data, text, strlen(text)) == 0,
                  "job %d: %.*s", index + 1, (int)outcome->result.size, outcome->result.data);
    }
}

void company_forget(void)
{
    for (int i = 0; i < company_count; i++) {
        buffer_free(&company[i].outcome.result);
    }
    company_count = 0;
}
