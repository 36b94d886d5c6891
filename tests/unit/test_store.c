/* test_store.c - the SQLite store: what each change does to rows and counts, and what it refuses to
 * open. */
#include "queue/broker_state.h"
#include "queue/job_id.h"
#include "queue/store.h"
#include "support/process.h"

#include <await.h>
#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
}

static void leave_folder(void)
{
    folder_remove(folder);
}

TestSuite(store, .init = enter_folder, .fini = leave_folder, .timeout = 60);

/* --- the stage: two lanes, as the registry would give them -------------------------- */

#define LANES 2u

static struct lane lanes[LANES];
static char queue_name[] = "default"; /* of lane 1; lane 2's is "other" */
static char target_name[] = "local";
static struct store *store;
static uint32_t lanes_found;

static struct job_queue queues[LANES] = {{.name = queue_name}, {.name = (char[]){"other"}}};

static struct lane *found(void *context, const char *queue, const char *target, uint32_t id)
{
    (void)context;
    cr_assert_leq(id, LANES);
    cr_expect_str_eq(queue, queues[id - 1].name);
    cr_expect_str_eq(target, target_name);
    lanes_found++;
    return &lanes[id - 1];
}

static struct lane *by_id(void *context, uint32_t id)
{
    (void)context;
    return id >= 1 && id <= LANES ? &lanes[id - 1] : NULL;
}

static int open_at(const char *path, struct aw_error *error)
{
    for (uint32_t i = 0; i < LANES; i++)
        lanes[i] = (struct lane){.id = i + 1, .queue = &queues[i], .target_name = target_name};
    lanes_found = 0;
    store = NULL;
    *error = (struct aw_error){0};
    return store_open(&store, path, found, by_id, NULL, error);
}

static void open_store(void)
{
    struct aw_error error;
    cr_assert_eq(open_at(".", &error), 0, "%s", error.message);
}

static void close_store(void)
{
    store_close(store);
    store = NULL;
}

static void apply(struct store_change *change)
{
    struct aw_error error = {0};
    cr_assert_eq(store_apply(store, change, &error), 0, "%s", error.message);
}

static void begin(void)
{
    struct aw_error error = {0};
    cr_assert_eq(store_begin(store, &error), 0, "%s", error.message);
}

static void commit(void)
{
    struct aw_error error = {0};
    cr_assert_eq(store_commit(store, &error), 0, "%s", error.message);
}

static void make_change(struct store_change *change)
{
    begin();
    apply(change);
    commit();
}

static int run_body(void *argument)
{
    void (*body)(void) = (void (*)(void))argument;
    body();
    return 0;
}

static void run(void (*body)(void))
{
    struct aw_error error = {0};
    int result = aw_run_with(NULL, run_body, (void *)body, &error);
    cr_assert_eq(result, 0, "%s", error.message);
}

static struct job *make_job(uint64_t id, struct lane *lane, enum job_state state)
{
    struct argument arguments[] = {{.data = "SELECT ?", .size = 8}, {.data = "x\0y", .size = 3}};
    struct job *job = job_new(arguments, 2);
    cr_assert_not_null(job);
    job->id = id;
    job->lane = lane;
    job->state = (uint8_t)state;
    job->due_ms = state == JOB_SCHEDULED ? 5000 + id : 0;
    job->priority = 10;
    job->retries = 3;
    job->timeout_ms = 11;
    job->backoff_min_ms = 12;
    job->backoff_max_ms = 13;
    job->keep_ms = 14;
    job->format = FORMAT_JSON;
    return job;
}

static void insert(uint64_t id, struct lane *lane, enum job_state state)
{
    struct job *job = make_job(id, lane, state);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    make_change(&change);
    cr_assert(change.applied);
    job_free(job);
}

