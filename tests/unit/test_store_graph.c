/* test_store_graph.c - KEY, SERIAL and AFTER in the store: each rule by itself, several in one
 * batch, rolled back, in portions, and over a new opening. */
#include "support/graph_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(store_graph, .init = stage_enter_folder, .fini = stage_leave_folder, .timeout = 120);

/* --- KEY ---------------------------------------------------------------------------- */

static void keys(void)
{
    stage_open();
    cr_expect_eq(insert(1, "KEY k"), 1);
    cr_expect_eq(insert(2, "KEY k"), 1);
    cr_expect_eq(insert(3, "KEY K"), 3);
    reopen();
    cr_expect_eq(insert(4, "KEY k"), 1);
    finish(1, JOB_HAS_KEY, JOB_DONE, NULL, 500);
    cr_expect_eq(insert(5, "KEY k"), 5);
    finish(5, JOB_HAS_KEY, JOB_DONE, NULL, 0);
    cr_expect_eq(insert(6, "KEY k"), 6);
    finish(6, JOB_HAS_KEY, JOB_DEAD, NULL, 500);
    cr_expect_eq(insert(7, "KEY k DELAY 1000"), 7);
    cancel(7);
    cr_expect_eq(insert(8, "KEY k"), 8);
    finish(8, JOB_HAS_KEY, JOB_UNCERTAIN, NULL, 500);
    cr_expect_eq(insert(9, "KEY k"), 9);
    stage_check_counts();
    stage_close();
}

Test(store_graph, a_key_has_one_live_job)
{
    stage_run(keys);
}

static void keys_in_a_batch(void)
{
    stage_open();
    struct job *jobs[4];
    struct store_change changes[4];
    stage_begin();
    for (uint64_t i = 0; i < 4; i++) {
        jobs[i] = make(i + 1, i % 2 ? "KEY b" : "KEY a");
        changes[i] = (struct store_change){.kind = CHANGE_INSERT, .job = jobs[i], .now_ms = NOW};
        stage_apply(&changes[i]);
    }
    cr_expect(changes[0].applied && changes[1].applied);
    cr_expect_eq(jobs[2]->extras->existing_id, 1);
    cr_expect_eq(jobs[3]->extras->existing_id, 2);
    /* the end of the first and a new one in the same batch */
    struct store_change end = {.kind = CHANGE_CANCEL, .id = 1, .now_ms = NOW};
    stage_apply(&end);
    stage_apply(&changes[2]);
    cr_expect(changes[2].applied);
    stage_commit();
    for (int i = 0; i < 4; i++)
        job_free(jobs[i]);
    cr_expect_eq(insert(9, "KEY a"), 3);
    stage_check_counts();
    stage_close();
}

Test(store_graph, keys_of_one_batch_see_each_other)
{
    stage_run(keys_in_a_batch);
}

/* --- PURGE -------------------------------------------------------------------------- */

static void dropping(void)
{
    stage_open();
    insert(2, "DELAY 1000"); /* an odd id is one of the other queue */
    insert(4, "AFTER 2");
    insert(6, "AFTER 4");
    insert(8, "AFTER 2 ONFAIL run");
    insert(9, "AFTER 2");
    insert(10, "AFTER 2");
    struct store_change drop = {.kind = CHANGE_DROP, .id = 2, .id_max = 9, .now_ms = NOW};
    stage_change(&drop);
    cr_expect(drop.applied);
    cr_expect_eq(drop.changed, 3);
    hear(&drop);
    cr_expect_eq(told.ended, 4, "who awaits them is told");
    for (uint64_t id = 2; id <= 6; id += 2) {
        struct stored_job row;
        struct aw_error error;
        cr_expect_eq(store_read_job(store, id, stage_copy_row, &row, &error), -ENOENT);
    }
    cr_expect_eq(stage_state_of(8), JOB_READY);
    cr_expect_eq(stage_state_of(9), JOB_CANCELLED);
    cr_expect_eq(stage_state_of(10), JOB_CANCELLED, "it came later");
    stage_check_counts();
    stage_close();
}

Test(store_graph, a_queue_is_purged_with_what_follows_in_it)
{
    stage_run(dropping);
}

