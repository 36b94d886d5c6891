/* test_broker_steer.c - RETRY, DELETE and PROMOTE wherever a job is, in bulk and by id; the history
 * of attempts. */
#include "support/queue_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct queue_stage stage;
static uint64_t ids[1500];

static void make_stage(void)
{
    queue_stage_make(&stage);
}

static void remove_stage(void)
{
    queue_stage_remove(&stage);
}

TestSuite(broker_steer, .init = make_stage, .fini = remove_stage, .timeout = 240);

#define BLOCKER "SELECT sleep(3600000)"

static int steer(enum steer_action action, uint64_t id)
{
    return broker_steer(stage.broker, action, &id, 1);
}

static struct argument text(const char *word)
{
    return (struct argument){.data = word, .size = (uint32_t)strlen(word)};
}

/* --- RETRY -------------------------------------------------------------------------- */

static void retry_dead(void)
{
    queue_stage_open(&stage, "");
    uint64_t id = queue_stage_submit(&stage, "RETRY 1 BACKOFF 1 1 local", "SELECT * FROM later");
    cr_assert_eq(queue_stage_end_of(&stage, id), JOB_DEAD);
    cr_expect_eq(steer(STEER_RETRY, id), 1);
    cr_assert_eq(queue_stage_end_of(&stage, id), JOB_DEAD, "it fails again, all attempts anew");
    cr_expect_str_eq(queue_stage_field(&stage, id, "attempts"), "1");
    uint64_t table = queue_stage_submit(&stage, "local", "CREATE TABLE later (number)");
    cr_assert_eq(queue_stage_end_of(&stage, table), JOB_DONE);
    cr_expect_eq(steer(STEER_RETRY, id), 1);
    cr_expect_eq(queue_stage_end_of(&stage, id), JOB_DONE);
    cr_expect_eq(steer(STEER_RETRY, id), 0, "what is done is not done again");
    cr_expect_eq(steer(STEER_RETRY, 12345), 0);
    cr_expect_eq(steer(STEER_RETRY, UINT64_MAX), 0);
    queue_stage_close(&stage);
}

Test(broker_steer, a_dead_job_runs_again_as_if_new)
{
    queue_stage_run(retry_dead);
}

static void retry_cancelled(void)
{
    queue_stage_open(&stage, "[queue default]\nconcurrency = 1\n");
    uint64_t blocker = queue_stage_submit(&stage, "PRIORITY 0 local", BLOCKER);
    queue_stage_wait_running(&stage, blocker);
    uint64_t scheduled = queue_stage_submit(&stage, "DELAY 3600000 local", "SELECT 1");
    cr_expect_eq(steer(STEER_RETRY, blocker), 0, "it runs");
    cr_expect_eq(steer(STEER_RETRY, scheduled), 0, "it waits");
    cr_expect_eq(queue_stage_cancel(&stage, scheduled), 1);
    cr_expect_eq(steer(STEER_RETRY, scheduled), 1);
    cr_expect_str_eq(queue_stage_field(&stage, scheduled, "state"), "ready");
    queue_stage_close(&stage);
    queue_stage_open(&stage, "");
    cr_expect_eq(queue_stage_end_of(&stage, scheduled), JOB_DONE, "the restart knew it");
    queue_stage_close(&stage);
}

Test(broker_steer, a_cancelled_job_is_ready_again_also_after_a_restart)
{
    queue_stage_run(retry_cancelled);
}

/* --- DELETE ------------------------------------------------------------------------- */