/* One batch of ready jobs with ids from `first` on. */
static void insert_batch(uint64_t first, size_t count)
{
    struct job *jobs[1000];
    cr_assert_leq(count, 1000);
    begin();
    for (size_t i = 0; i < count; i++) {
        jobs[i] = make_job(first + i, &lanes[0], JOB_READY);
        struct store_change change = {.kind = CHANGE_INSERT, .job = jobs[i]};
        apply(&change);
    }
    commit();
    for (size_t i = 0; i < count; i++)
        job_free(jobs[i]);
}

/* A copy of the row; its views are not valid. */
static bool copy_row(void *context, const struct stored_job *row)
{
    *(struct stored_job *)context = *row;
    return false;
}

static struct stored_job read_row(uint64_t id)
{
    struct stored_job row = {0};
    cr_assert_eq(store_read_job(store, id, copy_row, &row, NULL), 0);
    return row;
}

static enum job_state state_of(uint64_t id)
{
    return read_row(id).state;
}

/* The counts in memory are those of the file, and those of its rows; closes and opens the store. */
static void check_counts(void)
{
    int64_t expected[LANES][JOB_STATES];
    for (uint32_t i = 0; i < LANES; i++)
        memcpy(expected[i], lanes[i].counts, sizeof expected[i]);
    close_store();
    struct aw_sqlite *database;
    struct aw_error error = {0};
    cr_assert_eq(aw_sqlite_open(&database, "queue.db", NULL, &error), 0, "%s", error.message);
    for (uint32_t i = 0; i < LANES; i++)
        for (int state = 0; state < JOB_STATES; state++) {
            char sql[200];
            snprintf(sql, sizeof sql, "SELECT count(*), (SELECT %s FROM lane WHERE id = %u) FROM "
                     "job WHERE lane = %u AND state = %d", job_state_name((enum job_state)state),
                     i + 1, i + 1, state);
            sqlite3_stmt *statement;
            cr_assert_eq(aw_sqlite_prepare(database, sql, strlen(sql), &statement, NULL), 0);
            cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
            cr_expect_eq(sqlite3_column_int64(statement, 0), expected[i][state], "lane %u, %s",
                         i + 1, job_state_name((enum job_state)state));
            cr_expect_eq(sqlite3_column_int64(statement, 1), expected[i][state]);
            aw_sqlite_done(database, statement);
        }
    cr_assert_eq(aw_sqlite_close(database), 0);
    open_store();
    for (uint32_t i = 0; i < LANES; i++)
        cr_expect_eq(memcmp(expected[i], lanes[i].counts, sizeof expected[i]), 0);
}

/* --- changes ------------------------------------------------------------------------ */

static void inserted_jobs_are_read_back(void)
{
    open_store();
    insert(1000, &lanes[0], JOB_READY);
    insert(1001, &lanes[1], JOB_SCHEDULED);
    close_store();
    open_store();
    cr_expect_eq(lanes_found, 2);
    struct stored_job row = read_row(1001);
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
    cr_expect_eq(store_read_job(store, 7, copy_row, &row, NULL), -ENOENT);
    check_counts();
    close_store();
}

Test(store, inserted_jobs_are_read_back)
{
    run(inserted_jobs_are_read_back);
}

static void batches(void)
{
    open_store();
    /* around the number of rows of one statement */
    static const size_t counts[] = {1, 15, 16, 17, 31, 32, 33, 100};
    uint64_t id = 1;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        insert_batch(id, counts[i]);
        id += counts[i];
    }
    for (uint64_t i = 1; i < id; i++) {
        struct stored_job row = read_row(i);
        cr_expect_eq(row.id, i);
        cr_expect_eq(row.state, JOB_READY);
        cr_expect_eq(row.priority, 10);
        cr_expect_eq(row.keep_ms, 14);
        cr_expect_gt(row.payload_size, 0);
    }
    /* changes behind insertions of the same batch see them */
    struct job *job = make_job(id, &lanes[0], JOB_READY);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    struct store_change cancel = {.kind = CHANGE_CANCEL, .id = id, .now_ms = 1};
    begin();
    apply(&change);
    apply(&cancel);
    commit();
    cr_expect(cancel.applied);
    job_free(job);
    check_counts();
    close_store();
}

