/* test_committer.c - group commit on a real store: the order of callbacks, batches that gather
 * while one is on the disk, reads behind the changes made before them, congestion, and a full
 * disk. */
#include "admin/log.h"
#include "queue/broker_state.h"
#include "queue/job_extras.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void enter_folder(void)
{
    folder_make(folder, sizeof folder);
    if (chdir(folder) != 0)
        abort();
    log_set_level(LOG_LEVEL_ERROR);
}

static void leave_folder(void)
{
    folder_remove(folder);
}

TestSuite(committer, .init = enter_folder, .fini = leave_folder, .timeout = 120);

/* --- the stage ---------------------------------------------------------------------- */

static struct job_queue queue = {.name = (char[]){"default"}};
static char target_name[] = "local";
static struct lane lane;
static struct store *store;
static struct committer committer;
static struct aw_group group;

static struct lane *the_lane(void *context, uint32_t id)
{
    (void)context;
    (void)id;
    return &lane;
}

static struct lane *found(void *context, const char *queue_name, const char *target, uint32_t id)
{
    (void)queue_name;
    (void)target;
    return the_lane(context, id);
}

static void start(void)
{
    struct aw_error error = {0};
    lane = (struct lane){.id = 1, .queue = &queue, .target_name = target_name};
    cr_assert_eq(store_open(&store, ".", found, the_lane, NULL, &error), 0, "%s", error.message);
    committer_init(&committer, store);
    aw_group_init(&group, AW_GROUP_COLLECT);
    cr_assert_eq(aw_group_spawn(&group, committer_main, &committer), 0);
}

static void stop(void)
{
    committer_close(&committer);
    AW_IGNORE(aw_group_wait(&group));
    store_close(store);
}

static int run_body(void *argument)
{
    void (*body)(void) = (void (*)(void))argument;
    start();
    body();
    stop();
    return 0;
}

static void run(void (*body)(void))
{
    struct aw_error error = {0};
    int result = aw_run_with(NULL, run_body, (void *)body, &error);
    cr_assert_eq(result, 0, "%s", error.message);
}

struct item {
    struct store_change change;
    int result;
    unsigned order; /* of its callback, from 1; 0: not called */
};

static unsigned callbacks;

static void item_done(struct store_change *change, int result)
{
    struct item *item = change->context;
    cr_assert_eq(item->order, 0, "called twice");
    item->order = ++callbacks;
    item->result = result;
    if (change->job)
        job_free(change->job);
    change->job = NULL;
}

static void insert(struct item *item, uint64_t id, uint32_t payload_size)
{
    char *data = calloc(1, payload_size + 1);
    struct argument argument = {.data = data, .size = payload_size};
    struct job *job = data ? job_new(&argument, 1) : NULL;
    cr_assert_not_null(job);
    free(data);
    job->id = id;
    job->lane = &lane;
    job->state = JOB_READY;
    *item = (struct item){
        .change = {.kind = CHANGE_INSERT, .job = job, .done = item_done, .context = item}};
    committer_add(&committer, &item->change);
}

static void cancel(struct item *item, uint64_t id)
{
    *item = (struct item){
        .change = {.kind = CHANGE_CANCEL, .id = id, .now_ms = 1, .done = item_done,
                   .context = item}};
    committer_add(&committer, &item->change);
}

static bool take_state(void *context, const struct stored_job *row)
{
    *(int *)context = (int)row->state;
    return false;
}

struct look {
    struct store_read read;
    uint64_t id;
    int state; /* -1: not there */
    unsigned after; /* callbacks before it */
};

static void perform_look(struct store_read *read, struct store *the_store)
{
    struct look *look = read->context;
    look->after = callbacks;
    look->state = -1;
    int result = store_read_job(the_store, look->id, take_state, &look->state, NULL);
    cr_assert(result == 0 || result == -ENOENT);
}

static int look_at(uint64_t id)
{
    struct look look = {.id = id, .read = {.perform = perform_look}};
    look.read.context = &look;
    committer_read(&committer, &look.read);
    return look.state;
}

/* --- tests -------------------------------------------------------------------------- */

static void order(void)
{
    enum { COUNT = 500 };
    static struct item items[COUNT];
    struct item first;
    insert(&first, 1000000, 10);
    while (first.order == 0)
        cr_assert_eq(aw_sleep(0), 0);
    struct store_statistics before;
    store_statistics(store, &before);
    /* the first of these goes to the disk alone; the others gather behind it */
    for (uint64_t i = 0; i < COUNT; i++) {
        insert(&items[i], i + 1, 10);
        cr_expect_eq(items[i].order, 0, "called back before it returned");
        if (i == 0)
            cr_assert_eq(aw_yield(), 0);
    }
    cr_expect_eq(look_at(COUNT), JOB_READY);
    for (unsigned i = 0; i < COUNT; i++) {
        cr_expect_eq(items[i].order, i + 2);
        cr_expect_eq(items[i].result, 0);
    }
    struct store_statistics after;
    store_statistics(store, &after);
    cr_expect_leq(after.commits - before.commits, 3);
    cr_expect_geq(committer.largest_batch, COUNT / 2);
    cr_expect_eq(committer_pending(&committer), 0);
    cr_expect_eq(committer.pending_bytes, 0);
}