static void deleting(void)
{
    queue_stage_open(&stage, "[queue default]\nconcurrency = 1\n");
    stage.configuration.memory_max = 64 * 1024;
    uint64_t done = queue_stage_submit(&stage, "local", "SELECT 1");
    cr_assert_eq(queue_stage_end_of(&stage, done), JOB_DONE);
    uint64_t blocker = queue_stage_submit(&stage, "PRIORITY 0 local", BLOCKER);
    queue_stage_wait_running(&stage, blocker);
    queue_stage_submit_many(&stage, 300, false, ids);
    uint64_t scheduled = queue_stage_submit(&stage, "DELAY 3600000 local", "SELECT 1");
    cr_assert_not_null(job_table_find(&stage.broker->jobs, ids[0]));
    cr_assert_null(job_table_find(&stage.broker->jobs, ids[299]), "only on disk");
    struct aw_event event;
    aw_event_init(&event);
    struct watch watch = {.id = ids[0], .event = &event};
    cr_assert_eq(broker_watch(stage.broker, &watch, 1), 0);
    uint64_t asked[] = {done, ids[0], ids[299], scheduled, blocker, 12345, ids[0]};
    cr_expect_eq(broker_steer(stage.broker, STEER_DELETE, asked, 7), 4);
    cr_expect(watch.finished && watch.state == JOB_CANCELLED, "its waiter is told");
    broker_unwatch(stage.broker, &watch, 1);
    for (int i = 0; i < 4; i++)
        cr_expect_null(queue_stage_field(&stage, asked[i], "state"));
    cr_expect_str_eq(queue_stage_field(&stage, blocker, "state"), "running");
    cr_expect_eq(broker_steer(stage.broker, STEER_DELETE, asked, 7), 0);
    cr_expect_eq(queue_stage_cancel(&stage, blocker), 1);
    for (int i = 1; i < 299; i++)
        cr_expect_eq(queue_stage_end_of(&stage, ids[i]), JOB_DONE);
    cr_expect_eq(queue_stage_number(&stage, "SELECT count(*) FROM effect"), 298);
    const struct lane *lane = stage.broker->lanes[0];
    cr_expect_eq(lane->counts[JOB_READY], 0);
    cr_expect_eq(lane->counts[JOB_SCHEDULED], 0);
    cr_expect_eq(lane->counts[JOB_DONE], 298);
    cr_expect_eq(lane->bytes, 0);
    queue_stage_close(&stage);
}

Test(broker_steer, deleting_wherever_the_job_is)
{
    queue_stage_run(deleting);
}

/* --- PROMOTE ------------------------------------------------------------------------ */

static void promoting(void)
{
    queue_stage_open(&stage, "");
    uint64_t id = queue_stage_submit(&stage, "DELAY 3600000 local", "SELECT 1");
    cr_expect_eq(steer(STEER_PROMOTE, id), 1);
    cr_expect_eq(queue_stage_end_of(&stage, id), JOB_DONE);
    cr_expect_eq(steer(STEER_PROMOTE, id), 0);
    uint64_t failing = queue_stage_submit(
        &stage, "TIMEOUT 20 RETRY 1 BACKOFF 3600000 3600000 local", BLOCKER);
    while (strcmp(queue_stage_field(&stage, failing, "state"), "scheduled") != 0)
        cr_assert_eq(aw_sleep(1), 0);
    cr_expect_eq(steer(STEER_PROMOTE, failing), 1);
    cr_expect_eq(queue_stage_end_of(&stage, failing), JOB_DEAD, "its attempts were kept");
    queue_stage_close(&stage);
}

Test(broker_steer, promoting_a_delay_and_a_backoff)
{
    queue_stage_run(promoting);
}

/* --- a job retried before its cancelled execution has ended --------------------------- */

static void retry_too_early(void)
{
    queue_stage_open(&stage, "");
    uint64_t id = queue_stage_submit(&stage, "local", BLOCKER);
    queue_stage_wait_running(&stage, id);
    /* as when CANCEL was asked for while the job was only on disk */
    cr_assert_eq(cancel_stored(stage.broker, id), 0);
    cr_assert_eq(broker_probe(stage.broker), 0);
    cr_expect_eq(steer(STEER_RETRY, id), 1);
    while (queue_stage_number(&stage, "SELECT 1") != 1 || !stage.broker->counters.executed)
        cr_assert_eq(aw_sleep(1), 0);
    queue_stage_wait_running(&stage, id);
    cr_expect_eq(queue_stage_cancel(&stage, id), 1);
    cr_expect_eq(stage.broker->jobs.count, 0);
    queue_stage_close(&stage);
}

Test(broker_steer, a_retry_waits_for_the_end_of_the_cancelled_execution)
{
    queue_stage_run(retry_too_early);
}

static void released_too_early(void)
{
    queue_stage_open(&stage, "");
    uint64_t id = queue_stage_submit(&stage, "SERIAL s RETRY 7 local", BLOCKER);
    queue_stage_wait_running(&stage, id);
    struct job *running = job_table_find(&stage.broker->jobs, id);
    /* it was cancelled in the store, retried, and released by the one before it in its line */
    struct job *again = job_new(running->arguments, running->argument_count);
    cr_assert_not_null(again);
    again->id = id;
    again->lane = running->lane;
    struct store_change change = {.kind = CHANGE_CANCEL, .woken = again};
    consequences_drop(stage.broker, id);
    consequences_tell(stage.broker, &change);
    cr_expect_eq(stage.broker->jobs.count, 1, "it does not run twice at once");
    cr_expect_eq(running->successor, again);
    while (job_table_find(&stage.broker->jobs, id) == running)
        cr_assert_eq(aw_sleep(1), 0);
    queue_stage_wait_running(&stage, id);
    cr_expect_eq(stage.broker->jobs.count, 1);
    queue_stage_close(&stage);
}