Test(store, batches_of_any_size_are_stored_whole)
{
    run(batches);
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
    open_store();
    struct buffer result = {0};
    buffer_append_text(&result, "+OK\r\n");
    for (uint64_t id = 1; id <= 4; id++) {
        insert(id, &lanes[0], JOB_READY);
        struct job *job = make_job(id, &lanes[0], JOB_RUNNING);
        job->attempts = 1;
        job->started_ms = 77;
        struct store_change change = {
            .kind = CHANGE_FINISH, .job = job, .now_ms = 100, .attempt_spent = true,
            .state = id == 2 ? JOB_DEAD : JOB_DONE, .purge_ms = id == 3 ? 0 : 500,
            .result = id == 1 ? &result : NULL, .error_code = id == 2 ? "23505" : NULL,
            .error_message = id == 2 ? "duplicate key" : NULL};
        make_change(&change);
        cr_expect(change.applied);
        /* and once more: it comes too late */
        change.state = JOB_DEAD;
        make_change(&change);
        cr_expect_not(change.applied);
        job_free(job);
    }
    struct stored_job row = read_row(1);
    cr_expect_eq(row.state, JOB_DONE);
    cr_expect_eq(row.attempts, 1);
    cr_expect_eq(row.started_ms, 77);
    cr_expect_eq(row.finished_ms, 100);
    cr_expect_eq(row.purge_ms, 500);
    cr_expect_eq(store_read_job(store, 1, check_result, NULL, NULL), 0);
    cr_expect_eq(state_of(2), JOB_DEAD);
    cr_expect_eq(store_read_job(store, 2, check_error, NULL, NULL), 0);
    cr_expect_eq(store_read_job(store, 3, copy_row, &row, NULL), -ENOENT);
    buffer_free(&result);
    check_counts();
    cr_expect_eq(lanes[0].counts[JOB_DONE], 2);
    cr_expect_eq(lanes[0].counts[JOB_DEAD], 1);
    close_store();
}

Test(store, finishing_keeps_results_and_happens_once)
{
    run(finishing);
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
    open_store();
    insert(1, &lanes[0], JOB_READY);
    struct job *job = make_job(1, &lanes[0], JOB_RUNNING);
    struct store_change change = retry_of(job);
    make_change(&change);
    cr_expect(change.applied);
    struct stored_job row = read_row(1);
    cr_expect_eq(row.state, JOB_SCHEDULED);
    cr_expect_eq(row.due_ms, 9000);
    cr_expect_eq(row.attempts, 1);
    check_counts();

    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = 9000, .limit = 10, .bytes_max = 1};
    make_change(&wake);
    cr_expect_eq(wake.changed, 1);
    cr_assert_not_null(wake.woken);
    cr_expect_eq(wake.woken->attempts, 1);
    job_free(wake.woken);
    /* an outcome of the first attempt does not overwrite the second one's state */
    job->attempts = 0;
    change = retry_of(job);
    make_change(&change);
    cr_expect_not(change.applied);
    struct store_change late = {.kind = CHANGE_FINISH, .job = job, .attempt_spent = true,
                                .state = JOB_DONE, .purge_ms = 1};
    make_change(&late);
    cr_expect_not(late.applied);
    late.purge_ms = 0;
    make_change(&late);
    cr_expect_not(late.applied);
    cr_expect_eq(state_of(1), JOB_READY);
    job_free(job);
    check_counts();
    close_store();
}

Test(store, a_retry_waits_is_woken_and_ignores_late_outcomes)
{
    run(retrying);
}

