/* test_broker.c - the whole queue on a real SQLite target: every job done once and in order,
 * whatever is evicted, cancelled, retried or restarted meanwhile. */
#include "support/queue_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
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

TestSuite(broker, .init = make_stage, .fini = remove_stage, .timeout = 240);

#define BLOCKER "SELECT sleep(3600000)"

/* --- ends --------------------------------------------------------------------------- */

static void ends(void)
{
    queue_stage_open(&stage, "");
    uint64_t good = queue_stage_submit(&stage, "local", "INSERT INTO effect VALUES (1)");
    struct watch watch;
    queue_stage_await(&stage, good, &watch);
    cr_expect_eq(watch.state, JOB_DONE);
    cr_expect_eq(watch.result.size, strlen("+INSERT 0 1\r\n"));
    broker_unwatch(stage.broker, &watch, 1);
    cr_expect_str_eq(queue_stage_field(&stage, good, "state"), "done");
    cr_expect_str_eq(queue_stage_field(&stage, good, "attempts"), "1");

    uint64_t wrong = queue_stage_submit(&stage, "RETRY 5 local", "SELECT no_such_column");
    queue_stage_await(&stage, wrong, &watch);
    cr_expect_eq(watch.state, JOB_DEAD);
    cr_expect_not_null(strstr(watch.message, "no_such_column"), "%s", watch.message);
    broker_unwatch(stage.broker, &watch, 1);
    cr_expect_str_eq(queue_stage_field(&stage, wrong, "attempts"), "1");

    uint64_t slow =
        queue_stage_submit(&stage, "TIMEOUT 20 RETRY 2 BACKOFF 5 10 local", BLOCKER);
    queue_stage_await(&stage, slow, &watch);
    cr_expect_eq(watch.state, JOB_DEAD);
    cr_expect_str_eq(watch.code, "TIMEOUT");
    broker_unwatch(stage.broker, &watch, 1);
    cr_expect_str_eq(queue_stage_field(&stage, slow, "attempts"), "3");
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), 1);
    cr_expect_eq(stage.broker->counters.retried, 2);
    cr_expect_eq(stage.broker->counters.dead, 2);
    queue_stage_close(&stage);
}

Test(broker, jobs_end_done_or_dead)
{
    queue_stage_run(ends);
}

static void keep_nothing(void)
{
    queue_stage_open(&stage, "[queue default]\nkeep_dead = 0\n");
    uint64_t id = queue_stage_submit(&stage, "DELAY 50 KEEP 0 local", "SELECT 7");
    struct watch watch;
    queue_stage_await(&stage, id, &watch);
    cr_expect_eq(watch.state, JOB_DONE);
    cr_expect_gt(watch.result.size, 0);
    broker_unwatch(stage.broker, &watch, 1);
    cr_expect_null(queue_stage_field(&stage, id, "state"), "kept although KEEP is 0");
    id = queue_stage_submit(&stage, "DELAY 3600000 KEEP 0 local", "SELECT 7");
    cr_expect_eq(queue_stage_cancel(&stage, id), 1);
    while (queue_stage_field(&stage, id, "state"))
        cr_assert_eq(aw_sleep(5), 0);
    id = queue_stage_submit(&stage, "KEEP 30 local", "SELECT 7");
    cr_expect_eq(queue_stage_end_of(&stage, id), JOB_DONE);
    while (queue_stage_field(&stage, id, "state"))
        cr_assert_eq(aw_sleep(5), 0);
    queue_stage_close(&stage);
}

Test(broker, results_are_kept_as_long_as_asked)
{
    queue_stage_run(keep_nothing);
}

static void delays(void)
{
    queue_stage_open(&stage, "");
    uint64_t begun_ms = aw_wall_ms();
    uint64_t late =
        queue_stage_submit(&stage, "DELAY 3600000 local", "INSERT INTO effect VALUES (2)");
    uint64_t past = queue_stage_submit(&stage, "AT 1000 local", "INSERT INTO effect VALUES (0)");
    cr_expect_eq(queue_stage_end_of(&stage, past), JOB_DONE);
    uint64_t early = queue_stage_submit(&stage, "DELAY 300 local", "INSERT INTO effect VALUES (1)");
    cr_expect_eq(queue_stage_end_of(&stage, early), JOB_DONE);
    cr_expect_geq(aw_wall_ms(), begun_ms + 300);
    cr_expect_str_eq(queue_stage_field(&stage, late, "state"), "scheduled");
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect WHERE number = rowid - 1"),
                 2);
    cr_expect_eq(queue_stage_cancel(&stage, late), 1);
    cr_expect_eq(stage.broker->jobs.count, 0);
    queue_stage_close(&stage);
}