Test(broker_steer, so_does_one_that_is_released)
{
    queue_stage_run(released_too_early);
}

/* --- awaited while it is deleted ---------------------------------------------------------- */

static int delete_alone(void *argument)
{
    *(int *)argument = steer(STEER_DELETE, ids[0]);
    return 0;
}

static void deleted_when_done(void)
{
    queue_stage_open(&stage, "");
    ids[0] = queue_stage_submit(&stage, "local", "SELECT 1");
    cr_assert_eq(queue_stage_end_of(&stage, ids[0]), JOB_DONE);
    struct aw_group group;
    int result = 0;
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(aw_group_spawn(&group, delete_alone, &result), 0);
    while (committer_pending(&stage.broker->committer) == 0)
        cr_assert_eq(aw_yield(), 0);
    struct aw_event event;
    aw_event_init(&event);
    struct watch watch = {.id = ids[0], .event = &event};
    cr_assert_eq(broker_watch(stage.broker, &watch, 1), 0);
    cr_expect_not(watch.finished, "nobody cancelled it");
    cr_expect_not(watch.known);
    broker_unwatch(stage.broker, &watch, 1);
    cr_assert_eq(aw_group_wait(&group), 0);
    cr_expect_eq(result, 1);
    queue_stage_close(&stage);
}

Test(broker_steer, a_done_job_that_is_deleted_was_not_cancelled)
{
    queue_stage_run(deleted_when_done);
}

/* --- given up on a full disk ------------------------------------------------------------ */

static int promote_alone(void *argument)
{
    *(int *)argument = steer(STEER_PROMOTE, ids[0]);
    return 0;
}

static void given_up(void)
{
    queue_stage_open(&stage, "");
    struct committer *committer = &stage.broker->committer;
    ids[0] = queue_stage_submit(&stage, "DELAY 3600000 local", "SELECT 1");
    /* as when the disk stays full until the daemon has to end */
    committer->disk_full = true;
    committer->retry_ns = aw_after_ms(3600000);
    struct aw_group group;
    int result = 1;
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(aw_group_spawn(&group, promote_alone, &result), 0);
    while (!committer->first)
        cr_assert_eq(aw_yield(), 0);
    struct store_change *change = committer->first;
    cr_assert_null(change->next);
    committer->first = committer->last = NULL;
    committer->finished++;
    committer->pending_bytes -= sizeof *change;
    committer->disk_full = false;
    change->done(change, -ENOSPC);
    cr_assert_eq(aw_group_wait(&group), 0);
    cr_expect_eq(result, -ENOSPC);
    cr_expect_str_eq(queue_stage_field(&stage, ids[0], "state"), "scheduled");
    queue_stage_close(&stage);
}

Test(broker_steer, what_is_given_up_on_a_full_disk_has_not_happened)
{
    queue_stage_run(given_up);
}

/* --- by filter ---------------------------------------------------------------------- */

static void in_bulk(void)
{
    queue_stage_open(&stage, "");
    for (int i = 0; i < 1200; i++)
        queue_stage_submit_later(&stage, i % 2 ? "DELAY 3600000 local"
                                               : "QUEUE slow DELAY 3600000 local",
                                 i % 3 ? "SELECT 1" : "SELECT 22", &ids[i]);
    while (ids[1199] == 0)
        cr_assert_eq(broker_probe(stage.broker), 0);
    uint64_t changed;
    struct job_filter filter = {.states = 1u << JOB_SCHEDULED, .limit = 550,
                                .queue = text("slow")};
    cr_assert_eq(broker_cancel_where(stage.broker, &filter, &changed), 0);
    cr_expect_eq(changed, 550);
    filter = (struct job_filter){.states = 1u << JOB_CANCELLED, .limit = UINT64_MAX};
    cr_assert_eq(broker_steer_where(stage.broker, STEER_DELETE, &filter, &changed), 0);
    cr_expect_eq(changed, 550);
    filter = (struct job_filter){.states = 1u << JOB_SCHEDULED, .limit = UINT64_MAX,
                                 .match = text("SELECT 2*")};
    cr_assert_eq(broker_steer_where(stage.broker, STEER_PROMOTE, &filter, &changed), 0);
    cr_expect_gt(changed, 200);
    cr_expect_lt(changed, 230);
    filter = (struct job_filter){.target = text("nowhere"), .limit = UINT64_MAX};
    cr_assert_eq(broker_steer_where(stage.broker, STEER_DELETE, &filter, &changed), 0);
    cr_expect_eq(changed, 0);
    queue_stage_close(&stage);
}

