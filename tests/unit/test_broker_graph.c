/* test_broker_graph.c - KEY, SERIAL, AFTER and EXPIRE through the broker: what clients are told,
 * what memory holds, and what a new opening finds. */
#include "support/queue_stage.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct queue_stage stage;

static void make_stage(void)
{
    queue_stage_make(&stage);
}

static void remove_stage(void)
{
    queue_stage_remove(&stage);
}

TestSuite(broker_graph, .init = make_stage, .fini = remove_stage, .timeout = 240);

#define BLOCKER "SELECT sleep(3600000)"

static uint64_t submit(const char *sql, const char *format, ...) AW_PRINTF(2, 3);

static uint64_t submit(const char *sql, const char *format, ...)
{
    char options[400];
    va_list values;
    va_start(values, format);
    vsnprintf(options, sizeof options, format, values);
    va_end(values);
    return queue_stage_submit(&stage, options, sql);
}

#define ID(id) ((unsigned long long)(id))

static void keys(void)
{
    queue_stage_open(&stage, "");
    uint64_t first = submit(BLOCKER, "KEY k local");
    queue_stage_wait_running(&stage, first);
    cr_expect_eq(submit("SELECT 1", "KEY k local"), first);
    cr_expect_eq(stage.broker->counters.submitted, 1, "nothing was stored");
    cr_expect_eq(queue_stage_cancel(&stage, first), 1);
    uint64_t second = submit("SELECT 1", "KEY k DELAY 3600000 local");
    cr_expect_neq(second, first);
    queue_stage_close(&stage);
    queue_stage_open(&stage, "");
    cr_expect_eq(submit("SELECT 1", "KEY k local"), second);
    struct aw_error error = {0};
    cr_expect_eq(queue_stage_try_submit(&stage, "AFTER 7 local", "SELECT 1", &error), 0);
    cr_expect_str_eq(error.code, "NOJOB");
    cr_expect_eq(queue_stage_try_submit(&stage, "ONFAIL run local", "SELECT 1", &error), 0);
    cr_expect_not_null(strstr(error.message, "ONFAIL"));
    queue_stage_close(&stage);
}

Test(broker_graph, a_key_is_held_while_its_job_lives)
{
    queue_stage_run(keys);
}

static void cascade(void)
{
    queue_stage_open(&stage, "");
    uint64_t root = submit(BLOCKER, "local");
    queue_stage_wait_running(&stage, root);
    uint64_t child = submit("SELECT 1", "AFTER %llu local", ID(root));
    uint64_t grandchild = submit("SELECT 1", "AFTER %llu SERIAL s local", ID(child));
    uint64_t next = submit("SELECT 1", "SERIAL s local");
    cr_expect_null(job_table_find(&stage.broker->jobs, child), "blocked ones are only on disk");
    cr_expect_str_eq(queue_stage_field(&stage, child, "state"), "blocked");
    cr_expect_str_eq(queue_stage_field(&stage, next, "blockers"), "1");
    struct watch watch;
    cr_expect_eq(queue_stage_cancel(&stage, root), 1);
    queue_stage_await(&stage, grandchild, &watch);
    cr_expect_eq(watch.state, JOB_CANCELLED);
    cr_expect_str_eq(watch.code, "DEPENDENCY");
    broker_unwatch(stage.broker, &watch, 1);
    cr_expect_eq(queue_stage_end_of(&stage, next), JOB_DONE);
    cr_expect_eq(stage.broker->counters.cancelled, 3);
    queue_stage_close(&stage);
}

Test(broker_graph, who_waits_for_a_cancelled_descendant_is_told)
{
    queue_stage_run(cascade);
}

static void many(void)
{
    static uint64_t ids[3000];
    char options[100];
    queue_stage_open(&stage, "");
    uint64_t gate = submit("SELECT 1", "DELAY 3600000 local");
    snprintf(options, sizeof options, "AFTER %llu ONFAIL run local", ID(gate));
    for (int i = 0; i < 3000; i++) {
        queue_stage_submit_later(&stage, options, "INSERT INTO effect VALUES (1)", &ids[i]);
        if (i % 16 == 15)
            cr_assert_eq(aw_yield(), 0);
    }
    while (ids[2999] == 0)
        cr_assert_eq(aw_sleep(1), 0);
    cr_expect_eq(queue_stage_cancel(&stage, gate), 1);
    /* a crash would leave the same: the rest is known to the store alone */
    queue_stage_close(&stage);
    queue_stage_open(&stage, "");
    for (int i = 0; i < 3000; i++)
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
    cr_expect_geq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), 3000);
    queue_stage_close(&stage);
}

Test(broker_graph, a_release_goes_on_after_a_new_opening)
{
    queue_stage_run(many);
}

static void expiring(void)
{
    queue_stage_open(&stage, "[queue one]\nconcurrency = 1\n");
    uint64_t running = submit(BLOCKER, "QUEUE one EXPIRE 200 local");
    queue_stage_wait_running(&stage, running);
    uint64_t ready = submit("INSERT INTO effect VALUES (1)", "QUEUE one EXPIRE 200 local");
    uint64_t key = submit("SELECT 1", "QUEUE one KEY k EXPIRE 200 SERIAL s local");
    uint64_t next = submit("SELECT 1", "SERIAL s local");
    cr_expect_not_null(job_table_find(&stage.broker->jobs, ready), "it waits in memory");
    struct watch watch;
    queue_stage_await(&stage, ready, &watch);
    cr_expect_eq(watch.state, JOB_DEAD);
    cr_expect_str_eq(watch.code, "EXPIRED");
    broker_unwatch(stage.broker, &watch, 1);
    cr_expect_eq(queue_stage_end_of(&stage, key), JOB_DEAD);
    cr_expect_eq(queue_stage_end_of(&stage, next), JOB_DONE);
    cr_expect_null(job_table_find(&stage.broker->jobs, ready));
    cr_expect_str_eq(queue_stage_field(&stage, running, "state"), "running");
    cr_expect_str_eq(queue_stage_field(&stage, running, "expires_at"), "");
    cr_expect_eq(queue_stage_cancel(&stage, running), 1);
    cr_expect_eq(queue_stage_cancel(&stage, ready), 0);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), 0);
    cr_expect_eq(stage.broker->counters.dead, 2);
    queue_stage_close(&stage);
}

Test(broker_graph, jobs_that_wait_in_memory_expire)
{
    queue_stage_run(expiring);
}

static void never_started(void)
{
    queue_stage_open(&stage, "[queue one]\nconcurrency = 1\n");
    uint64_t running = submit(BLOCKER, "QUEUE one local");
    queue_stage_wait_running(&stage, running);
    uint64_t late = submit("INSERT INTO effect VALUES (1)", "QUEUE one EXPIRE 3600000 local");
    struct job *job = job_table_find(&stage.broker->jobs, late);
    cr_assert_not_null(job);
    job->expire_ms = 1; /* as if its time were over and the clock's task late */
    cr_expect_eq(queue_stage_cancel(&stage, running), 1);
    cr_expect_eq(queue_stage_end_of(&stage, late), JOB_DEAD);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), 0);
    queue_stage_close(&stage);
}

Test(broker_graph, dispatch_starts_no_expired_job)
{
    queue_stage_run(never_started);
}
