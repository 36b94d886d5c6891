/* test_store.c - the SQLite store: what each change does to rows and counts, what is read, and
 * that ids are never given again. */
#include "queue/job_id.h"
#include "support/store_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(store, .init = stage_enter_folder, .fini = stage_leave_folder, .timeout = 120);

/* --- changes ------------------------------------------------------------------------ */

static void inserted_jobs_are_read_back(void)
{
    stage_open();
    stage_insert(1000, &lanes[0], JOB_READY);
    stage_insert(1001, &lanes[1], JOB_SCHEDULED);
    stage_close();
    stage_open();
    cr_expect_eq(stage_lanes_found, 2);
    struct stored_job row = stage_read_row(1001);
    cr_expect_eq(row.lane, &lanes[1]);
    cr_expect_eq(row.state, JOB_SCHEDULED);
    cr_expect_eq(row.due_ms, 6001);
    cr_expect_eq(row.priority, 10);
    cr_expect_eq(row.attempts, 0);
    cr_expect_eq(row.retries, 3);
    cr_expect_eq(row.timeout_ms, 11);
    cr_expect_eq(row.backoff_min_ms, 12);
    cr_expect_eq(row.backoff_max_ms, 13);
    cr_expect_eq(row.keep_ms, 14);
    cr_expect_eq(row.format, FORMAT_JSON);
    cr_expect_eq(row.started_ms, 0);
    cr_expect_eq(row.purge_ms, 0);
    struct job *jobs;
    bool end;
    cr_assert_eq(store_read_ready(store, &lanes[0], (struct lane_key){0}, 10, 1000000, &jobs, &end,
                                  NULL), 0);
    cr_assert_not_null(jobs);
    cr_expect(end);
    cr_expect_null(jobs->next);
    cr_expect_eq(jobs->argument_count, 2);
    cr_expect_eq(memcmp(jobs->arguments[1].data, "x\0y", 3), 0);
    cr_expect_eq(jobs->timeout_ms, 11);
    cr_expect_eq(jobs->format, FORMAT_JSON);
    job_free(jobs);
    cr_expect_eq(store_read_job(store, 7, stage_copy_row, &row, NULL), -ENOENT);
    stage_check_counts();
    stage_close();
}

Test(store, inserted_jobs_are_read_back)
{
    stage_run(inserted_jobs_are_read_back);
}

static void batches(void)
{
    stage_open();
    /* around the number of rows of one statement */
    static const size_t counts[] = {1, 15, 16, 17, 31, 32, 33, 100};
    uint64_t id = 1;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        stage_insert_batch(id, counts[i]);
        id += counts[i];
    }
    for (uint64_t i = 1; i < id; i++) {
        struct stored_job row = stage_read_row(i);
        cr_expect_eq(row.id, i);
        cr_expect_eq(row.state, JOB_READY);
        cr_expect_eq(row.priority, 10);
        cr_expect_eq(row.keep_ms, 14);
        cr_expect_gt(row.payload_size, 0);
    }
    /* changes behind insertions of the same batch see them */
    struct job *job = stage_make_job(id, &lanes[0], JOB_READY);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    struct store_change cancel = {.kind = CHANGE_CANCEL, .id = id, .now_ms = 1};
    stage_begin();
    stage_apply(&change);
    stage_apply(&cancel);
    stage_commit();
    cr_expect(cancel.applied);
    job_free(job);
    stage_check_counts();
    stage_close();
}

Test(store, batches_of_any_size_are_stored_whole)
{
    stage_run(batches);
}

static bool check_result(void *context, const struct stored_job *row)
{
    (void)context;
    cr_expect_eq(row->result_size, 5);
    cr_expect_eq(memcmp(row->result, "+OK\r\n", 5), 0);
    cr_expect_null(row->error_code);
    return false;
}

static bool check_error(void *context, const struct stored_job *row)
{
    (void)context;
    cr_expect_null(row->result);
    cr_expect_str_eq(row->error_code, "23505");
    cr_expect_str_eq(row->error_message, "duplicate key");
    return false;
}