static void listing(void)
{
    uint64_t found[8];
    struct lane_key keys[8];
    uint32_t count;
    struct aw_error error;
    stage_open();
    for (uint64_t id = 1; id <= 6; id++)
        stage_insert(id, &lanes[0], id <= 3 ? JOB_SCHEDULED : JOB_READY);
    insert(8, "AFTER 1");
    cr_assert_eq(store_list_held(store, &lanes[0], 9, 3, found, &count, &error), 0);
    cr_assert_eq(count, 3);
    cr_expect_eq(found[0], 8);
    cr_expect_eq(found[1], 3);
    cr_expect_eq(found[2], 2);
    cr_assert_eq(store_list_held(store, &lanes[0], 2, 3, found, &count, &error), 0);
    cr_assert_eq(count, 1);
    struct lane_key start = {0};
    cr_assert_eq(store_list_ready(store, &lanes[0], start, 5, 8, keys, &count, &error), 0);
    cr_assert_eq(count, 2, "none that came later");
    cr_expect(keys[0].id == 4 && keys[1].id == 5);
    cr_assert_eq(store_list_ready(store, &lanes[0], keys[0], 6, 8, keys, &count, &error), 0);
    cr_expect_eq(count, 2);
    stage_close();
}

Test(store_graph, what_a_purge_finds_has_an_end)
{
    stage_run(listing);
}

/* --- SERIAL --------------------------------------------------------------------------- */

static void serials(void)
{
    stage_open();
    for (uint64_t id = 1; id <= 6; id++)
        insert(id, id == 1 ? "SERIAL s DELAY 1000" : "SERIAL s");
    insert(7, "SERIAL t");
    cr_expect_eq(stage_state_of(1), JOB_SCHEDULED);
    cr_expect_eq(stage_state_of(2), JOB_BLOCKED);
    cr_expect_eq(stage_state_of(7), JOB_READY);
    cancel(3);
    cr_expect_eq(told.woken, 0, "one in the middle just disappears");
    cancel(1);
    cr_expect_eq(told.last_woken, 2);
    reopen();
    struct job *job = stage_make_job(2, &lanes[0], JOB_RUNNING);
    job->attempts = 1;
    job->due_ms = NOW + 50;
    job->flags = JOB_HAS_SERIAL;
    struct store_change retry = {.kind = CHANGE_RETRY, .job = job, .attempt_spent = true};
    stage_change(&retry);
    cr_expect(retry.applied);
    cr_expect_null(retry.woken);
    cr_expect_eq(stage_state_of(4), JOB_BLOCKED, "the head waits for its retry");
    job_free(job);
    cancel(2);
    cr_expect_eq(told.last_woken, 4);
    finish(4, JOB_HAS_SERIAL, JOB_DONE, NULL, 0);
    cr_expect_eq(told.last_woken, 5, "also when nothing is kept");
    finish(5, JOB_HAS_SERIAL, JOB_DEAD, NULL, 500);
    cr_expect_eq(told.last_woken, 6);
    finish(6, JOB_HAS_SERIAL, JOB_DONE, NULL, 500);
    cr_expect_eq(told.woken, 0);
    insert(8, "SERIAL s");
    cr_expect_eq(stage_state_of(8), JOB_READY);
    stage_check_counts();
    stage_close();
}

Test(store_graph, jobs_of_a_serial_key_go_one_after_the_other)
{
    stage_run(serials);
}

/* --- AFTER ---------------------------------------------------------------------------- */

static void after(void)
{
    stage_open();
    insert(1, "");
    insert(2, "");
    insert(3, "AFTER 1 2 1");
    insert(4, "AFTER 3 DELAY 5000");
    insert_refused(5, "AFTER 1 77", "NOJOB", "no job 77;");
    cr_expect_eq(stage_state_of(3), JOB_BLOCKED);
    finish(1, 0, JOB_DONE, NULL, 0);
    cr_expect_eq(told.woken, 0);
    reopen();
    finish(2, 0, JOB_DONE, NULL, 500);
    cr_expect_eq(told.last_woken, 3);
    finish(3, JOB_HAS_AFTER, JOB_DONE, NULL, 500);
    cr_expect_eq(told.scheduled_ms, NOW + 5000);
    cr_expect_eq(stage_state_of(4), JOB_SCHEDULED);
    insert(6, "AFTER 2 3");
    cr_expect_eq(stage_state_of(6), JOB_READY, "they are done already");
    stage_check_counts();
    stage_close();
}

