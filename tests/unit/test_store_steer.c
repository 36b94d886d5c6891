/* test_store_steer.c - CHANGE_STEER and CHANGE_INSERT_ALL in the store itself: states, counts, and
 * what a rolled back batch leaves. */
#include "support/store_stage.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(store_steer, .init = stage_enter_folder, .fini = stage_leave_folder, .timeout = 120);

static bool changed[16];
static uint64_t positions[16];
static struct lane *waited[16];

static struct store_change steer(struct store_steering *steering, enum steer_action action,
                                 const uint64_t *ids, uint32_t count)
{
    *steering = (struct store_steering){.action = action, .ids = ids, .positions = positions,
                                        .changed = changed, .waited = waited, .count = count};
    return (struct store_change){.kind = CHANGE_STEER, .steering = steering, .now_ms = 1000,
                                 .bytes_max = UINT64_MAX};
}

static void finish(uint64_t id, enum job_state state)
{
    struct job *job = stage_make_job(id, &lanes[0], JOB_READY);
    job->attempts = 1;
    struct store_change change = {.kind = CHANGE_FINISH, .job = job, .state = state, .now_ms = 500,
                                  .purge_ms = 100000, .attempt_spent = true,
                                  .error_code = state == JOB_DEAD ? "X" : NULL,
                                  .error_message = state == JOB_DEAD ? "broken" : NULL};
    stage_change(&change);
    cr_assert(change.applied);
    job_free(job);
}

static void expect_changed(uint32_t count, const bool *expected)
{
    for (uint32_t i = 0; i < count; i++)
        cr_expect_eq(changed[i], expected[i], "%u", i);
}

static void steering(void)
{
    static const enum job_state ends[] = {JOB_DONE, JOB_DEAD, JOB_CANCELLED, JOB_UNCERTAIN};
    static const uint64_t all[] = {1, 2, 3, 4, 5, 6, 99};
    struct store_steering asked;
    stage_open();
    for (uint64_t id = 1; id <= 4; id++) {
        stage_insert(id, &lanes[0], JOB_READY);
        finish(id, ends[id - 1]);
    }
    stage_insert(5, &lanes[0], JOB_SCHEDULED);
    stage_insert(6, &lanes[0], JOB_READY);
    struct store_change change = steer(&asked, STEER_RETRY, all, 7);
    stage_change(&change);
    expect_changed(7, (const bool[]){false, true, true, true, false, false, false});
    cr_expect_eq(change.changed, 3);
    uint32_t woken = 0;
    for (const struct job *job = change.woken; job; job = job->next) {
        cr_expect_eq(job->attempts, 0);
        woken++;
    }
    cr_expect_eq(woken, 3);
    store_change_discard(&change);
    change = steer(&asked, STEER_PROMOTE, all, 7);
    stage_change(&change);
    expect_changed(7, (const bool[]){false, false, false, false, true, false, false});
    store_change_discard(&change);
    stage_check_counts();
    change = steer(&asked, STEER_DELETE, all, 7);
    stage_change(&change);
    expect_changed(7, (const bool[]){true, true, true, true, true, true, false});
    store_change_discard(&change);
    stage_check_counts();
    cr_expect_eq(lanes[0].bytes, 0);
    stage_close();
}

Test(store_steer, each_state_and_the_counts)
{
    stage_run(steering);
}

/* What fills the bytes is left for the next change. */
static void by_bytes(void)
{
    static const uint64_t all[] = {1, 2, 3};
    struct store_steering asked;
    stage_open();
    for (uint64_t id = 1; id <= 3; id++)
        stage_insert(id, &lanes[0], JOB_SCHEDULED);
    struct store_change change = steer(&asked, STEER_PROMOTE, all, 3);
    change.bytes_max = 1;
    stage_change(&change);
    cr_expect_eq(asked.processed, 1);
    cr_expect_eq(change.changed, 1);
    cr_expect_eq(stage_state_of(2), JOB_SCHEDULED);
    store_change_discard(&change);
    stage_close();
}

Test(store_steer, no_more_bytes_than_asked_for)
{
    stage_run(by_bytes);
}

static void group(void)
{
    struct store_change members[3] = {0};
    struct store_group jobs = {.changes = members, .count = 3};
    struct store_change change = {.kind = CHANGE_INSERT_ALL, .group = &jobs, .now_ms = 1000};
    stage_open();
    for (uint32_t i = 0; i < 3; i++)
        members[i] = (struct store_change){
            .kind = CHANGE_INSERT, .now_ms = 1000,
            .job = stage_make_job(10 + i, &lanes[i % 2], i == 2 ? JOB_SCHEDULED : JOB_READY)};
    struct aw_error error;
    stage_begin();
    stage_apply(&change);
    cr_assert_eq(store_roll_back(store, &error), 0);
    cr_expect_eq(lanes[0].counts[JOB_READY], 0, "none of it");
    stage_change(&change);
    cr_expect(change.applied && jobs.refused == 0);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect(members[i].applied);
        job_free(members[i].job);
    }
    cr_expect_eq(stage_state_of(10), JOB_READY);
    cr_expect_eq(stage_state_of(12), JOB_SCHEDULED);
    stage_check_counts();
    stage_close();
}

Test(store_steer, a_group_of_jobs)
{
    stage_run(group);
}