static void finishing(void)
{
    stage_open();
    struct buffer result = {0};
    buffer_append_text(&result, "+OK\r\n");
    for (uint64_t id = 1; id <= 4; id++) {
        stage_insert(id, &lanes[0], JOB_READY);
        struct job *job = stage_make_job(id, &lanes[0], JOB_RUNNING);
        job->attempts = 1;
        job->started_ms = 77;
        struct store_change change = {
            .kind = CHANGE_FINISH, .job = job, .now_ms = 100, .attempt_spent = true,
            .state = id == 2 ? JOB_DEAD : JOB_DONE, .purge_ms = id == 3 ? 0 : 500,
            .result = id == 1 ? &result : NULL, .error_code = id == 2 ? "23505" : NULL,
            .error_message = id == 2 ? "duplicate key" : NULL};
        stage_change(&change);
        cr_expect(change.applied);
        /* and once more: it comes too late */
        change.state = JOB_DEAD;
        stage_change(&change);
        cr_expect_not(change.applied);
        job_free(job);
    }
    struct stored_job row = stage_read_row(1);
    cr_expect_eq(row.state, JOB_DONE);
    cr_expect_eq(row.attempts, 1);
    cr_expect_eq(row.started_ms, 77);
    cr_expect_eq(row.finished_ms, 100);
    cr_expect_eq(row.purge_ms, 500);
    cr_expect_eq(store_read_job(store, 1, check_result, NULL, NULL), 0);
    cr_expect_eq(stage_state_of(2), JOB_DEAD);
    cr_expect_eq(store_read_job(store, 2, check_error, NULL, NULL), 0);
    cr_expect_eq(store_read_job(store, 3, stage_copy_row, &row, NULL), -ENOENT);
    buffer_free(&result);
    stage_check_counts();
    cr_expect_eq(lanes[0].counts[JOB_DONE], 2);
    cr_expect_eq(lanes[0].counts[JOB_DEAD], 1);
    stage_close();
}

Test(store, finishing_keeps_results_and_happens_once)
{
    stage_run(finishing);
}

static struct store_change retry_of(struct job *job)
{
    job->attempts++;
    job->due_ms = 9000;
    return (struct store_change){.kind = CHANGE_RETRY, .job = job, .attempt_spent = true,
                                 .error_code = "40001", .error_message = "serialization"};
}

static void retrying(void)
{
    stage_open();
    stage_insert(1, &lanes[0], JOB_READY);
    struct job *job = stage_make_job(1, &lanes[0], JOB_RUNNING);
    struct store_change change = retry_of(job);
    stage_change(&change);
    cr_expect(change.applied);
    struct stored_job row = stage_read_row(1);
    cr_expect_eq(row.state, JOB_SCHEDULED);
    cr_expect_eq(row.due_ms, 9000);
    cr_expect_eq(row.attempts, 1);
    stage_check_counts();

    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = 9000, .limit = 10, .bytes_max = 1};
    stage_change(&wake);
    cr_expect_eq(wake.changed, 1);
    cr_assert_not_null(wake.woken);
    cr_expect_eq(wake.woken->attempts, 1);
    job_free(wake.woken);
    /* an outcome of the first attempt does not overwrite the second one's state */
    job->attempts = 0;
    change = retry_of(job);
    stage_change(&change);
    cr_expect_not(change.applied);
    struct store_change late = {.kind = CHANGE_FINISH, .job = job, .attempt_spent = true,
                                .state = JOB_DONE, .purge_ms = 1};
    stage_change(&late);
    cr_expect_not(late.applied);
    late.purge_ms = 0;
    stage_change(&late);
    cr_expect_not(late.applied);
    cr_expect_eq(stage_state_of(1), JOB_READY);
    job_free(job);
    stage_check_counts();
    stage_close();
}

Test(store, a_retry_waits_is_woken_and_ignores_late_outcomes)
{
    stage_run(retrying);
}

static void cancelling(void)
{
    stage_open();
    stage_insert(1, &lanes[0], JOB_READY);
    stage_insert(2, &lanes[1], JOB_SCHEDULED);
    for (uint64_t id = 1; id <= 3; id++) {
        struct store_change change = {.kind = CHANGE_CANCEL, .id = id, .now_ms = 200};
        stage_change(&change);
        cr_expect_eq(change.applied, id < 3);
        stage_change(&change);
        cr_expect_not(change.applied);
    }
    cr_expect_eq(stage_state_of(1), JOB_CANCELLED);
    struct stored_job row = stage_read_row(2);
    cr_expect_eq(row.state, JOB_CANCELLED);
    cr_expect_eq(row.finished_ms, 200);
    cr_expect_eq(row.purge_ms, 214);
    stage_check_counts();
    stage_close();
}

