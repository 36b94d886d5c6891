/* test_store_bind.c - BIND and EXPIRE in the store, and what RETRY and DELETE mean for jobs with
 * KEY, SERIAL, AFTER and BIND. */
#include "support/graph_stage.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(store_bind, .init = stage_enter_folder, .fini = stage_leave_folder, .timeout = 120);

/* --- BIND ----------------------------------------------------------------------------- */

static void binding(void)
{
    stage_open();
    insert(1, "");
    insert(2, "");
    insert(3, "BIND 2 1 1 0");
    insert(4, "BIND 2 1 0 0 AFTER 2");
    insert(5, "BIND 2 1 9 0");
    insert(6, "AFTER 5");
    insert(7, "BIND 2 1 2 0");
    insert(8, "BIND 2 2 0 0 ONFAIL run");
    int64_t bytes_before = lanes[1].bytes;
    finish(1, 0, JOB_DONE, "*3\r\n:7\r\n$12\r\nhello, world\r\n_\r\n", 0);
    cr_expect_eq(told.woken, 2);
    cr_expect_eq(told.ended, 2);
    cr_expect_str_eq(argument_of(3), "hello, world");
    cr_expect_str_eq(argument_of(7), "(null)");
    cr_expect_str_eq(error_of(5), "BIND argument 2: row 9, column 0 of job 1's result: there is no "
                                  "such row");
    cr_expect_eq(stage_state_of(5), JOB_DEAD);
    cr_expect_eq(stage_state_of(6), JOB_CANCELLED);
    cr_expect_neq(lanes[1].bytes, bytes_before);
    reopen();
    finish(2, 0, JOB_DEAD, NULL, 500);
    cr_expect_eq(stage_state_of(4), JOB_CANCELLED);
    cr_expect_str_eq(error_of(8), "BIND argument 2: row 0, column 0 of job 2's result: it failed");
    stage_check_counts();
    stage_close();
}

Test(store_bind, values_are_handed_on_even_if_the_result_is_not_kept)
{
    stage_run(binding);
}

static void binding_done(void)
{
    stage_open();
    insert(1, "");
    insert(2, "");
    insert(3, "");
    finish(1, 0, JOB_DONE, "$3\r\nyes\r\n", 500);
    finish(2, 0, JOB_DEAD, NULL, 500);
    insert(4, "BIND 2 1 0 0");
    cr_expect_eq(told.last_woken, 4);
    cr_expect_str_eq(argument_of(4), "yes");
    insert(5, "BIND 2 1 0 0 AFTER 3");
    cr_expect_eq(stage_state_of(5), JOB_BLOCKED);
    insert_refused(6, "BIND 2 1 1 0", "ERR", "there is no such row");
    insert_refused(7, "BIND 2 2 0 0 ONFAIL run", "ERR", "has no result");
    insert_refused(8, "BIND 2 9 0 0", "NOJOB", "no job 9;");
    insert(9, "BIND 2 2 0 0");
    cr_expect_eq(stage_state_of(9), JOB_CANCELLED);
    insert(10, "BIND 2 1 0 0 DELAY 100");
    cr_expect_eq(stage_state_of(10), JOB_SCHEDULED);
    cr_expect_str_eq(argument_of(10), "yes");
    finish(3, 0, JOB_DONE, NULL, 500);
    cr_expect_eq(told.last_woken, 5);
    cr_expect_str_eq(argument_of(5), "yes");
    stage_check_counts();
    stage_close();
}

Test(store_bind, values_of_jobs_that_are_done_already)
{
    stage_run(binding_done);
}

/* --- EXPIRE --------------------------------------------------------------------------- */

static bool not_eight(void *context, uint64_t id)
{
    (void)context;
    return id != 8;
}