static void cancelling(void)
{
    open_store();
    insert(1, &lanes[0], JOB_READY);
    insert(2, &lanes[1], JOB_SCHEDULED);
    for (uint64_t id = 1; id <= 3; id++) {
        struct store_change change = {.kind = CHANGE_CANCEL, .id = id, .now_ms = 200};
        make_change(&change);
        cr_expect_eq(change.applied, id < 3);
        make_change(&change);
        cr_expect_not(change.applied);
    }
    cr_expect_eq(state_of(1), JOB_CANCELLED);
    struct stored_job row = read_row(2);
    cr_expect_eq(row.state, JOB_CANCELLED);
    cr_expect_eq(row.finished_ms, 200);
    cr_expect_eq(row.purge_ms, 214);
    check_counts();
    close_store();
}

Test(store, cancelling_what_waits)
{
    run(cancelling);
}

static void waking_and_purging(void)
{
    open_store();
    for (uint64_t id = 1; id <= 10; id++)
        insert(id, &lanes[id % 2], JOB_SCHEDULED); /* due at 5000 + id */
    uint64_t due;
    uint64_t purge;
    cr_assert_eq(store_next_times(store, &due, &purge, NULL), 0);
    cr_expect_eq(due, 5001);
    cr_expect_eq(purge, UINT64_MAX);
    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = 5008, .limit = 5,
                                .bytes_max = 1000000};
    static const uint32_t expected[] = {5, 3, 0};
    for (int i = 0; i < 3; i++) {
        make_change(&wake);
        cr_expect_eq(wake.changed, expected[i]);
        uint32_t count = 0;
        while (wake.woken) {
            struct job *job = wake.woken;
            wake.woken = job->next;
            cr_expect_eq(job->state, JOB_READY);
            cr_expect_eq(state_of(job->id), JOB_READY);
            job_free(job);
            count++;
        }
        cr_expect_eq(count, expected[i]);
    }
    for (uint64_t id = 1; id <= 10; id++) {
        struct store_change cancel = {.kind = CHANGE_CANCEL, .id = id, .now_ms = 100};
        make_change(&cancel);
        cr_expect(cancel.applied);
    }
    cr_assert_eq(store_next_times(store, &due, &purge, NULL), 0);
    cr_expect_eq(due, UINT64_MAX);
    cr_expect_eq(purge, 114);
    struct store_change gone = {.kind = CHANGE_PURGE, .now_ms = 113, .limit = 6};
    make_change(&gone);
    cr_expect_eq(gone.changed, 0);
    gone.now_ms = 114;
    make_change(&gone);
    cr_expect_eq(gone.changed, 6);
    check_counts();
    make_change(&gone);
    cr_expect_eq(gone.changed, 4);
    check_counts();
    close_store();
}

Test(store, waking_and_purging_in_portions)
{
    run(waking_and_purging);
}

static void waking_by_bytes(void)
{
    open_store();
    for (uint64_t id = 1; id <= 5; id++)
        insert(id, &lanes[0], JOB_SCHEDULED);
    struct job *job = make_job(9, &lanes[0], JOB_READY);
    uint64_t size = job->payload_size;
    job_free(job);
    struct store_change wake = {.kind = CHANGE_WAKE, .now_ms = 9000, .limit = 100};
    const uint64_t bytes[] = {1, size + 1, 1000000};
    const uint32_t expected[] = {1, 2, 2};
    for (int i = 0; i < 3; i++) {
        wake.bytes_max = bytes[i];
        make_change(&wake);
        cr_expect_eq(wake.changed, expected[i], "%d", i);
        while (wake.woken) {
            struct job *woken = wake.woken;
            wake.woken = woken->next;
            job_free(woken);
        }
    }
    close_store();
}

Test(store, waking_brings_no_more_into_memory_than_asked_for)
{
    run(waking_by_bytes);
}

/* --- reading ------------------------------------------------------------------------ */