Test(broker_steer, by_filter_in_pages)
{
    queue_stage_run(in_bulk);
}

/* Every job once, whatever the page's size, for each choice of states. */
static void walking(void)
{
    queue_stage_open(&stage, "");
    for (int i = 0; i < 60; i++) {
        char options[80];
        (void)snprintf(options, sizeof options, "QUEUE q%d %s local", i % 3,
                       i % 4 ? "DELAY 3600000" : "RETRY 0");
        ids[i] = queue_stage_submit(&stage, options, i % 8 ? "SELECT 1" : "SELECT * FROM nothing");
        if (i % 4 == 0)
            (void)queue_stage_end_of(&stage, ids[i]);
    }
    cr_expect_eq(queue_stage_cancel(&stage, ids[1]), 1);
    const struct { unsigned states; const char *queue; uint32_t expected; } cases[] = {
        {0, "q0", 20}, {0, "q1", 20}, {0, NULL, 60}, {1u << JOB_DEAD, NULL, 8},
        {1u << JOB_DONE, NULL, 7}, {1u << JOB_CANCELLED, NULL, 1}, {1u << JOB_SCHEDULED, NULL, 44},
        {1u << JOB_SCHEDULED, "q1", 14}, {1u << JOB_RUNNING, NULL, 0}, {1u << JOB_READY, "q2", 0},
        {1u << JOB_BLOCKED, NULL, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint64_t limit = 1; limit <= 7; limit += 3) {
            struct job_filter filter = {.states = cases[i].states, .limit = limit};
            if (cases[i].queue)
                filter.queue = text(cases[i].queue);
            uint32_t found = 0;
            do {
                struct buffer out = {0};
                cr_assert_eq(broker_list(stage.broker, &filter, &out), 0);
                buffer_append(&out, "", 1);
                for (const char *at = out.data; (at = strstr(at, "$2\r\nid\r\n")); at++)
                    found++;
                const char *cursor = strchr(strchr(out.data, '$'), '\n') + 1;
                struct argument word = {.data = cursor,
                                        .size = (uint32_t)strcspn(cursor, "\r")};
                cr_assert(walk_position_parse(word, &filter.cursor));
                buffer_free(&out);
            } while (filter.cursor.id != 0);
            cr_expect_eq(found, cases[i].expected, "case %zu by %d: %u", i, (int)limit, found);
        }
    queue_stage_close(&stage);
}

Test(broker_steer, every_job_once_by_any_page)
{
    queue_stage_run(walking);
}

/* --- history ------------------------------------------------------------------------ */

static uint32_t history_of(uint64_t id, const char *word)
{
    struct buffer out = {0};
    uint32_t count = 0;
    cr_assert_eq(broker_describe(stage.broker, id, &out), 0);
    buffer_append(&out, "", 1);
    for (const char *at = strstr(out.data, "$7\r\nhistory"); (at = strstr(at, word)); at++)
        count++;
    buffer_free(&out);
    return count;
}

static void history(void)
{
    queue_stage_open(&stage, "");
    uint64_t good = queue_stage_submit(&stage, "local", "SELECT 1");
    cr_assert_eq(queue_stage_end_of(&stage, good), JOB_DONE);
    cr_expect_eq(history_of(good, "number"), 0);
    uint64_t id = queue_stage_submit(&stage, "RETRY 2 BACKOFF 1 1 local", "SELECT * FROM later");
    cr_assert_eq(queue_stage_end_of(&stage, id), JOB_DEAD);
    uint32_t attempts = history_of(id, "$6\r\nnumber");
    cr_expect_geq(attempts, 1);
    cr_expect_eq(history_of(id, "no such table"), attempts);
    for (uint32_t i = 0; i < 25; i++) {
        cr_assert_eq(steer(STEER_RETRY, id), 1);
        cr_assert_eq(queue_stage_end_of(&stage, id), JOB_DEAD);
    }
    cr_expect_eq(history_of(id, "$6\r\nnumber"), ATTEMPTS_KEPT, "the last ones");
    char first[32];
    (void)snprintf(first, sizeof first, "number\r\n:%u\r\n", attempts * 26 - ATTEMPTS_KEPT + 1);
    cr_expect_eq(history_of(id, first), 1, "numbers go on across RETRY");
    queue_stage_close(&stage);
    queue_stage_open(&stage, "");
    cr_expect_eq(history_of(id, "$6\r\nnumber"), ATTEMPTS_KEPT, "also after a restart");
    cr_expect_eq(steer(STEER_DELETE, id), 1);
    queue_stage_close(&stage);
}

Test(broker_steer, each_failed_attempt_is_kept)
{
    queue_stage_run(history);
}