Test(committer, changes_gather_and_are_called_back_in_order)
{
    run(order);
}

static void reads_follow(void)
{
    enum { COUNT = BATCH_CHANGES * 2 + 10 };
    struct item *items = calloc(COUNT, sizeof *items);
    cr_assert_not_null(items);
    for (uint64_t i = 0; i < COUNT; i++)
        insert(&items[i], i + 1, 10);
    struct item last;
    cancel(&last, COUNT);
    cr_expect_eq(look_at(COUNT), JOB_CANCELLED, "the read went ahead of changes made before it");
    cr_expect_eq(last.order, COUNT + 1);
    cr_expect_eq(look_at(COUNT + 1), -1);
    cr_expect_leq(committer.largest_batch, BATCH_CHANGES);
    free(items);
}

Test(committer, reads_see_all_changes_made_before_them)
{
    run(reads_follow);
}

static int wait_uncongested(void *argument)
{
    int result = aw_event_wait(&committer.uncongested);
    *(bool *)argument = true;
    return result;
}

static void congestion(void)
{
    enum { COUNT = 80 };
    static struct item items[COUNT];
    cr_expect_not(committer_is_congested(&committer));
    for (uint64_t i = 0; i < COUNT; i++)
        insert(&items[i], i + 1, 1 << 20);
    cr_expect(committer_is_congested(&committer));
    bool passed = false;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, wait_uncongested, &passed), 0);
    cr_assert_eq(aw_yield(), 0);
    cr_expect_not(passed);
    cr_assert_eq(aw_await(task), 0);
    cr_expect(passed);
    cr_expect_not(committer_is_congested(&committer));
    cr_expect_eq(look_at(COUNT), JOB_READY);
}

Test(committer, congestion_ends_with_the_commit)
{
    run(congestion);
}

/* Hands over one that is AFTER job 1, named ten thousand times. */
static void insert_after(struct item *item, uint64_t id)
{
    static uint64_t parents[10000];
    struct submit_options options = {.after = parents,
                                     .after_count = sizeof parents / sizeof parents[0]};
    for (uint32_t i = 0; i < options.after_count; i++)
        parents[i] = 1;
    struct job *job = job_new(NULL, 0);
    cr_assert_not_null(job);
    job->id = id;
    job->lane = &lane;
    job->state = JOB_READY;
    cr_assert_eq(job_extras_add(job, &options, 0, NULL), 0);
    *item = (struct item){
        .change = {.kind = CHANGE_INSERT, .job = job, .done = item_done, .context = item}};
    committer_add(&committer, &item->change);
}

static void large_extras(void)
{
    enum { COUNT = 1000 };
    static struct item items[COUNT];
    insert(&items[0], 1, 10);
    for (uint64_t i = 1; i < COUNT; i++)
        insert_after(&items[i], i + 1);
    cr_expect(committer_is_congested(&committer));
    cr_expect_eq(look_at(COUNT), JOB_BLOCKED);
    cr_expect_eq(committer.pending_bytes, 0);
    cr_expect_not(committer_is_congested(&committer));
}

Test(committer, what_jobs_wait_for_counts)
{
    run(large_extras);
}

static void large_results(void)
{
    struct buffer result = {0};
    cr_assert_eq(buffer_reserve(&result, CONGESTED_BYTES + 1), 0);
    struct item items[2];
    insert(&items[0], 1, 10);
    struct job *job = job_new(NULL, 0);
    cr_assert_not_null(job);
    job->id = 1;
    job->lane = &lane;
    items[1] = (struct item){.change = {.kind = CHANGE_FINISH, .job = job, .state = JOB_DONE,
                                        .purge_ms = 1, .result = &result, .done = item_done,
                                        .context = &items[1]}};
    committer_add(&committer, &items[1].change);
    cr_expect(committer_is_congested(&committer), "results count too");
    cr_expect_eq(look_at(1), JOB_DONE);
    cr_expect_not(committer_is_congested(&committer));
    buffer_free(&result);
}

Test(committer, results_that_wait_for_the_disk_count)
{
    run(large_results);
}

static void closing(void)
{
    static struct item items[100];
    for (uint64_t i = 0; i < 100; i++)
        insert(&items[i], i + 1, 10);
    committer_close(&committer);
    AW_IGNORE(aw_group_wait(&group));
    for (int i = 0; i < 100; i++) {
        cr_expect_neq(items[i].order, 0);
        cr_expect_eq(items[i].result, 0);
    }
}