Test(store, cancelling_what_waits)
{
    stage_run(cancelling);
}

static void waking_and_purging(void)
{
    stage_open();
    for (uint64_t id = 1; id <= 10; id++)
        stage_insert(id, &lanes[id % 2], JOB_SCHEDULED); /* due at 5000 + id */
    struct store_times times;
    cr_assert_eq(store_next_times(store, &times, NULL), 0);
    cr_expect_eq(times.due_ms, 5001);
    cr_expect_eq(times.purge_ms, UINT64_MAX);
    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = 5008, .limit = 5,
                                .bytes_max = 1000000};
    static const uint32_t expected[] = {5, 3, 0};
    for (int i = 0; i < 3; i++) {
        stage_change(&wake);
        cr_expect_eq(wake.changed, expected[i]);
        uint32_t count = 0;
        while (wake.woken) {
            struct job *job = wake.woken;
            wake.woken = job->next;
            cr_expect_eq(job->state, JOB_READY);
            cr_expect_eq(stage_state_of(job->id), JOB_READY);
            job_free(job);
            count++;
        }
        cr_expect_eq(count, expected[i]);
    }
    for (uint64_t id = 1; id <= 10; id++) {
        struct store_change cancel = {.kind = CHANGE_CANCEL, .id = id, .now_ms = 100};
        stage_change(&cancel);
        cr_expect(cancel.applied);
    }
    cr_assert_eq(store_next_times(store, &times, NULL), 0);
    cr_expect_eq(times.due_ms, UINT64_MAX);
    cr_expect_eq(times.purge_ms, 114);
    struct store_change gone = {.kind = CHANGE_PURGE, .now_ms = 113, .limit = 6};
    stage_change(&gone);
    cr_expect_eq(gone.changed, 0);
    gone.now_ms = 114;
    stage_change(&gone);
    cr_expect_eq(gone.changed, 6);
    stage_check_counts();
    stage_change(&gone);
    cr_expect_eq(gone.changed, 4);
    stage_check_counts();
    stage_close();
}

Test(store, waking_and_purging_in_portions)
{
    stage_run(waking_and_purging);
}

static void waking_by_bytes(void)
{
    stage_open();
    for (uint64_t id = 1; id <= 5; id++)
        stage_insert(id, &lanes[0], JOB_SCHEDULED);
    struct job *job = stage_make_job(9, &lanes[0], JOB_READY);
    uint64_t size = job->payload_size;
    job_free(job);
    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = 9000, .limit = 100};
    const uint64_t bytes[] = {1, size + 1, 1000000};
    const uint32_t expected[] = {1, 2, 2};
    for (int i = 0; i < 3; i++) {
        wake.bytes_max = bytes[i];
        stage_change(&wake);
        cr_expect_eq(wake.changed, expected[i], "%d", i);
        while (wake.woken) {
            struct job *woken = wake.woken;
            wake.woken = woken->next;
            job_free(woken);
        }
    }
    stage_close();
}

Test(store, waking_brings_no_more_into_memory_than_asked_for)
{
    stage_run(waking_by_bytes);
}

/* --- reading ------------------------------------------------------------------------ */

