/* test_broker_cancel.c - CANCEL wherever a job is and whatever happens to it meanwhile, watches
 * that come and go, and random sequences of all of it against a model. */
#include "support/queue_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct queue_stage stage;
static uint64_t ids[1000];

static void make_stage(void)
{
    queue_stage_make(&stage);
}

static void remove_stage(void)
{
    queue_stage_remove(&stage);
}

TestSuite(broker_cancel, .init = make_stage, .fini = remove_stage, .timeout = 240);

#define BLOCKER "SELECT sleep(3600000)"

/* --- cancelling --------------------------------------------------------------------- */

static void cancelling(void)
{
    queue_stage_open(&stage, "[queue default]\nconcurrency = 1\n");
    stage.configuration.memory_max = 64 * 1024;
    uint64_t blocker = queue_stage_submit(&stage, "PRIORITY 0 local", BLOCKER);
    queue_stage_wait_running(&stage, blocker);
    queue_stage_submit_many(&stage, 300, false, ids);
    uint64_t scheduled = queue_stage_submit(&stage, "DELAY 3600000 local", "SELECT 1");
    cr_assert_not_null(job_table_find(&stage.broker->jobs, ids[0]));
    cr_assert_null(job_table_find(&stage.broker->jobs, ids[299]), "only on disk");
    /* waiting in memory, only on disk, scheduled, running; twice each, and one that is not there */
    uint64_t asked[] = {ids[0], ids[299], scheduled, blocker, 12345,
                        ids[0], ids[299], scheduled, blocker};
    cr_expect_eq(broker_cancel(stage.broker, asked, 9), 4);
    cr_expect_eq(broker_cancel(stage.broker, asked, 9), 0);
    for (int i = 0; i < 4; i++)
        cr_expect_str_eq(queue_stage_field(&stage, asked[i], "state"), "cancelled");
    for (int i = 1; i < 299; i++)
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), 298);
    cr_expect_eq(stage.broker->counters.cancelled, 4);
    queue_stage_close(&stage);
}

Test(broker_cancel, cancelling_wherever_the_job_is)
{
    queue_stage_run(cancelling);
}

static void cancel_window(void)
{
    queue_stage_open(&stage, "[queue default]\nconcurrency = 1\n");
    stage.configuration.memory_max = 64 * 1024;
    uint64_t blocker = queue_stage_submit(&stage, "PRIORITY 0 local", BLOCKER);
    queue_stage_wait_running(&stage, blocker);
    queue_stage_submit_many(&stage, 300, false, ids);
    struct lane *lane = job_table_find(&stage.broker->jobs, blocker)->lane;
    uint32_t in_memory = lane->count;
    cr_assert_lt(in_memory, 200);
    cr_expect_eq(broker_cancel(stage.broker, ids, in_memory), (int)in_memory);
    cr_assert_eq(broker_probe(stage.broker), 0);
    cr_assert_eq(broker_probe(stage.broker), 0);
    cr_expect_gt(lane->count, 0, "an emptied window is filled again at once");
    cr_expect_eq(queue_stage_cancel(&stage, blocker), 1);
    for (uint32_t i = in_memory; i < 300; i++)
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
    queue_stage_close(&stage);
}

Test(broker_cancel, cancelling_a_window_brings_the_next_one)
{
    queue_stage_run(cancel_window);
}

static void cancel_during_retry(void)
{
    queue_stage_open(&stage, "");
    uint64_t id = queue_stage_submit(&stage, "TIMEOUT 200 RETRY 3 BACKOFF 3600000 3600000 local",
                                     BLOCKER);
    queue_stage_wait_running(&stage, id);
    const struct job *job = job_table_find(&stage.broker->jobs, id);
    while (!job->record->change.done) {
        cr_assert_eq(aw_yield(), 0);
        cr_assert_eq(job, job_table_find(&stage.broker->jobs, id), "stored too quickly to see");
    }
    /* the retry is on its way to the disk */
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(60000));
    cr_expect_eq(queue_stage_cancel(&stage, id), 1);
    aw_scope_leave(&scope);
    cr_expect_str_eq(queue_stage_field(&stage, id, "state"), "cancelled");
    queue_stage_close(&stage);
}

Test(broker_cancel, cancelling_while_the_retry_is_being_stored)
{
    queue_stage_run(cancel_during_retry);
}

static void cancelled_in_store(void)
{
    queue_stage_open(&stage, "");
    uint64_t id = queue_stage_submit(&stage, "local", BLOCKER);
    queue_stage_wait_running(&stage, id);
    /* as if the job had come into memory after CANCEL had looked for it there */
    cr_assert_eq(cancel_stored(stage.broker, id), 0);
    const struct job *job = job_table_find(&stage.broker->jobs, id);
    while (job && !job->ended_in_store) {
        cr_assert_eq(aw_yield(), 0);
        job = job_table_find(&stage.broker->jobs, id);
    }
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(60000));
    cr_expect_eq(queue_stage_end_of(&stage, id), JOB_CANCELLED);
    aw_scope_leave(&scope);
    while (stage.broker->jobs.count > 0)
        cr_assert_eq(aw_sleep(1), 0);
    cr_expect_str_eq(queue_stage_field(&stage, id, "state"), "cancelled");
    cr_expect_eq(stage.broker->counters.cancelled, 1);
    queue_stage_close(&stage);
}