static void expiring(void)
{
    stage_open();
    insert(1, "");
    insert(2, "EXPIRE 100");
    insert(3, "EXPIRE 200 DELAY 1000");
    insert(4, "EXPIRE 100 AFTER 1");
    insert(5, "AFTER 4");
    insert(6, "EXPIRE 100 SERIAL s");
    insert(7, "SERIAL s");
    insert(8, "EXPIRE 100");
    insert(9, "EXPIRE 100");
    struct store_times times;
    cr_assert_eq(store_next_times(store, &times, NULL), 0);
    cr_expect_eq(times.expire_ms, NOW + 100);
    finish(9, JOB_HAS_EXPIRY, JOB_DONE, NULL, 500);
    store_on_expire(store, not_eight);
    struct store_change expire = {.kind = CHANGE_EXPIRE, .now_ms = NOW + 99, .limit = 100};
    stage_change(&expire);
    cr_expect_eq(expire.changed, 0);
    expire.now_ms = NOW + 100;
    stage_change(&expire);
    cr_expect_eq(expire.changed, 3);
    hear(&expire);
    cr_expect_eq(told.ended, 4);
    cr_expect_eq(told.last_woken, 7);
    cr_expect_eq(stage_state_of(2), JOB_DEAD);
    cr_expect_eq(stage_state_of(5), JOB_CANCELLED);
    cr_expect_eq(stage_state_of(8), JOB_READY, "it has been started");
    cr_expect_eq(stage_state_of(9), JOB_DONE);
    cr_expect_eq(strncmp(error_of(2), "EXPIRED ", 8), 0);
    cr_assert_eq(store_next_times(store, &times, NULL), 0);
    cr_expect_eq(times.expire_ms, NOW + 200);
    reopen();
    cr_assert_eq(store_next_times(store, &times, NULL), 0);
    cr_expect_eq(times.expire_ms, NOW + 200);
    finish(1, 0, JOB_DONE, NULL, 500);
    cr_expect_eq(told.woken, 0);
    stage_check_counts();
    stage_close();
}

Test(store_bind, jobs_expire_where_they_wait)
{
    stage_run(expiring);
}

static void expiry_after_a_start(void)
{
    stage_open();
    insert(1, "EXPIRE 100");
    struct job *jobs;
    bool end;
    cr_assert_eq(store_read_ready(store, &lanes[1], (struct lane_key){0}, 10, 1000000, &jobs, &end,
                                  NULL), 0);
    cr_assert_not_null(jobs);
    cr_expect_eq(jobs->expire_ms, NOW + 100);
    jobs->attempts = 1;
    jobs->due_ms = NOW + 50;
    struct store_change retry = {.kind = CHANGE_RETRY, .job = jobs, .attempt_spent = true};
    stage_change(&retry);
    cr_expect(retry.applied);
    job_free(jobs);
    struct store_change expire = {.kind = CHANGE_EXPIRE, .now_ms = NOW + 1000, .limit = 100};
    stage_change(&expire);
    cr_expect_eq(expire.changed, 0);
    cr_expect_eq(stage_state_of(1), JOB_SCHEDULED);
    stage_close();
}

Test(store_bind, what_has_been_started_does_not_expire)
{
    stage_run(expiry_after_a_start);
}

/* --- RETRY, DELETE -------------------------------------------------------------------- */

static bool steer(enum steer_action action, uint64_t id)
{
    static uint64_t position = 1000000;
    position++;
    bool changed = false;
    struct lane *waited = NULL;
    struct store_steering steering = {.action = action,
                                      .ids = &id,
                                      .positions = &position,
                                      .changed = &changed,
                                      .waited = &waited,
                                      .count = 1};
    struct store_change change = {.kind = CHANGE_STEER, .steering = &steering, .now_ms = NOW,
                                  .bytes_max = 1000000};
    stage_change(&change);
    hear(&change);
    return changed;
}

