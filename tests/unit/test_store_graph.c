/* test_store_graph.c - KEY, SERIAL, AFTER, BIND and EXPIRE in the store: each rule by itself,
 * several in one batch, rolled back, in portions, and over a new opening. */
#include "queue/job_extras.h"
#include "support/store_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(store_graph, .init = stage_enter_folder, .fini = stage_leave_folder, .timeout = 120);

#define NOW 100000u

/* --- helpers ------------------------------------------------------------------------ */

/* A job with SUBMIT's options as one text. */
static struct job *make(uint64_t id, const char *text)
{
    char words[500];
    struct argument arguments[40];
    uint32_t count = 0;
    char *rest;
    snprintf(words, sizeof words, "%s local x y", text);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = (struct argument){.data = word, .size = (uint32_t)strlen(word)};
    struct submit_options options;
    struct aw_error error = {0};
    cr_assert_eq(submit_options_parse(SUBMIT_COMMAND, arguments, count, &options, &error), 0, "%s",
                 error.message);
    struct job *job = stage_make_job(id, &lanes[id % STAGE_LANES], JOB_READY);
    job->due_ms = options.has_delay ? NOW + options.delay_ms : 0;
    job->state = job->due_ms ? JOB_SCHEDULED : JOB_READY;
    job->retries = 3;
    cr_assert_eq(job_extras_add(job, &options, NOW, &error), 0, "%s", error.message);
    submit_options_free(&options);
    return job;
}

/* What a change meant for others, counted and freed. */
static struct told {
    uint32_t woken;
    uint64_t last_woken;
    uint32_t ended;
    uint64_t scheduled_ms;
    bool unfinished;
} told;

static void hear(struct store_change *change)
{
    told = (struct told){.scheduled_ms = change->scheduled_ms, .unfinished = change->unfinished};
    for (struct job *job = change->woken; job; job = job->next) {
        told.woken++;
        told.last_woken = job->id;
    }
    for (struct ended_job *ended = change->ended; ended; ended = ended->next)
        told.ended++;
    store_change_discard(change);
}

static uint64_t insert(uint64_t id, const char *text)
{
    struct job *job = make(id, text);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job, .now_ms = NOW};
    stage_change(&change);
    uint64_t existing = job->extras ? job->extras->existing_id : 0;
    cr_assert(change.applied || existing, "%s", job->extras->refusal.message);
    hear(&change);
    job_free(job);
    return existing ? existing : id;
}

static void insert_refused(uint64_t id, const char *text, const char *code, const char *words)
{
    struct job *job = make(id, text);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job, .now_ms = NOW};
    bool refused;
    stage_begin();
    cr_assert_eq(store_check_insert(store, &change, &refused, NULL), 0);
    cr_expect(refused);
    cr_expect_str_eq(job->extras->refusal.code, code);
    stage_apply(&change);
    stage_commit();
    cr_expect_not(change.applied);
    cr_expect_str_eq(job->extras->refusal.code, code);
    cr_expect_not_null(strstr(job->extras->refusal.message, words), "%s",
                       job->extras->refusal.message);
    struct stored_job row;
    cr_expect_eq(store_read_job(store, id, stage_copy_row, &row, NULL), -ENOENT);
    job_free(job);
}

static struct store_change finish_of(struct job *job, enum job_state state,
                                     const struct buffer *result, uint64_t purge_ms)
{
    job->attempts = 1;
    return (struct store_change){.kind = CHANGE_FINISH, .job = job, .now_ms = NOW, .state = state,
                                 .attempt_spent = true, .purge_ms = purge_ms, .result = result};
}

/* Ends a ready job; `flags` as memory knows them. */
static void finish(uint64_t id, uint8_t flags, enum job_state state, const char *result,
                   uint64_t purge_ms)
{
    struct job *job = stage_make_job(id, &lanes[id % STAGE_LANES], JOB_RUNNING);
    struct buffer value = {0};
    job->flags = flags;
    if (result)
        buffer_append_text(&value, result);
    struct store_change change = finish_of(job, state, &value, purge_ms);
    stage_change(&change);
    cr_assert(change.applied);
    hear(&change);
    buffer_free(&value);
    job_free(job);
}

static void cancel(uint64_t id)
{
    struct store_change change = {.kind = CHANGE_CANCEL, .id = id, .now_ms = NOW};
    stage_change(&change);
    cr_assert(change.applied);
    hear(&change);
}

static void reopen(void)
{
    stage_close();
    stage_open();
}

static char error_text[200];

static bool copy_error(void *context, const struct stored_job *row)
{
    (void)context;
    snprintf(error_text, sizeof error_text, "%s %s", row->error_code ? row->error_code : "",
             row->error_message ? row->error_message : "");
    return false;
}

static const char *error_of(uint64_t id)
{
    cr_assert_eq(store_read_job(store, id, copy_error, NULL, NULL), 0);
    return error_text;
}

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

/* --- BIND ----------------------------------------------------------------------------- */

static char argument_text[100];

static bool copy_argument(void *context, const struct stored_job *row)
{
    (void)context;
    bool corrupt;
    struct job *job = job_from_payload(row->payload, row->payload_size, &corrupt);
    cr_assert_not_null(job);
    struct argument argument = job->arguments[1];
    snprintf(argument_text, sizeof argument_text, "%.*s", argument.null ? 6 : (int)argument.size,
             argument.null ? "(null)" : argument.data);
    job_free(job);
    return false;
}

static const char *argument_of(uint64_t id)
{
    cr_assert_eq(store_read_job(store, id, copy_argument, NULL, NULL), 0);
    return argument_text;
}

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

Test(store_graph, values_are_handed_on_even_if_the_result_is_not_kept)
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

Test(store_graph, values_of_jobs_that_are_done_already)
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

Test(store_graph, jobs_expire_where_they_wait)
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

Test(store_graph, what_has_been_started_does_not_expire)
{
    stage_run(expiry_after_a_start);
}

/* --- RETRY, DELETE -------------------------------------------------------------------- */

static bool steer(enum steer_action action, uint64_t id)
{
    static uint64_t position = 1000000;
    position++;
    bool changed = false;
    struct store_steering steering = {
        .action = action, .ids = &id, .positions = &position, .changed = &changed, .count = 1};
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

Test(store_graph, retried_jobs_take_their_places_again)
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

Test(store_graph, retried_children_run_with_the_values_they_have)
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

Test(store_graph, a_deleted_job_was_cancelled_for_those_behind_it)
{
    stage_run(deleting);
}
