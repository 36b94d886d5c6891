/* store_stage.c - see store_stage.h. */
#include "support/store_stage.h"

#include "queue/broker_state.h"
#include "support/process.h"

#include <await/sqlite.h>

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

void stage_enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
}

void stage_leave_folder(void)
{
    folder_remove(folder);
}


struct lane lanes[STAGE_LANES];
static char queue_name[] = "default"; /* of lane 1; lane 2's is "other" */
static char target_name[] = "local";
struct store *store;
uint32_t stage_lanes_found;

static struct job_queue queues[STAGE_LANES] = {{.name = queue_name}, {.name = (char[]){"other"}}};

static struct lane *found(void *context, const char *queue, const char *target, uint32_t id)
{
    (void)context;
    cr_assert_leq(id, STAGE_LANES);
    cr_expect_str_eq(queue, queues[id - 1].name);
    cr_expect_str_eq(target, target_name);
    stage_lanes_found++;
    return &lanes[id - 1];
}

static struct lane *by_id(void *context, uint32_t id)
{
    (void)context;
    return id >= 1 && id <= STAGE_LANES ? &lanes[id - 1] : NULL;
}

int stage_open_at(const char *path, struct aw_error *error)
{
    for (uint32_t i = 0; i < STAGE_LANES; i++)
        lanes[i] = (struct lane){.id = i + 1, .queue = &queues[i], .target_name = target_name};
    stage_lanes_found = 0;
    store = NULL;
    *error = (struct aw_error){0};
    return store_open(&store, path, found, by_id, NULL, error);
}

void stage_open(void)
{
    struct aw_error error;
    cr_assert_eq(stage_open_at(".", &error), 0, "%s", error.message);
}

void stage_close(void)
{
    store_close(store);
    store = NULL;
}

void stage_apply(struct store_change *change)
{
    struct aw_error error = {0};
    cr_assert_eq(store_apply(store, change, &error), 0, "%s", error.message);
}

void stage_begin(void)
{
    struct aw_error error = {0};
    cr_assert_eq(store_begin(store, &error), 0, "%s", error.message);
}

void stage_commit(void)
{
    struct aw_error error = {0};
    cr_assert_eq(store_commit(store, &error), 0, "%s", error.message);
}

void stage_change(struct store_change *change)
{
    stage_begin();
    stage_apply(change);
    stage_commit();
}

static int run_body(void *argument)
{
    void (*body)(void) = (void (*)(void))argument;
    body();
    return 0;
}

void stage_run(void (*body)(void))
{
    struct aw_error error = {0};
    int result = aw_run_with(NULL, run_body, (void *)body, &error);
    cr_assert_eq(result, 0, "%s", error.message);
}

struct job *stage_make_job(uint64_t id, struct lane *lane, enum job_state state)
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

void stage_insert(uint64_t id, struct lane *lane, enum job_state state)
{
    struct job *job = stage_make_job(id, lane, state);
    struct store_change change = {.kind = CHANGE_INSERT, .job = job};
    stage_change(&change);
    cr_assert(change.applied);
    job_free(job);
}

/* One batch of ready jobs with ids from `first` on. */
void stage_insert_batch(uint64_t first, size_t count)
{
    struct job *jobs[1000];
    cr_assert_leq(count, 1000);
    stage_begin();
    for (size_t i = 0; i < count; i++) {
        jobs[i] = stage_make_job(first + i, &lanes[0], JOB_READY);
        struct store_change change = {.kind = CHANGE_INSERT, .job = jobs[i]};
        stage_apply(&change);
    }
    stage_commit();
    for (size_t i = 0; i < count; i++)
        job_free(jobs[i]);
}

/* A copy of the row; its views are not valid. */
bool stage_copy_row(void *context, const struct stored_job *row)
{
    *(struct stored_job *)context = *row;
    return false;
}

struct stored_job stage_read_row(uint64_t id)
{
    struct stored_job row = {0};
    cr_assert_eq(store_read_job(store, id, stage_copy_row, &row, NULL), 0);
    return row;
}

enum job_state stage_state_of(uint64_t id)
{
    return stage_read_row(id).state;
}

/* The counts in memory are those of the file, and those of its rows; closes and opens the store. */
void stage_check_counts(void)
{
    int64_t expected[STAGE_LANES][JOB_STATES];
    for (uint32_t i = 0; i < STAGE_LANES; i++)
        memcpy(expected[i], lanes[i].counts, sizeof expected[i]);
    stage_close();
    struct aw_sqlite *database;
    struct aw_error error = {0};
    cr_assert_eq(aw_sqlite_open(&database, "queue.db", NULL, &error), 0, "%s", error.message);
    for (uint32_t i = 0; i < STAGE_LANES; i++)
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
    stage_open();
    for (uint32_t i = 0; i < STAGE_LANES; i++)
        cr_expect_eq(memcmp(expected[i], lanes[i].counts, sizeof expected[i]), 0);
}
