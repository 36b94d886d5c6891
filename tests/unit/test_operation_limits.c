/* test_operation_limits.c - more operations than the table or the submission queue holds, and
 * linked batches. */
#include <await.h>

#include "ring/operation.h"
#include "ring/request.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void pair(int ends[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void close_pair(int ends[2])
{
    cr_assert_eq(close(ends[0]), 0);
    cr_assert_eq(close(ends[1]), 0);
}

/* One request in a task of its own. */
struct job {
    struct ring_request request;
    struct aw_task *task;
    int result;
};

static int perform(void *argument)
{
    struct job *job = argument;
    job->result = ring_perform(&job->request);
    return 0;
}

static void start(struct job *job, struct ring_request request)
{
    *job = (struct job){.request = request, .result = 1};
    cr_assert_eq(aw_spawn(&job->task, perform, job), 0);
}

static int finish(struct job *job)
{
    cr_assert_eq(aw_await(job->task), 0);
    return job->result;
}

/* --- limits ----------------------------------------------------------------------------------- */
enum { MANY = 5000 };

static int many_at_once(void *argument)
{
    (void)argument;
    static struct job jobs[MANY];
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    static char bytes[MANY];
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < MANY; i++)
        start(&jobs[i], (struct ring_request){
                            .kind = RING_READ, .fd = fd, .buffer = &bytes[i], .size = 1});
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(finish(&jobs[i]), 1);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(bytes[i], 0);
    cr_expect_eq(operations_running(), 0);
    close(fd);
    return 0;
}

Test(operation_limits, more_than_the_submission_queue_holds)
{
    cr_assert_eq(aw_run(many_at_once, NULL), 0);
}

static int many_waiting(void *argument)
{
    (void)argument;
    static struct job jobs[MANY];
    int ends[2];
    pair(ends);
    for (int i = 0; i < MANY; i++)
        start(&jobs[i],
              (struct ring_request){.kind = RING_POLL, .fd = ends[0], .flags = POLLIN});
    while (operations_running() < MANY)
        aw_sleep(1);
    cr_expect_eq(operations_running(), MANY);
    for (int i = 0; i < MANY; i += 2)
        aw_cancel(jobs[i].task);
    for (int i = 0; i < MANY; i += 2)
        cr_assert_eq(finish(&jobs[i]), -ECANCELED);
    cr_expect_eq(operations_running(), MANY / 2);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    for (int i = 1; i < MANY; i += 2)
        cr_assert_eq(finish(&jobs[i]), POLLIN);
    cr_expect_eq(operations_running(), 0);
    close_pair(ends);
    return 0;
}

Test(operation_limits, thousands_wait_and_half_are_cancelled)
{
    cr_assert_eq(aw_run(many_waiting, NULL), 0);
}

enum { LIMIT = 4 };

static int over_the_limit(void *argument)
{
    (void)argument;
    int ends[2];
    pair(ends);
    struct ring_request poll = {.kind = RING_POLL, .fd = ends[0], .flags = POLLIN};
    struct job waiting[LIMIT];
    struct job behind[3];
    for (int i = 0; i < LIMIT; i++)
        start(&waiting[i], poll);
    for (int i = 0; i < 3; i++)
        start(&behind[i], (struct ring_request){.kind = RING_NOP});
    aw_sleep(2);
    cr_expect_eq(operations_running(), LIMIT);
    cr_expect_eq(behind[0].result, 1, "it went over the limit");
    /* interrupted while it waits for its turn */
    aw_cancel(behind[0].task);
    cr_expect_eq(finish(&behind[0]), -ECANCELED);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(1));
    cr_expect_eq(ring_perform(&poll), -ETIME);
    aw_scope_leave(&scope);
    /* a slot is given back, and goes to the first that waits, cancelled at the same moment */
    aw_cancel(waiting[0].task);
    cr_expect_eq(finish(&waiting[0]), -ECANCELED);
    aw_cancel(behind[1].task);
    int result = finish(&behind[1]);
    cr_expect(result == 0 || result == -ECANCELED);
    cr_expect_eq(finish(&behind[2]), 0);
    /* what nothing interrupts is not held up by a table full of waits */
    struct ring_request writes[64];
    int results[64];
    for (int i = 0; i < 64; i++)
        writes[i] = (struct ring_request){.kind = RING_NOP};
    start(&behind[0], poll);
    aw_sleep(1);
    cr_expect_eq(ring_perform_all(writes, 64, true, results), 0);
    struct ring_request close_request = {.kind = RING_CLOSE, .fd = dup(ends[0])};
    cr_expect_eq(ring_perform(&close_request), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    for (int i = 1; i < LIMIT; i++)
        cr_expect_eq(finish(&waiting[i]), POLLIN);
    cr_expect_eq(finish(&behind[0]), POLLIN);
    cr_expect_eq(operations_running(), 0);
    close_pair(ends);
    return 0;
}

