/* company.h - jobs that execute at the same time on the target of delivery.h. */
#ifndef SUPPORT_COMPANY_H
#define SUPPORT_COMPANY_H

#include "support/delivery.h"

#define COMPANY_MAX 300

struct company_job {
    uint64_t id;
    const char *words[8];
    uint32_t word_count;
    bool alone;
    uint32_t coalesce;
    uint64_t timeout_ms;
    size_t result_size_max;
    struct aw_task *task;
    struct outcome outcome;
};

extern struct company_job company[COMPANY_MAX];
extern int company_count;

/* One more job; the parameter may be NULL. */
struct company_job *company_add(const char *sql, const char *parameter);

/* Jobs with the numbers from `from` on as their parameters. */
void company_add_numbers(const char *sql, int from, int count);

/* The text of a number below COMPANY_MAX. */
const char *company_digits(int value);

int company_run(void *job);
void company_start(void);
void company_await(void);
void company_forget(void);

/* Done with this RESP3 value, or failed with this code. */
void company_expect(int index, enum outcome_kind kind, const char *text);

#endif