static void windows(void)
{
    open_store();
    for (uint64_t id = 1; id <= 30; id++) {
        struct job *job = make_job(id, &lanes[id > 24], JOB_READY);
        job->priority = (uint32_t)(id % 3);
        struct store_change change = {.kind = CHANGE_INSERT, .job = job};
        make_change(&change);
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
    close_store();
}

Test(store, windows_come_in_order_and_portions)
{
    run(windows);
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
    open_store();
    for (uint64_t id = 1; id <= 20; id++)
        insert(id * 3, &lanes[0], id % 2 ? JOB_READY : JOB_SCHEDULED);
    struct scan all = {.limit = 100};
    cr_assert_eq(store_scan(store, 0, false, visit, &all, NULL), 0);
    cr_expect_eq(all.count, 20);
    struct scan some = {.limit = 4, .last = 10, .payloads = true};
    cr_assert_eq(store_scan(store, 10, true, visit, &some, NULL), 0);
    cr_expect_eq(some.count, 4);
    cr_expect_eq(some.last, 21);
    close_store();
}

Test(store, scanning)
{
    run(scanning);
}

/* --- ids and rolling back ----------------------------------------------------------- */

static void ceiling(void)
{
    open_store();
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
            insert(id, &lanes[0], JOB_READY);
            cr_expect_leq(id, store_id_ceiling(store));
        }
        close_store();
        open_store();
        cr_expect_leq(last, store_id_ceiling(store));
    }
    close_store();
}

Test(store, ids_are_never_given_again_after_a_restart)
{
    run(ceiling);
}

static void rolling_back(void)
{
    open_store();
    insert(1, &lanes[0], JOB_READY);
    uint64_t before = store_id_ceiling(store);
    begin();
    struct job *job = make_job(UINT64_C(1) << 50, &lanes[1], JOB_READY);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    apply(&change);
    struct store_change cancel = {.kind = CHANGE_CANCEL, .id = 1};
    apply(&cancel);
    cr_assert_eq(store_roll_back(store, NULL), 0);
    cr_expect_eq(state_of(1), JOB_READY);
    cr_expect_eq(store_id_ceiling(store), before);
    cr_expect_eq(lanes[1].counts[JOB_READY], 0);
    cr_expect_not(lanes[1].stored);
    make_change(&change);
    cr_expect(lanes[1].stored);
    cr_expect_gt(store_id_ceiling(store), before);
    job_free(job);
    check_counts();
    close_store();
}

Test(store, a_rolled_back_batch_leaves_nothing)
{
    run(rolling_back);
}

/* --- what cannot be opened ---------------------------------------------------------- */

static void execute(const char *sql)
{
    struct aw_sqlite *database;
    struct aw_sqlite_options options = {.flags = AW_SQLITE_CREATE};
    struct aw_error error = {0};
    cr_assert_eq(aw_sqlite_open(&database, "queue.db", &options, &error), 0, "%s", error.message);
    cr_assert_eq(aw_sqlite_execute(database, sql, &error), 0, "%s", error.message);
    cr_assert_eq(aw_sqlite_close(database), 0);
}

static void expect_refused(int number, const char *words)
{
    struct aw_error error;
    cr_expect_eq(open_at(".", &error), number, "%s", error.message);
    cr_expect_not_null(strstr(error.message, words), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "queue.db"), "%s", error.message);
    cr_expect_null(store);
}

static void newer_schema(void)
{
    open_store();
    close_store();
    execute("PRAGMA user_version = 2");
    expect_refused(-EINVAL, "newer awaitd");
    execute("PRAGMA user_version = 1");
    open_store();
    close_store();
}

Test(store, a_newer_schema_is_refused)
{
    run(newer_schema);
}

static void foreign_database(void)
{
    execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY)");
    expect_refused(-EINVAL, "some other SQLite database");
    execute("PRAGMA user_version = 1");
    expect_refused(-EINVAL, "some other SQLite database");
}

Test(store, a_foreign_database_is_refused)
{
    run(foreign_database);
}