static void retrying(void)
{
    stage_open();
    insert(1, "KEY k");
    finish(1, JOB_HAS_KEY, JOB_DEAD, NULL, 500);
    insert(2, "KEY k");
    cr_expect_not(steer(STEER_RETRY, 1), "another live job has its key");
    finish(2, JOB_HAS_KEY, JOB_DONE, NULL, 500);
    cr_expect(steer(STEER_RETRY, 1));
    cr_expect_eq(told.last_woken, 1);
    cr_expect_eq(insert(3, "KEY k"), 1);

    insert(4, "SERIAL s EXPIRE 100");
    insert(5, "SERIAL s");
    finish(4, JOB_HAS_SERIAL | JOB_HAS_EXPIRY, JOB_DEAD, NULL, 500);
    cr_expect_eq(told.last_woken, 5);
    cr_expect(steer(STEER_RETRY, 4));
    cr_expect_eq(told.woken, 0);
    cr_expect_eq(stage_state_of(4), JOB_BLOCKED, "it goes to the end of the line");
    finish(5, JOB_HAS_SERIAL, JOB_DONE, NULL, 500);
    cr_expect_eq(told.last_woken, 4);
    struct store_change expire = {.kind = CHANGE_EXPIRE, .now_ms = NOW + 1000, .limit = 100};
    stage_change(&expire);
    cr_expect_eq(expire.changed, 0, "its time is not over again");
    stage_check_counts();
    stage_close();
}

Test(store_bind, retried_jobs_take_their_places_again)
{
    stage_run(retrying);
}

static void retrying_children(void)
{
    stage_open();
    insert(1, "");
    insert(2, "");
    insert(3, "AFTER 2 DELAY 1000");
    insert(4, "BIND 2 2 0 0");
    insert(5, "BIND 2 1 0 0 AFTER 2");
    insert(6, "BIND 2 1 0 0 AFTER 2 SERIAL s");
    insert(7, "SERIAL s");
    finish(1, 0, JOB_DONE, "$5\r\nvalue\r\n", 0);
    finish(2, 0, JOB_DEAD, NULL, 500);
    for (uint64_t id = 3; id <= 6; id++)
        cr_expect_eq(stage_state_of(id), JOB_CANCELLED);
    cr_expect(steer(STEER_RETRY, 3));
    cr_expect_eq(told.last_woken, 3, "those it was after have ended");
    cr_expect_not(steer(STEER_RETRY, 4), "its value can never be had");
    cr_expect(steer(STEER_RETRY, 5));
    cr_expect_eq(told.last_woken, 5);
    cr_expect_str_eq(argument_of(5), "value", "it was known, and is put in now");
    cr_expect(steer(STEER_RETRY, 6));
    cr_expect_eq(told.woken, 0);
    finish(7, JOB_HAS_SERIAL, JOB_DONE, NULL, 500);
    cr_expect_eq(told.last_woken, 6);
    cr_expect_str_eq(argument_of(6), "value");
    stage_check_counts();
    stage_close();
}

Test(store_bind, retried_children_run_with_the_values_they_have)
{
    stage_run(retrying_children);
}

static void deleting(void)
{
    stage_open();
    insert(1, "DELAY 1000 SERIAL s");
    insert(2, "AFTER 1");
    insert(3, "SERIAL s");
    insert(4, "AFTER 2 ONFAIL run");
    cr_expect(steer(STEER_DELETE, 1));
    cr_expect_eq(told.ended, 1);
    cr_expect_eq(told.woken, 2);
    cr_expect_eq(stage_state_of(2), JOB_CANCELLED);
    cr_expect_eq(stage_state_of(3), JOB_READY);
    cr_expect_eq(stage_state_of(4), JOB_READY);
    insert(5, "");
    insert(6, "AFTER 5");
    cr_expect(steer(STEER_DELETE, 6));
    finish(5, 0, JOB_DONE, NULL, 500);
    cr_expect_eq(told.woken + told.ended, 0);
    stage_check_counts();
    stage_close();
}

Test(store_bind, a_deleted_job_was_cancelled_for_those_behind_it)
{
    stage_run(deleting);
}