Test(store_graph, a_job_waits_for_those_it_is_after)
{
    stage_run(after);
}

static void failing(void)
{
    stage_open();
    insert(1, "");
    insert(2, "AFTER 1 KEY k SERIAL s");
    insert(3, "AFTER 2");
    insert(4, "AFTER 2 ONFAIL run");
    insert(5, "SERIAL s");
    insert(6, "KEY z AFTER 1 5");
    finish(1, 0, JOB_UNCERTAIN, NULL, 500);
    cr_expect_eq(told.ended, 3);
    cr_expect_eq(told.woken, 2, "the one with ONFAIL run, and the next of the SERIAL");
    cr_expect_eq(stage_state_of(3), JOB_CANCELLED);
    cr_expect_eq(stage_state_of(4), JOB_READY);
    cr_expect_eq(stage_state_of(5), JOB_READY);
    cr_expect_str_eq(error_of(2), "DEPENDENCY job 1 is uncertain");
    cr_expect_str_eq(error_of(3), "DEPENDENCY job 2 is cancelled");
    cr_expect_eq(insert(7, "KEY k"), 7);
    insert(8, "AFTER 3 SERIAL s");
    cr_expect_eq(told.ended, 1);
    cr_expect_eq(stage_state_of(8), JOB_CANCELLED);
    insert(9, "AFTER 3 ONFAIL run");
    cr_expect_eq(stage_state_of(9), JOB_READY);
    finish(5, JOB_HAS_SERIAL, JOB_DONE, NULL, 500);
    cr_expect_eq(told.woken, 0, "those that have ended are not woken");
    stage_check_counts();
    stage_close();
}

Test(store_graph, a_failure_cancels_or_lets_run)
{
    stage_run(failing);
}

static void all_in_one_batch(void)
{
    stage_open();
    struct job *parent = make(1, "");
    struct job *child = make(2, "AFTER 1");
    struct job *running = stage_make_job(1, &lanes[1], JOB_RUNNING);
    struct store_change first = {.kind = CHANGE_INSERT, .job = parent, .now_ms = NOW};
    struct store_change second = {.kind = CHANGE_INSERT, .job = child, .now_ms = NOW};
    struct store_change third = finish_of(running, JOB_DONE, NULL, 500);
    struct store_change fourth = {.kind = CHANGE_CANCEL, .id = 2, .now_ms = NOW};
    for (int round = 0; round < 2; round++) {
        stage_begin();
        stage_apply(&first);
        stage_apply(&second);
        cr_expect_eq(child->state, JOB_BLOCKED);
        stage_apply(&third);
        cr_assert_not_null(third.woken);
        cr_expect_eq(third.woken->id, 2);
        stage_apply(&fourth);
        cr_expect(fourth.applied);
        store_change_discard(&third);
        if (round == 0)
            cr_assert_eq(store_roll_back(store, NULL), 0);
        else
            stage_commit();
    }
    cr_expect_eq(stage_state_of(1), JOB_DONE);
    cr_expect_eq(stage_state_of(2), JOB_CANCELLED);
    job_free(parent);
    job_free(child);
    job_free(running);
    stage_check_counts();
    stage_close();
}

Test(store_graph, one_batch_may_hold_the_whole_story_and_be_rolled_back)
{
    stage_run(all_in_one_batch);
}

/* --- many ----------------------------------------------------------------------------- */