Test(broker_cancel, awaiting_a_job_that_was_cancelled_in_the_store_while_it_ran)
{
    queue_stage_run(cancelled_in_store);
}

static void unwatching(void)
{
    queue_stage_open(&stage, "");
    uint64_t id = queue_stage_submit(&stage, "local", "SELECT sleep(100)");
    struct aw_event event;
    aw_event_init(&event);
    struct watch watches[5];
    for (int i = 0; i < 5; i++)
        watches[i] = (struct watch){.id = i == 4 ? 99 : id, .event = &event};
    cr_assert_eq(broker_watch(stage.broker, watches, 5), 0);
    cr_expect_not(watches[4].known);
    broker_unwatch(stage.broker, &watches[1], 1);
    cr_assert_eq(aw_event_wait(&event), 0);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(watches[i].finished, i != 1);
    broker_unwatch(stage.broker, &watches[2], 3);
    broker_unwatch(stage.broker, &watches[0], 1);
    queue_stage_close(&stage);
}

Test(broker_cancel, watches_come_and_go)
{
    queue_stage_run(unwatching);
}

/* --- random sequences --------------------------------------------------------------- */

enum kind { GOOD, WRONG, SLOW, DELAYED, KINDS };

static const char *const options_of[KINDS] = {"PRIORITY 5 local", "local",
                                              "TIMEOUT 5 RETRY 1 BACKOFF 1 2 local",
                                              "DELAY 30 local"};

#define RANDOM_JOBS 600u

struct model {
    enum kind kind;
    bool cancelled; /* CANCEL said so */
};

static struct model models[RANDOM_JOBS];

static void submit_random(uint32_t i)
{
    models[i].kind = (enum kind)(random() % KINDS);
    char sql[100];
    snprintf(sql, sizeof sql,
             models[i].kind == SLOW    ? "SELECT sleep(3600000), %u"
             : models[i].kind == WRONG ? "INSERT INTO no_such_table VALUES (%u)"
                                       : "INSERT INTO effect VALUES (%u)",
             i);
    ids[i] = queue_stage_submit(&stage, options_of[models[i].kind], sql);
}

static void check_random(uint32_t i)
{
    enum job_state state = queue_stage_end_of(&stage, ids[i]);
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM effect WHERE number = %u", i);
    int64_t effects = queue_stage_number(&stage, sql);
    bool dead = models[i].kind == WRONG || models[i].kind == SLOW;
    if (models[i].cancelled)
        cr_expect_eq(state, JOB_CANCELLED);
    else
        cr_expect_eq(state, dead ? JOB_DEAD : JOB_DONE, "job %u of kind %d is %s", i,
                     (int)models[i].kind, job_state_name(state));
    cr_expect_eq(effects, state == JOB_DONE ? 1 : 0, "job %u is %s and took effect %d times", i,
                 job_state_name(state), (int)effects);
}

static void random_sequences(void)
{
    srandom(11);
    queue_stage_open(&stage, "[queue default]\nconcurrency = 3\n");
    stage.configuration.memory_max = 8 * 1024;
    for (uint32_t i = 0; i < RANDOM_JOBS; i++) {
        submit_random(i);
        if (random() % 3 == 0) {
            uint32_t which = (uint32_t)random() % (i + 1);
            int cancelled = queue_stage_cancel(&stage, ids[which]);
            cr_assert(cancelled == 0 || (cancelled == 1 && !models[which].cancelled));
            models[which].cancelled = models[which].cancelled || cancelled == 1;
        }
        if (i == RANDOM_JOBS / 2) {
            queue_stage_close(&stage);
            queue_stage_open(&stage, "[queue default]\nconcurrency = 3\n");
            stage.configuration.memory_max = 8 * 1024;
        }
    }
    for (uint32_t i = 0; i < RANDOM_JOBS; i++)
        check_random(i);
    struct buffer out = {0};
    broker_info(stage.broker, "jobs", &out);
    buffer_append(&out, "", 1);
    cr_expect_not_null(strstr(out.data, "jobs_ready:0\r\njobs_running:0\r\n"), "%s", out.data);
    cr_expect_not_null(strstr(out.data, "jobs_in_memory:0\r\nwindow_bytes:0\r\n"), "%s", out.data);
    buffer_free(&out);
    queue_stage_close(&stage);
}

Test(broker_cancel, random_sequences_agree_with_a_model)
{
    queue_stage_run(random_sequences);
}
