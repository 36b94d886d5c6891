/* test_broker_crash.c - SIGKILL at random moments: what was acknowledged is there after the next
 * start, or done. */
#include "support/queue_stage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 8
#define JOBS_MAX 60000u
#define BURST 50

static struct queue_stage stage;

static void make_stage(void)
{
    queue_stage_make(&stage);
}

static void remove_stage(void)
{
    queue_stage_remove(&stage);
}

TestSuite(broker_crash, .init = make_stage, .fini = remove_stage, .timeout = 240);

struct acknowledgement {
    uint64_t id;
    uint64_t number;
};

static struct acknowledgement acknowledged[JOBS_MAX];
static uint32_t acknowledged_count;

/* --- the child: submits until it is killed ------------------------------------------ */

static int pipe_to_parent;
static uint64_t next_number;

/* A write of a few bytes to a pipe is whole or not at all. */
static void acknowledge(uint64_t id, uint64_t number)
{
    struct acknowledgement line = {.id = id, .number = number};
    if (write(pipe_to_parent, &line, sizeof line) != (ssize_t)sizeof line)
        _exit(3);
}

static void submit_for_ever(void)
{
    queue_stage_open(&stage, "[queue default]\nconcurrency = 8\n");
    acknowledge(0, 0); /* it runs */
    for (;;) {
        uint64_t ids[BURST];
        uint64_t first = next_number;
        for (int i = 0; i < BURST; i++) {
            char sql[100];
            snprintf(sql, sizeof sql, "INSERT INTO effect VALUES (%" PRIu64 ")", next_number);
            queue_stage_submit_later(&stage, next_number % 7 == 0 ? "DELAY 20 local" : "local", sql,
                                     &ids[i]);
            next_number++;
        }
        for (int i = 0; i < BURST; i++) {
            while (ids[i] == 0)
                if (aw_yield() < 0)
                    _exit(4);
            acknowledge(ids[i], first + (uint64_t)i);
        }
    }
}

static bool read_acknowledgement(int from_child)
{
    struct acknowledgement line;
    if (read(from_child, &line, sizeof line) != (ssize_t)sizeof line)
        return false;
    cr_assert_lt(acknowledged_count, JOBS_MAX);
    if (line.id > 0)
        acknowledged[acknowledged_count++] = line;
    return true;
}

/* Kills the child a moment after a random number of acknowledgements; then takes those on their
 * way. */
static void kill_at_random(pid_t child, int from_child)
{
    for (long left = 1 + random() % 1200; left > 0; left--)
        cr_assert(read_acknowledgement(from_child));
    cr_assert_eq(usleep((useconds_t)(random() % 3000)), 0);
    cr_assert_eq(kill(child, SIGKILL), 0);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the child failed by itself");
    while (read_acknowledgement(from_child)) {
    }
}

static void run_and_kill(uint64_t round)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        close(ends[0]);
        pipe_to_parent = ends[1];
        next_number = round * 1000000;
        queue_stage_run(submit_for_ever);
        _exit(5);
    }
    close(ends[1]);
    kill_at_random(child, ends[0]);
    close(ends[0]);
}

/* --- afterwards --------------------------------------------------------------------- */

static int compare(const void *left, const void *right)
{
    uint64_t a = ((const struct acknowledgement *)left)->id;
    uint64_t b = ((const struct acknowledgement *)right)->id;
    return (a > b) - (a < b);
}

static void check_all(void)
{
    queue_stage_open(&stage, "");
    for (uint32_t i = 0; i < acknowledged_count; i++)
        cr_assert_eq(queue_stage_end_of(&stage, acknowledged[i].id), JOB_DONE);
    /* their effects are all there; at-least-once allows more than one */
    for (uint32_t i = 0; i < acknowledged_count; i += 97) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM effect WHERE number = %" PRIu64,
                 acknowledged[i].number);
        cr_expect_geq(queue_stage_number(&stage, sql), 1);
    }
    cr_expect_geq(queue_stage_number(&stage, "SELECT count(DISTINCT number) FROM effect"),
                  acknowledged_count);
    queue_stage_close(&stage);
    qsort(acknowledged, acknowledged_count, sizeof acknowledged[0], compare);
    for (uint32_t i = 1; i < acknowledged_count; i++)
        cr_assert_neq(acknowledged[i].id, acknowledged[i - 1].id, "an id was given twice");
}

Test(broker_crash, what_was_acknowledged_survives)
{
    srandom((unsigned)getpid());
    for (uint64_t round = 1; round <= ROUNDS; round++)
        run_and_kill(round);
    cr_expect_gt(acknowledged_count, ROUNDS);
    queue_stage_run(check_all);
}
