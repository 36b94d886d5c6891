/* test_store_gather.c - ends of jobs that are written together, and what goes along with a job. */
#include "support/graph_stage.h"

#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(store_gather, .init = stage_enter_folder, .fini = stage_leave_folder, .timeout = 120);

#define JOBS 300u

static struct store_change end_of(struct job *job)
{
    job->attempts = 1;
    return (struct store_change){.kind = CHANGE_FINISH, .job = job, .attempt_spent = true,
                                 .state = JOB_DONE, .now_ms = NOW};
}

/* How many rows the query counts in the file; closes and opens the store. */
static int64_t count_of(const char *sql)
{
    struct aw_sqlite *database;
    struct aw_error error = {0};
    sqlite3_stmt *statement;
    stage_close();
    cr_assert_eq(aw_sqlite_open(&database, "queue.db", NULL, &error), 0, "%s", error.message);
    cr_assert_eq(aw_sqlite_prepare(database, sql, strlen(sql), &statement, &error), 0, "%s",
                 error.message);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    aw_sqlite_done(database, statement);
    cr_assert_eq(aw_sqlite_close(database), 0);
    stage_open();
    return count;
}

static int64_t count_others(void)
{
    return count_of("SELECT (SELECT count(*) FROM extra) + (SELECT count(*) FROM bind) + "
                    "(SELECT count(*) FROM dependency) + (SELECT count(*) FROM attempt)");
}

/* Odd ids from the top down, then even ones from the bottom up: in no order. Of every seventh the
 * attempts are not those of the store, every eleventh is not there, every third is kept. */
static void any_order(void)
{
    struct job *jobs[JOBS];
    struct store_change *changes = calloc(JOBS, sizeof *changes);
    cr_assert_not_null(changes);
    stage_open();
    stage_insert_batch(1000, JOBS);
    uint32_t gone = 0;
    uint32_t kept = 0;
    stage_begin();
    for (uint32_t i = 0; i < JOBS; i++) {
        uint32_t offset = i < JOBS / 2 ? JOBS - 1 - 2 * i : 2 * (i - JOBS / 2);
        jobs[i] = stage_make_job((i % 11 == 0 ? 5000 : 1000) + offset, &lanes[0], JOB_RUNNING);
        changes[i] = end_of(jobs[i]);
        changes[i].attempt_spent = i % 7 != 0;
        changes[i].purge_ms = i % 3 == 0 ? NOW + i : 0;
        stage_apply(&changes[i]);
    }
    stage_commit();
    for (uint32_t i = 0; i < JOBS; i++) {
        cr_expect_eq(changes[i].applied, i % 11 != 0 && i % 7 != 0, "job %u", i);
        gone += changes[i].applied;
        kept += changes[i].applied && changes[i].purge_ms;
        if (changes[i].applied && changes[i].purge_ms)
            cr_expect_eq(stage_read_row(jobs[i]->id).purge_ms, NOW + i);
        job_free(jobs[i]);
    }
    cr_expect_eq(lanes[0].counts[JOB_READY], JOBS - gone);
    cr_expect_eq(lanes[0].counts[JOB_DONE], kept);
    cr_expect_gt(kept, 64);
    stage_check_counts();
    stage_close();
    free(changes);
}

Test(store_gather, ends_in_any_order_are_told_apart)
{
    stage_run(any_order);
}

/* Whatever else the batch does finds what came before it written. */
static void in_turn(void)
{
    stage_open();
    stage_insert_batch(1, 3);
    struct job *job = stage_make_job(1, &lanes[0], JOB_RUNNING);
    struct job *again = stage_make_job(1, &lanes[0], JOB_RUNNING);
    struct store_change end = end_of(job);
    struct store_change twice = end_of(again);
    struct store_change cancel = {.kind = CHANGE_CANCEL, .id = 1, .now_ms = NOW};
    struct store_change cancel_first = {.kind = CHANGE_CANCEL, .id = 2, .now_ms = NOW};
    struct job *late = stage_make_job(2, &lanes[0], JOB_RUNNING);
    struct store_change too_late = end_of(late);
    stage_begin();
    stage_apply(&end);
    stage_apply(&twice);
    stage_apply(&cancel);
    stage_apply(&cancel_first);
    stage_apply(&too_late);
    stage_commit();
    cr_expect(end.applied != twice.applied, "it ended once");
    cr_expect_not(cancel.applied);
    cr_expect(cancel_first.applied);
    cr_expect_not(too_late.applied);
    cr_expect_eq(stage_state_of(2), JOB_CANCELLED);
    stage_check_counts();
    cr_expect_eq(lanes[0].counts[JOB_READY], 1);
    /* nothing of a batch that is taken back is left for the next one */
    struct job *third = stage_make_job(3, &lanes[0], JOB_RUNNING);
    struct store_change taken_back = end_of(third);
    stage_begin();
    stage_apply(&taken_back);
    cr_assert_eq(store_roll_back(store, NULL), 0);
    stage_insert(9, &lanes[0], JOB_READY);
    cr_expect_eq(stage_state_of(3), JOB_READY);
    job_free(job);
    job_free(again);
    job_free(late);
    job_free(third);
    stage_check_counts();
    stage_close();
}