Test(committer, closing_commits_what_is_left)
{
    run(closing);
}

/* --- a full disk -------------------------------------------------------------------- */

static void make_ballast(void)
{
    int fd = open("ballast", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(posix_fallocate(fd, 0, 10 << 20), 0);
    close(fd);
}

static void run_on_small_disk(void (*body)(void))
{
    if (mkdir("small", 0700) != 0 || mount("none", "small", "tmpfs", 0, "size=16m") != 0)
        cr_skip_test("needs to mount a small file system");
    cr_assert_eq(chdir("small"), 0);
    make_ballast();
    run(body);
    cr_assert_eq(chdir(".."), 0);
    cr_expect_eq(umount("small"), 0);
}

/* Fills the disk: the last item was refused. */
static uint64_t fill(struct item *item, uint64_t id)
{
    for (;; id++) {
        insert(item, id, 100000);
        AW_IGNORE(look_at(id));
        cr_assert_neq(item->order, 0);
        if (item->result < 0)
            return id;
        cr_assert_leq(id, 1000, "the disk never fills");
    }
}

static void full_and_idle(void)
{
    struct item item;
    uint64_t id = fill(&item, 1);
    cr_expect_eq(item.result, -ENOSPC);
    cr_expect(committer_refuses(&committer));
    cr_expect_eq(look_at(1), JOB_READY, "reading goes on");
    cr_assert_eq(unlink("ballast"), 0);
    /* nothing is left to be stored: it must find out by itself that there is room again */
    for (int i = 0; i < 6000 && committer_refuses(&committer); i++)
        cr_assert_eq(aw_sleep(10), 0);
    cr_assert_not(committer_refuses(&committer));
    insert(&item, id, 100000);
    cr_expect_eq(look_at(id), JOB_READY);
    cr_expect_not(committer.disk_full);
}

Test(committer, a_full_disk_without_outcomes_is_tried_again)
{
    run_on_small_disk(full_and_idle);
}

static struct item *finish(uint64_t id, const struct buffer *result)
{
    struct item *item = calloc(1, sizeof *item);
    struct job *job = job_new(NULL, 0);
    cr_assert(item && job);
    job->id = id;
    job->lane = &lane;
    item->change = (struct store_change){.kind = CHANGE_FINISH, .job = job, .state = JOB_DONE,
                                         .purge_ms = 1, .result = result, .done = item_done,
                                         .context = item};
    committer_add(&committer, &item->change);
    return item;
}

static void make_result(struct buffer *result)
{
    static char bytes[6 << 20];
    *result = (struct buffer){0};
    buffer_append(result, bytes, sizeof bytes);
    cr_assert_not(result->failed);
}

static void outcomes_are_kept(void)
{
    struct item item;
    struct buffer result;
    make_result(&result);
    uint64_t id = fill(&item, 1);
    struct item *outcome = finish(1, &result);
    struct item later;
    cancel(&later, 1);
    cr_assert_eq(aw_sleep(700), 0);
    cr_expect_eq(outcome->order, 0, "kept until there is room");
    while (!committer_refuses(&committer)) /* between one try and the next it does not */
        cr_assert_eq(aw_sleep(1), 0);
    cr_assert_eq(unlink("ballast"), 0);
    while (outcome->order == 0)
        cr_assert_eq(aw_sleep(10), 0);
    cr_expect_eq(outcome->result, 0);
    cr_expect(outcome->change.applied);
    cr_expect_eq(look_at(1), JOB_DONE);
    cr_expect_eq(later.order, outcome->order + 1);
    cr_expect_not(later.change.applied, "the order is kept");
    cr_expect_eq(look_at(id), -1);
    buffer_free(&result);
    free(outcome);
}

Test(committer, a_full_disk_keeps_outcomes_in_order)
{
    run_on_small_disk(outcomes_are_kept);
}

static void stopping_on_a_full_disk(void)
{
    struct item item;
    struct buffer result;
    make_result(&result);
    fill(&item, 1);
    struct item *outcome = finish(1, &result);
    cr_assert_eq(aw_sleep(50), 0);
    cr_expect_eq(outcome->order, 0);
    committer_give_up_at(&committer, aw_after_ms(100));
    committer_close(&committer);
    AW_IGNORE(aw_group_wait(&group));
    cr_expect_eq(outcome->result, -ENOSPC);
    cr_expect_eq(committer_pending(&committer), 0);
    buffer_free(&result);
    free(outcome);
}

Test(committer, a_full_disk_does_not_hold_up_the_end)
{
    run_on_small_disk(stopping_on_a_full_disk);
}