static void overwrite(off_t offset, size_t size)
{
    int fd = open("queue.db", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    char noise[8192];
    memset(noise, 0xa5, sizeof noise);
    cr_assert_leq(size, sizeof noise);
    cr_assert_eq(pwrite(fd, noise, size, offset), (ssize_t)size);
    close(fd);
}

static void no_database(void)
{
    overwrite(0, 5000);
    expect_refused(-EBADMSG, "not a database");
}

Test(store, a_file_that_is_no_database_is_refused)
{
    run(no_database);
}

static void damaged_database(void)
{
    open_store();
    insert_batch(1, 500);
    close_store();
    struct stat status;
    cr_assert_eq(stat("queue.db", &status), 0);
    overwrite(status.st_size / 4096 / 2 * 4096, 4096);
    expect_refused(-EBADMSG, "restore a backup");
}

Test(store, a_damaged_database_is_refused)
{
    run(damaged_database);
}

static void open_elsewhere(int ready, int end)
{
    open_store();
    char byte = 'r';
    if (write(ready, &byte, 1) != 1 || read(end, &byte, 1) < 0)
        _exit(1);
    close_store();
}

static int pipes[2][2];

static void hold_open(void)
{
    open_elsewhere(pipes[0][1], pipes[1][0]);
}

static void locked(void)
{
    expect_refused(-EBUSY, "locked by another process");
}

Test(store, a_store_another_process_has_open_is_refused)
{
    cr_assert_eq(pipe(pipes[0]), 0);
    cr_assert_eq(pipe(pipes[1]), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        run(hold_open);
        _exit(0);
    }
    char byte;
    cr_assert_eq(read(pipes[0][0], &byte, 1), 1);
    run(locked);
    cr_assert_eq(write(pipes[1][1], "e", 1), 1);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void missing_folder(void)
{
    struct aw_error error;
    cr_expect_eq(open_at("./no-such-folder", &error), -ENOENT, "%s", error.message);
    cr_expect_not_null(strstr(error.message, "no-such-folder/queue.db"), "%s", error.message);
}

Test(store, a_missing_folder_is_named)
{
    run(missing_folder);
}

/* --- a full disk -------------------------------------------------------------------- */

static int insert_large(uint64_t id, char *data, uint32_t size)
{
    struct argument argument = {.data = data, .size = size};
    struct job *job = job_new(&argument, 1);
    cr_assert_not_null(job);
    job->id = id;
    job->lane = &lanes[0];
    job->state = JOB_READY;
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    struct aw_error error = {0};
    int result = store_begin(store, &error);
    if (result == 0)
        result = store_apply(store, &change, &error);
    if (result == 0)
        result = store_commit(store, &error);
    if (result == -ENOSPC)
        cr_expect_not_null(strstr(error.message, "full"), "%s", error.message);
    job_free(job);
    return result;
}

static void full_disk(void)
{
    open_store();
    static char data[200000];
    memset(data, 'x', sizeof data);
    uint64_t id = 0;
    int result;
    while ((result = insert_large(++id, data, sizeof data)) == 0)
        cr_assert_leq(id, 100, "the disk never fills");
    cr_assert_eq(result, -ENOSPC);
    cr_assert_eq(store_roll_back(store, NULL), 0);
    cr_expect_eq(lanes[0].counts[JOB_READY], (int64_t)id - 1);
    struct stored_job row;
    cr_expect_eq(store_read_job(store, id, copy_row, &row, NULL), -ENOENT);
    cr_expect_eq(store_read_job(store, id - 1, copy_row, &row, NULL), 0);
    cr_assert_eq(unlink("ballast"), 0);
    cr_expect_eq(insert_large(id, data, sizeof data), 0);
    check_counts();
    cr_expect_eq(lanes[0].counts[JOB_READY], (int64_t)id);
    close_store();
}

Test(store, a_full_disk_refuses_the_batch_and_nothing_else)
{
    if (mkdir("small", 0700) != 0 || mount("none", "small", "tmpfs", 0, "size=16m") != 0)
        cr_skip_test("needs to mount a small file system");
    cr_assert_eq(chdir("small"), 0);
    int ballast = open("ballast", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(posix_fallocate(ballast, 0, 12 << 20), 0);
    close(ballast);
    run(full_disk);
    cr_assert_eq(chdir(".."), 0);
    cr_expect_eq(umount("small"), 0);
}