Test(broker, delayed_jobs_run_when_their_time_has_come)
{
    queue_stage_run(delays);
}

static void refusals(void)
{
    queue_stage_open(&stage, "");
    struct aw_error error = {0};
    cr_expect_eq(queue_stage_try_submit(&stage, "nowhere", "SELECT 1", &error), 0);
    cr_expect_str_eq(error.code, "NOTARGET");
    cr_expect_str_eq(error.message, "no target 'nowhere'; known: local");
    /* too many lanes: nothing may stay behind */
    uint64_t first = queue_stage_submit(&stage, "local", "SELECT 1");
    cr_expect_eq(queue_stage_end_of(&stage, first), JOB_DONE);
    const struct job_queue *queues = stage.broker->queues;
    uint32_t lane_count = stage.broker->lane_count;
    stage.broker->lane_count = LANES_MAX;
    cr_expect_eq(queue_stage_try_submit(&stage, "QUEUE fresh local", "SELECT 1", &error), 0);
    cr_expect_str_eq(error.code, "FULL");
    cr_expect_eq(stage.broker->queues, queues, "a refused queue was kept");
    stage.broker->lane_count = lane_count;
    broker_drain(stage.broker, 0);
    cr_expect_eq(queue_stage_try_submit(&stage, "local", "SELECT 1", &error), 0);
    cr_expect_str_eq(error.code, "UNAVAILABLE");
    queue_stage_close(&stage);
}

Test(broker, refusals_say_why)
{
    queue_stage_run(refusals);
}

/* --- order and memory --------------------------------------------------------------- */

#define MANY 5000u

static uint64_t ids[MANY];

static void expect_bounded_memory(void)
{
    /* a refill may go over by the last job it read */
    cr_assert_leq(stage.broker->window_bytes, stage.configuration.memory_max + 4096);
    cr_assert_leq(stage.broker->jobs.count, LANE_WINDOW_MAX + 100);
}

/* The store has numbered the jobs' effects in the order in which they ran. */
static void expect_order(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), count);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(DISTINCT number) FROM effect"), count);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect a JOIN effect b ON "
                                            "b.rowid = a.rowid + 1 WHERE b.number < a.number"),
                 0, "out of order");
    cr_expect_eq(stage.broker->jobs.count, 0);
    cr_expect_eq(stage.broker->window_bytes, 0);
}

static void order(void)
{
    srandom(3);
    queue_stage_open(&stage, "[queue default]\nconcurrency = 1\n");
    stage.configuration.memory_max = 256 * 1024; /* some 180 of 5,000 jobs */
    uint64_t blocker = queue_stage_submit(&stage, "PRIORITY 0 local", BLOCKER);
    queue_stage_wait_running(&stage, blocker);
    queue_stage_submit_many(&stage, MANY, true, ids);
    expect_bounded_memory();
    cr_expect_eq(queue_stage_cancel(&stage, blocker), 1);
    for (uint32_t i = 0; i < MANY; i++) {
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
        expect_bounded_memory();
    }
    expect_order(MANY);
    queue_stage_close(&stage);
}

Test(broker, a_backlog_larger_than_memory_is_done_once_and_in_order)
{
    queue_stage_run(order);
}

static void submit_some(uint32_t first, uint32_t count, unsigned priority, uint32_t number)
{
    for (uint32_t i = first; i < first + count; i++) {
        char options[96];
        snprintf(options, sizeof options, "PRIORITY %u local", priority);
        char sql[64];
        snprintf(sql, sizeof sql, "INSERT INTO effect VALUES (%u)", number++);
        ids[i] = queue_stage_submit(&stage, options, sql);
    }
}

/* A window grows beyond its share while the jobs come in order; one into its midst makes it small.
 */
static void burst(void)
{
    enum { HALF = 1500 };
    queue_stage_open(&stage, "[queue default]\nconcurrency = 1\n");
    uint64_t blocker = queue_stage_submit(&stage, "PRIORITY 0 local", BLOCKER);
    queue_stage_wait_running(&stage, blocker);
    submit_some(0, HALF, 10, 100);
    submit_some(HALF, HALF, 20, 100 + HALF + 1);
    cr_expect_eq(stage.broker->jobs.count, 1 + 2 * HALF, "some are only on disk");
    submit_some(2 * HALF, 1, 15, 100 + HALF);
    cr_expect_eq(stage.broker->jobs.count, 1 + LANE_WINDOW_MAX, "it is still large");
    submit_some(2 * HALF + 1, 1, 5, 1);
    cr_expect_eq(queue_stage_cancel(&stage, blocker), 1);
    expect_order(2 * HALF + 2);
    queue_stage_close(&stage);
}