Test(store_gather, a_batch_in_turn)
{
    stage_run(in_turn);
}

/* A job that failed once and then is done. */
static void fail_once(uint64_t id)
{
    stage_insert(id, &lanes[0], JOB_READY);
    struct job *job = stage_make_job(id, &lanes[0], JOB_RUNNING);
    job->attempts = 1;
    job->due_ms = NOW;
    struct store_change retry = {.kind = CHANGE_RETRY, .job = job, .attempt_spent = true,
                                 .error_code = "53300", .error_message = "too many clients"};
    stage_change(&retry);
    cr_assert(retry.applied);
    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = NOW, .limit = 1, .bytes_max = 1};
    stage_change(&wake);
    cr_assert_eq(wake.changed, 1);
    job_free(wake.woken);
    job_free(job);
}

static void end_failed(uint64_t id, enum job_state state, uint64_t purge_ms)
{
    struct job *job = stage_make_job(id, &lanes[0], JOB_RUNNING);
    struct store_change end = end_of(job);
    job->attempts = 2;
    end.state = state;
    end.purge_ms = purge_ms;
    stage_change(&end);
    cr_assert(end.applied);
    job_free(job);
}

static void going_along(void)
{
    stage_open();
    fail_once(1);
    cr_expect_eq(count_others(), 1);
    end_failed(1, JOB_DONE, 0);
    cr_expect_eq(count_others(), 0, "its history went with it");

    fail_once(2);
    end_failed(2, JOB_DONE, NOW);
    cr_assert_eq(insert(3, "KEY k"), 3);
    finish(3, JOB_HAS_KEY, JOB_DONE, NULL, NOW);
    stage_insert(4, &lanes[0], JOB_READY);
    struct job *job = stage_make_job(4, &lanes[0], JOB_RUNNING);
    struct store_change plain = end_of(job);
    plain.purge_ms = NOW;
    stage_change(&plain);
    job_free(job);
    cr_expect_eq(count_others(), 2);
    struct store_change purge = {.kind = CHANGE_PURGE, .now_ms = NOW, .limit = 10};
    stage_change(&purge);
    cr_expect_eq(purge.changed, 3);
    cr_expect_eq(count_others(), 0, "purged");

    cr_assert_eq(insert(5, "KEY k"), 5);
    finish(5, JOB_HAS_KEY, JOB_DONE, NULL, 0);
    cr_expect_eq(count_others(), 0, "not kept");

    cr_assert_eq(insert(6, "KEY k SERIAL s"), 6);
    cr_assert_eq(insert(7, "AFTER 6"), 7);
    struct store_change drop = {.kind = CHANGE_DROP, .id = 7, .id_max = 7, .now_ms = NOW};
    stage_change(&drop);
    hear(&drop);
    cr_expect_eq(count_others(), 1, "dropped");
    cancel(6);
    bool changed;
    struct lane *waited;
    struct store_steering steering = {.action = STEER_DELETE, .ids = (uint64_t[]){6}, .count = 1,
                                      .changed = &changed, .waited = &waited};
    struct store_change steer = {.kind = CHANGE_STEER, .steering = &steering, .now_ms = NOW,
                                 .bytes_max = 1};
    stage_change(&steer);
    cr_expect(changed);
    cr_expect_eq(count_others(), 0, "deleted");
    cr_expect_eq(count_of("SELECT count(*) FROM job"), 0);
    stage_check_counts();
    stage_close();
}

Test(store_gather, what_belongs_to_a_job_goes_with_it)
{
    stage_run(going_along);
}

static void no_trigger(void)
{
    stage_open();
    cr_expect_eq(count_of("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"), 0);
    stage_close();
}

Test(store_gather, no_trigger_runs_at_the_end_of_each_job)
{
    stage_run(no_trigger);
}