static uint32_t release_all(uint32_t *ret_ended, uint32_t *ret_rounds)
{
    uint32_t woken = told.woken;
    uint32_t ended = told.ended;
    uint32_t rounds = 0;
    while (told.unfinished) {
        cr_assert_leq(told.woken + told.ended, 1100, "the work of a change is bounded");
        if (rounds++ % 5 == 0)
            reopen();
        struct store_times times;
        cr_assert_eq(store_next_times(store, &times, NULL), 0);
        cr_assert(times.unfinished, "also known after a restart");
        struct store_change change = {.kind = CHANGE_RELEASE, .now_ms = NOW};
        stage_change(&change);
        hear(&change);
        woken += told.woken;
        ended += told.ended;
    }
    struct store_times times;
    cr_assert_eq(store_next_times(store, &times, NULL), 0);
    cr_expect_not(times.unfinished);
    *ret_ended = ended;
    *ret_rounds = rounds;
    return woken;
}

static void insert_many(uint64_t first, uint32_t count, bool chain)
{
    struct job **jobs = calloc(count, sizeof(struct job *));
    stage_begin();
    for (uint32_t i = 0; i < count; i++) {
        char text[60];
        snprintf(text, sizeof text, "AFTER %llu", chain ? (unsigned long long)(first + i - 1) : 1);
        jobs[i] = make(first + i, text);
        struct store_change change = {.kind = CHANGE_INSERT, .job = jobs[i], .now_ms = NOW};
        stage_apply(&change);
        cr_assert(change.applied);
    }
    stage_commit();
    for (uint32_t i = 0; i < count; i++)
        job_free(jobs[i]);
    free(jobs);
}

static void fan_out(void)
{
    uint32_t ended;
    uint32_t rounds;
    stage_open();
    insert(1, "");
    insert_many(2, 10000, false);
    cr_expect_eq(lanes[0].counts[JOB_BLOCKED] + lanes[1].counts[JOB_BLOCKED], 10000);
    finish(1, 0, JOB_DONE, NULL, 0);
    cr_expect(told.unfinished);
    cr_expect_eq(release_all(&ended, &rounds), 10000);
    cr_expect_eq(ended, 0);
    cr_expect_gt(rounds, 5);
    cr_expect_eq(lanes[0].counts[JOB_READY] + lanes[1].counts[JOB_READY], 10000);
    stage_check_counts();
    stage_close();
}

Test(store_graph, ten_thousand_children_are_released_in_portions)
{
    stage_run(fan_out);
}

static void chain(void)
{
    uint32_t ended;
    uint32_t rounds;
    stage_open();
    insert(1, "");
    insert_many(2, 10000, true);
    cancel(1);
    cr_expect(told.unfinished);
    (void)release_all(&ended, &rounds);
    cr_expect_eq(ended, 10000);
    cr_expect_gt(rounds, 5);
    cr_expect_eq(lanes[0].counts[JOB_CANCELLED] + lanes[1].counts[JOB_CANCELLED], 10001);
    stage_check_counts();
    stage_close();
}

Test(store_graph, a_chain_of_ten_thousand_is_cancelled_in_portions)
{
    stage_run(chain);
}

static void bounded_memory(void)
{
    stage_open();
    /* many ends in one batch: what they release does not all come into memory at once */
    static struct store_change changes[1500];
    for (uint64_t i = 0; i < 1500; i++) {
        char text[60];
        snprintf(text, sizeof text, "SERIAL t%llu", (unsigned long long)i);
        insert(10000 + i, text);
        insert(20000 + i, text);
    }
    uint32_t woken = 0;
    uint32_t scheduled = 0;
    stage_begin();
    for (uint64_t i = 0; i < 1500; i++) {
        changes[i] = (struct store_change){.kind = CHANGE_CANCEL, .id = 10000 + i, .now_ms = NOW};
        stage_apply(&changes[i]);
        woken += changes[i].woken != NULL;
        scheduled += changes[i].scheduled_ms == NOW;
    }
    stage_commit();
    for (uint64_t i = 0; i < 1500; i++)
        store_change_discard(&changes[i]);
    cr_expect_eq(woken, 1024);
    cr_expect_eq(scheduled, 1500 - 1024);
    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = NOW, .limit = 1000,
                                .bytes_max = 1000000};
    stage_change(&wake);
    cr_expect_eq(wake.changed, 1500 - 1024, "the rest comes by its time");
    store_change_discard(&wake);
    stage_check_counts();
    stage_close();
}

Test(store_graph, what_is_released_comes_into_memory_in_portions)
{
    stage_run(bounded_memory);
}