Test(broker, a_burst_in_order_stays_in_memory)
{
    queue_stage_run(burst);
}

/* However much memory there is. */
static void long_burst(void)
{
    enum { COUNT = LANE_BURST_MAX + 100 };
    static uint64_t many[COUNT];
    queue_stage_open(&stage, "[queue default]\nconcurrency = 1\n");
    stage.configuration.memory_max = UINT64_C(1) << 40;
    uint64_t blocker = queue_stage_submit(&stage, "PRIORITY 0 local", BLOCKER);
    queue_stage_wait_running(&stage, blocker);
    for (uint32_t i = 0; i < COUNT; i++) {
        queue_stage_submit_later(&stage, "PRIORITY 1 local", "SELECT 1", &many[i]);
        if (i % 256 == 255)
            cr_assert_eq(aw_yield(), 0);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        while (many[i] == 0)
            cr_assert_eq(aw_sleep(1), 0);
    cr_expect_eq(stage.broker->jobs.count, 1 + LANE_BURST_MAX);
    queue_stage_close(&stage);
}

Test(broker, a_burst_has_a_limit)
{
    queue_stage_run(long_burst);
}

static void many_lanes(void)
{
    queue_stage_open(&stage, "");
    stage.configuration.memory_max = 64 * 1024;
    enum { QUEUES = 20, EACH = 40 };
    uint64_t blockers[64];
    for (int i = 0; i < 64; i++)
        blockers[i] = queue_stage_submit(&stage, "PRIORITY 0 QUEUE zero local", BLOCKER);
    char sql[4100];
    memset(sql, 'x', sizeof sql);
    sql[sizeof sql - 1] = '\0';
    memcpy(sql, "INSERT INTO effect VALUES (1) -- ", 33);
    for (uint32_t i = 0; i < QUEUES * EACH; i++) {
        char options[64];
        snprintf(options, sizeof options, "QUEUE q%u local", i % QUEUES);
        ids[i] = queue_stage_submit(&stage, options, sql);
        /* a lane always keeps one */
        cr_assert_leq(stage.broker->window_bytes, 64 * 1024 + QUEUES * sizeof sql * 2);
    }
    for (int i = 0; i < 64; i++)
        cr_expect_eq(queue_stage_cancel(&stage, blockers[i]), 1);
    for (uint32_t i = 0; i < QUEUES * EACH; i++) {
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
        cr_assert_leq(stage.broker->window_bytes, 64 * 1024 + QUEUES * sizeof sql * 2);
    }
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), QUEUES * EACH);
    queue_stage_close(&stage);
}

Test(broker, refills_of_many_queues_keep_to_the_memory)
{
    queue_stage_run(many_lanes);
}

/* --- restarts ----------------------------------------------------------------------- */

static void restarts(void)
{
    srandom(4);
    queue_stage_open(&stage, "");
    queue_stage_submit_many(&stage, 400, true, ids);
    for (int round = 0; round < 4; round++) {
        cr_assert_eq(aw_sleep(20 + (uint64_t)random() % 40), 0);
        queue_stage_close(&stage);
        queue_stage_open(&stage, "");
    }
    for (uint32_t i = 0; i < 400; i++)
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), 400);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(DISTINCT number) FROM effect"), 400);
    uint64_t last = ids[399];
    cr_expect_gt(queue_stage_submit(&stage, "local", "SELECT 1"), last);
    queue_stage_close(&stage);
}

Test(broker, restarts_in_the_middle_lose_and_repeat_nothing)
{
    queue_stage_run(restarts);
}

