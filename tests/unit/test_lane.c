/* test_lane.c - a lane's window: random operations against a naive list of what is ready. The rule
 * is that of lane.h: what lies at or before the cursor is in the window, the rest is not. */
#include "queue/lane.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define IDS 900u

static struct job *jobs[IDS]; /* ready; by id - 1 */
static bool in_window[IDS];

static bool before(const struct job *left, const struct job *right)
{
    return left->priority != right->priority ? left->priority < right->priority
                                             : left->id < right->id;
}

static struct job *make(uint64_t id)
{
    char text[64] = "";
    struct argument argument = {.data = text, .size = (uint32_t)(id % 64)};
    struct job *job = job_new(&argument, 1);
    cr_assert_not_null(job);
    job->id = id;
    job->priority = (uint32_t)random() % 4 == 0 ? 0 : (uint32_t)random() % 5;
    return job;
}

/* The first ready job in the window by the model. */
static struct job *first_in_window(void)
{
    struct job *first = NULL;
    for (uint32_t i = 0; i < IDS; i++)
        if (in_window[i] && (!first || before(jobs[i], first)))
            first = jobs[i];
    return first;
}

static void check(const struct lane *lane)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < IDS; i++) {
        if (!jobs[i])
            continue;
        cr_assert_eq(lane_admits(lane, jobs[i]), in_window[i], "job %u", i + 1);
        count += in_window[i];
        bytes += in_window[i] ? job_size_bytes(jobs[i]) : 0;
    }
    cr_assert_eq(lane->count, count);
    cr_assert_eq(lane->window_bytes, bytes);
    for (uint32_t i = 0; i < lane->count; i++) {
        struct job *job = lane->window[lane->head + i];
        cr_assert(in_window[job->id - 1]);
        if (i > 0)
            cr_assert(before(lane->window[lane->head + i - 1], job));
        uint32_t next = lane_next_priority(lane, i);
        cr_assert_gt(next, i);
        cr_assert_eq(lane->window[lane->head + next - 1]->priority, job->priority);
        if (next < lane->count)
            cr_assert_gt(lane->window[lane->head + next]->priority, job->priority);
    }
}

static void forget(struct job *job)
{
    in_window[job->id - 1] = false;
    jobs[job->id - 1] = NULL;
    job_free(job);
}

static void submit(struct lane *lane)
{
    uint32_t index = (uint32_t)random() % IDS;
    if (jobs[index])
        return;
    jobs[index] = make(index + 1);
    if (!lane_admits(lane, jobs[index]))
        return;
    cr_assert(lane_push(lane, jobs[index]));
    in_window[index] = true;
}

static void pop(struct lane *lane)
{
    struct job *expected = first_in_window();
    cr_assert_eq(lane_pop(lane), expected);
    if (expected)
        forget(expected);
}

static void remove_one(struct lane *lane)
{
    uint32_t index = (uint32_t)random() % IDS;
    if (!jobs[index])
        return;
    cr_assert_eq(lane_remove(lane, jobs[index]), in_window[index]);
    forget(jobs[index]);
}

static void evict(struct lane *lane)
{
    struct job *job = lane_evict(lane);
    if (!job) {
        cr_assert_eq(lane->count, 0);
        return;
    }
    in_window[job->id - 1] = false;
    for (uint32_t i = 0; i < IDS; i++)
        if (in_window[i])
            cr_assert(before(jobs[i], job));
}

/* Brings back what is behind the cursor, as a refill does: in order, `limit` of them. */
static void refill(struct lane *lane, uint32_t limit)
{
    while (limit-- > 0) {
        struct job *next = NULL;
        for (uint32_t i = 0; i < IDS; i++)
            if (jobs[i] && !in_window[i] && (!next || before(jobs[i], next)))
                next = jobs[i];
        if (!next) {
            lane->complete = true;
            return;
        }
        cr_assert(lane_push(lane, next));
        in_window[next->id - 1] = true;
        lane->cursor = lane_key_of(next);
    }
}

Test(lane, random_operations_agree_with_a_naive_list)
{
    struct lane lane = {.complete = true};
    srandom(20);
    for (int step = 0; step < 30000; step++) {
        /* phases of growth and of shrinking */
        long dice = random() % 100;
        long growth = step / 3000 % 2 ? 25 : 60;
        if (dice < growth)
            submit(&lane);
        else if (dice < 80)
            pop(&lane);
        else if (dice < 88)
            remove_one(&lane);
        else if (dice < 94)
            evict(&lane);
        else
            refill(&lane, (uint32_t)random() % 40);
        if (step % 7 == 0)
            check(&lane);
    }
    while (lane.count > 0)
        pop(&lane);
    for (uint32_t i = 0; i < IDS; i++)
        job_free(jobs[i]);
    free(lane.window);
}

Test(lane, both_ends_are_near)
{
    struct lane lane = {.complete = true};
    for (uint64_t id = 1; id <= 1000; id++) {
        struct job *job = make(2 * id);
        job->priority = 1;
        cr_assert_eq(lane_moves(&lane, job), 0);
        cr_assert(lane_push(&lane, job));
    }
    job_free(lane_pop(&lane));
    job_free(lane_pop(&lane));
    struct job *third = make(5);
    third->priority = 1;
    cr_expect_eq(lane_moves(&lane, third), 0);
    third->id = 9;
    cr_expect_eq(lane_moves(&lane, third), 2);
    third->id = 1901;
    cr_expect_eq(lane_moves(&lane, third), 50);
    job_free(third);
    while (lane.count > 0)
        job_free(lane_pop(&lane));
    free(lane.window);
}

Test(lane, an_emptied_window_gives_its_memory_back)
{
    struct lane lane = {.complete = true};
    for (uint64_t id = 1; id <= 1000; id++)
        cr_assert(lane_push(&lane, make(id)));
    cr_assert_geq(lane.capacity, 1000);
    while (lane.count > 0)
        job_free(lane_pop(&lane));
    cr_assert_leq(lane.capacity, 64);
    cr_assert_eq(lane.window_bytes, 0);
    free(lane.window);
}

Test(lane, asks_for_more_when_it_runs_low)
{
    struct lane lane = {.complete = true};
    cr_expect_not(lane_wants_refill(&lane));
    lane.complete = false;
    cr_expect(lane_wants_refill(&lane));
    lane.reading = true;
    cr_expect_not(lane_wants_refill(&lane));
    lane.reading = false;
    lane.count = LANE_WINDOW_LOW;
    cr_expect_not(lane_wants_refill(&lane));
}