Test(operation_limits, above_the_limit_tasks_wait_their_turn, .timeout = 120)
{
    struct aw_options options = {.operations_max = LIMIT};
    cr_assert_eq(aw_run_with(&options, over_the_limit, NULL, NULL), 0);
}

static int batches_in_crowd(void *argument)
{
    int *done = argument;
    struct ring_request requests[64];
    int results[64];
    for (int i = 0; i < 64; i++)
        requests[i] = (struct ring_request){.kind = RING_NOP};
    for (int round = 0; round < 10; round++) {
        cr_expect_eq(ring_perform_all(requests, 64, round & 1, results), 0);
        ++*done;
    }
    return 0;
}

static int crowd(void *argument)
{
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (int i = 0; i < 40; i++) /* 2,560 at once would be wanted, 1,024 may */
        cr_assert_eq(aw_group_spawn(&group, batches_in_crowd, argument), 0);
    return aw_group_wait(&group);
}

Test(operation_limits, batches_share_the_limit_without_starving, .timeout = 120)
{
    int done = 0;
    cr_assert_eq(aw_run(crowd, &done), 0);
    cr_assert_eq(done, 400);
}

/* --- batches ---------------------------------------------------------------------------------- */
static int linked_failure(void *argument)
{
    (void)argument;
    int pipe_ends[2];
    char bytes[8] = "";
    char out[] = "12345";
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    struct ring_request requests[4] = {
        {.kind = RING_WRITE, .fd = pipe_ends[1], .buffer = out, .size = 3,
         .offset = AW_AT_POSITION},
        {.kind = RING_WRITE, .fd = -1, .buffer = out, .size = 3, .offset = AW_AT_POSITION},
        {.kind = RING_WRITE, .fd = pipe_ends[1], .buffer = out, .size = 5,
         .offset = AW_AT_POSITION},
        {.kind = RING_NOP},
    };
    int results[4] = {1, 1, 1, 1};
    cr_expect_eq(ring_perform_all(requests, 4, true, results), -EBADF);
    cr_expect_eq(results[0], 3);
    cr_expect_eq(results[1], -EBADF);
    cr_expect_eq(results[2], -ECANCELED);
    cr_expect_eq(results[3], -ECANCELED);
    cr_expect_eq(read(pipe_ends[0], bytes, sizeof bytes), 3);
    /* unlinked, the others are not stopped */
    cr_expect_eq(ring_perform_all(requests, 4, false, results), -EBADF);
    cr_expect_eq(results[2], 5);
    cr_expect_eq(results[3], 0);
    close_pair(pipe_ends);
    return 0;
}

Test(operation_limits, a_failed_member_stops_a_linked_batch)
{
    cr_assert_eq(aw_run(linked_failure, NULL), 0);
}

static int batch_limits(void *argument)
{
    (void)argument;
    struct ring_request requests[65];
    int results[65];
    for (int i = 0; i < 65; i++) {
        requests[i] = (struct ring_request){.kind = RING_NOP};
        results[i] = 1;
    }
    cr_expect_eq(ring_perform_all(requests, 65, false, results), -EINVAL);
    cr_expect_eq(ring_perform_all(requests, 0, false, results), -EINVAL);
    cr_expect_eq(results[0], 1);
    cr_expect_eq(ring_perform_all(requests, 64, true, results), 0);
    for (int i = 0; i < 64; i++)
        cr_expect_eq(results[i], 0);
    cr_expect_eq(results[64], 1);
    return 0;
}

Test(operation_limits, a_batch_holds_64)
{
    cr_assert_eq(aw_run(batch_limits, NULL), 0);
}

/* A linked batch is queued in a turn whose submission queue others have nearly filled: the chain
 * must not be torn, so its members keep their order. */
static int crowded_link(void *argument)
{
    (void)argument;
    static struct job jobs[1000];
    int pipe_ends[2];
    char bytes[128] = "";
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    for (int i = 0; i < 1000; i++)
        start(&jobs[i], (struct ring_request){.kind = RING_NOP});
    AW_IGNORE(aw_yield());
    struct ring_request requests[60];
    int results[60];
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567";
    char copy[60];
    memcpy(copy, letters, sizeof copy);
    for (int i = 0; i < 60; i++)
        requests[i] = (struct ring_request){.kind = RING_WRITE, .fd = pipe_ends[1],
                                            .buffer = &copy[i], .size = 1,
                                            .offset = AW_AT_POSITION};
    cr_expect_eq(ring_perform_all(requests, 60, true, results), 0);
    cr_expect_eq(read(pipe_ends[0], bytes, sizeof bytes), 60);
    cr_expect_eq(memcmp(bytes, letters, 60), 0);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(finish(&jobs[i]), 0);
    close_pair(pipe_ends);
    return 0;
}

Test(operation_limits, a_linked_batch_is_not_torn_in_a_full_queue)
{
    cr_assert_eq(aw_run(crowded_link, NULL), 0);
}