static void draining(void)
{
    queue_stage_open(&stage, "");
    uint64_t quick = queue_stage_submit(&stage, "local", "SELECT sleep(2000)");
    queue_stage_wait_running(&stage, quick);
    struct aw_event event;
    aw_event_init(&event);
    struct watch watch = {.id = quick, .event = &event};
    cr_assert_eq(broker_watch(stage.broker, &watch, 1), 0);
    cr_expect_not(watch.finished);
    broker_drain(stage.broker, aw_after_ms(60000));
    cr_expect(watch.finished, "what has finished is told before the drain ends");
    cr_expect_eq(watch.state, JOB_DONE);
    broker_unwatch(stage.broker, &watch, 1);
    queue_stage_close(&stage);

    queue_stage_open(&stage, "");
    uint64_t slow = queue_stage_submit(&stage, "local", BLOCKER);
    queue_stage_wait_running(&stage, slow);
    broker_drain(stage.broker, aw_after_ms(20));
    cr_expect_str_eq(queue_stage_field(&stage, slow, "state"), "ready");
    queue_stage_close(&stage);
    queue_stage_open(&stage, "");
    cr_expect_str_eq(queue_stage_field(&stage, slow, "attempts"), "0");
    queue_stage_wait_running(&stage, slow);
    cr_expect_str_eq(queue_stage_field(&stage, slow, "state"), "running");
    cr_expect_eq(queue_stage_cancel(&stage, slow), 1);
    queue_stage_close(&stage);
}

Test(broker, draining_finishes_or_returns_what_runs)
{
    queue_stage_run(draining);
}

static void lost_target(void)
{
    queue_stage_open(&stage, "[target old]\ntype = sqlite\npath = old.db\n");
    uint64_t scheduled = queue_stage_submit(&stage, "DELAY 1500 old", "SELECT 1");
    uint64_t other = queue_stage_submit(&stage, "DELAY 3600000 old", "SELECT 1");
    queue_stage_close(&stage);
    queue_stage_open(&stage, "");
    while (strcmp(queue_stage_field(&stage, scheduled, "state"), "scheduled") == 0)
        cr_assert_eq(aw_sleep(20), 0);
    cr_expect_str_eq(queue_stage_field(&stage, scheduled, "state"), "ready");
    cr_expect_str_eq(queue_stage_field(&stage, scheduled, "target"), "old");
    cr_expect_eq(stage.broker->jobs.count, 0, "jobs nobody can run take memory");
    cr_expect_eq(queue_stage_cancel(&stage, scheduled), 1);
    queue_stage_close(&stage);
    queue_stage_open(&stage, "[target old]\ntype = sqlite\npath = old.db\n");
    cr_expect_eq(queue_stage_cancel(&stage, other), 1);
    queue_stage_close(&stage);
}

Test(broker, jobs_of_a_target_that_is_no_longer_configured_stay_on_disk)
{
    queue_stage_run(lost_target);
}

/* --- looking ------------------------------------------------------------------------ */

static uint32_t list(const struct job_filter *filter, uint64_t *ret_cursor)
{
    struct buffer out = {0};
    cr_assert_eq(broker_list(stage.broker, filter, &out), 0);
    buffer_append(&out, "", 1);
    uint32_t count = 0;
    for (const char *at = out.data; (at = strstr(at, "$2\r\nid\r\n")); at++)
        count++;
    const char *cursor = strstr(strstr(out.data, "$"), "\r\n") + 2;
    *ret_cursor = strtoull(cursor, NULL, 10);
    buffer_free(&out);
    return count;
}

static struct argument text(const char *word)
{
    return (struct argument){.data = word, .size = (uint32_t)strlen(word)};
}

static void listing(void)
{
    queue_stage_open(&stage, "");
    for (int i = 0; i < 25; i++) {
        char sql[32];
        snprintf(sql, sizeof sql, "SELECT %d", i);
        ids[i] = queue_stage_submit(&stage, i % 5 ? "DELAY 3600000 local"
                                                  : "QUEUE slow DELAY 3600000 local", sql);
    }
    struct job_filter filter = {.limit = 10};
    uint64_t cursor;
    cr_expect_eq(list(&filter, &cursor), 10);
    cr_expect_eq(cursor, ids[9]);
    filter.cursor.id = cursor;
    filter.limit = 100;
    cr_expect_eq(list(&filter, &cursor), 15);
    cr_expect_eq(cursor, 0);
    filter = (struct job_filter){.limit = 100, .queue = text("slow")};
    cr_expect_eq(list(&filter, &cursor), 5);
    filter = (struct job_filter){.states = 1u << JOB_READY, .limit = 100};
    cr_expect_eq(list(&filter, &cursor), 0);
    filter = (struct job_filter){
        .states = 1u << JOB_SCHEDULED, .limit = 100, .match = text("SELECT 1*")};
    cr_expect_eq(list(&filter, &cursor), 11);
    filter = (struct job_filter){.limit = 100, .target = text("loca")};
    cr_expect_eq(list(&filter, &cursor), 0);
    queue_stage_close(&stage);
}

Test(broker, listing_by_filter_and_page)
{
    queue_stage_run(listing);
}