static void windows(void)
{
    stage_open();
    for (uint64_t id = 1; id <= 30; id++) {
        struct job *job = stage_make_job(id, &lanes[id > 24], JOB_READY);
        job->priority = (uint32_t)(id % 3);
        struct store_change change = {.kind = CHANGE_INSERT, .job = job};
        stage_change(&change);
        job_free(job);
    }
    static const uint32_t limits[] = {1, 5, 8, 24, 100};
    for (int i = 0; i < 5; i++) {
        struct lane_key after = {0};
        uint32_t seen = 0;
        bool end = false;
        while (!end) {
            struct job *jobs;
            cr_assert_eq(store_read_ready(store, &lanes[0], after, limits[i], 1000000, &jobs, &end,
                                          NULL), 0);
            cr_assert(jobs || end);
            while (jobs) {
                struct job *next = jobs->next;
                struct lane_key key = lane_key_of(jobs);
                cr_assert(key.priority > after.priority ||
                          (key.priority == after.priority && key.id > after.id));
                after = key;
                seen++;
                job_free(jobs);
                jobs = next;
            }
        }
        cr_expect_eq(seen, 24);
    }
    struct job *jobs;
    bool end;
    cr_assert_eq(store_read_ready(store, &lanes[0], (struct lane_key){0}, 100, 1, &jobs, &end,
                                  NULL), 0);
    cr_assert_not_null(jobs);
    cr_expect_null(jobs->next, "about as many bytes as asked for, and at least one");
    cr_expect_not(end);
    job_free(jobs);
    stage_close();
}

Test(store, windows_come_in_order_and_portions)
{
    stage_run(windows);
}

struct scan {
    uint64_t last;
    uint32_t count;
    uint32_t limit;
    bool payloads;
};

static bool visit(void *context, const struct stored_job *row)
{
    struct scan *scan = context;
    cr_assert_gt(row->id, scan->last);
    cr_assert_eq(row->payload_size > 0, scan->payloads);
    scan->last = row->id;
    return ++scan->count < scan->limit;
}

static void scanning(void)
{
    stage_open();
    for (uint64_t id = 1; id <= 20; id++)
        stage_insert(id * 3, &lanes[0], id % 2 ? JOB_READY : JOB_SCHEDULED);
    struct scan all = {.limit = 100};
    cr_assert_eq(store_scan(store, 0, false, visit, &all, NULL), 0);
    cr_expect_eq(all.count, 20);
    struct scan some = {.limit = 4, .last = 10, .payloads = true};
    cr_assert_eq(store_scan(store, 10, true, visit, &some, NULL), 0);
    cr_expect_eq(some.count, 4);
    cr_expect_eq(some.last, 21);
    stage_close();
}

Test(store, scanning)
{
    stage_run(scanning);
}

/* --- ids and rolling back ----------------------------------------------------------- */

static void ceiling(void)
{
    stage_open();
    cr_expect_eq(store_id_ceiling(store), 0);
    struct job_id_generator ids;
    uint64_t last = 0;
    /* daemons that follow each other at once, with a clock that is set back meanwhile */
    static const uint64_t clocks[] = {1800000000000, 1800000000001, 1700000000000, 1800000000002};
    for (int i = 0; i < 4; i++) {
        job_id_open(&ids, 0, store_id_ceiling(store));
        for (int j = 0; j < 3; j++) {
            uint64_t id = job_id_next(&ids, clocks[i]);
            cr_assert_gt(id, last, "an id was given again");
            last = id;
            stage_insert(id, &lanes[0], JOB_READY);
            cr_expect_leq(id, store_id_ceiling(store));
        }
        stage_close();
        stage_open();
        cr_expect_leq(last, store_id_ceiling(store));
    }
    stage_close();
}

Test(store, ids_are_never_given_again_after_a_restart)
{
    stage_run(ceiling);
}

static void rolling_back(void)
{
    stage_open();
    stage_insert(1, &lanes[0], JOB_READY);
    uint64_t before = store_id_ceiling(store);
    stage_begin();
    struct job *job = stage_make_job(UINT64_C(1) << 50, &lanes[1], JOB_READY);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    stage_apply(&change);
    struct store_change cancel = {.kind = CHANGE_CANCEL, .id = 1};
    stage_apply(&cancel);
    cr_assert_eq(store_roll_back(store, NULL), 0);
    cr_expect_eq(stage_state_of(1), JOB_READY);
    cr_expect_eq(store_id_ceiling(store), before);
    cr_expect_eq(lanes[1].counts[JOB_READY], 0);
    cr_expect_not(lanes[1].stored);
    stage_change(&change);
    cr_expect(lanes[1].stored);
    cr_expect_gt(store_id_ceiling(store), before);
    job_free(job);
    stage_check_counts();
    stage_close();
}

Test(store, a_rolled_back_batch_leaves_nothing)
{
    stage_run(rolling_back);
}
