/* test_operation.c - operations on the ring: cancellation of each kind, data outranks it, what
 * nothing interrupts, and a cancel at each suspension point in turn. */
#include <await.h>

#include "ring/operation.h"
#include "ring/request.h"
#include "support/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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

static int listener_on_loopback(struct sockaddr_in *ret_address)
{
    socklen_t length = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(fd, (struct sockaddr *)ret_address, length), 0);
    cr_assert_eq(listen(fd, 0), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)ret_address, &length), 0);
    return fd;
}

/* --- cancellation ----------------------------------------------------------------------------- */
static int cancel_each_kind(void *argument)
{
    (void)argument;
    int ends[2];
    int pipe_ends[2];
    char bytes[16];
    struct sockaddr_in address;
    pair(ends);
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    int listener = listener_on_loopback(&address);
    struct ring_request waiting[] = {
        {.kind = RING_READ, .fd = pipe_ends[0], .buffer = bytes, .size = sizeof bytes,
         .offset = AW_AT_POSITION},
        {.kind = RING_RECEIVE, .fd = ends[0], .buffer = bytes, .size = sizeof bytes},
        {.kind = RING_RECEIVE_LOAN, .fd = ends[0]},
        {.kind = RING_POLL, .fd = ends[0], .flags = POLLIN},
        {.kind = RING_ACCEPT, .fd = listener, .flags = SOCK_CLOEXEC},
    };
    for (size_t i = 0; i < sizeof waiting / sizeof waiting[0]; i++) {
        struct job job;
        start(&job, waiting[i]);
        aw_sleep(1);
        cr_expect_eq(operations_running(), 1);
        aw_cancel(job.task);
        cr_expect_eq(finish(&job), -ECANCELED, "kind %d", waiting[i].kind);
        struct aw_scope scope;
        aw_scope_enter(&scope, aw_after_ms(2));
        cr_expect_eq(ring_perform(&waiting[i]), -ETIME, "kind %d", waiting[i].kind);
        cr_expect_eq(ring_perform(&waiting[i]), -ETIME, "level-triggered");
        aw_scope_leave(&scope);
        cr_expect_eq(operations_running(), 0);
    }
    close(listener);
    close_pair(ends);
    close_pair(pipe_ends);
    return 0;
}

Test(operation, each_kind_of_wait_can_be_cancelled)
{
    int before = open_descriptors();
    cr_assert_eq(aw_run(cancel_each_kind, NULL), 0);
    cr_assert_eq(open_descriptors(), before);
}

static int cancel_connect(void *argument)
{
    (void)argument;
    struct sockaddr_in address;
    int listener = listener_on_loopback(&address);
    /* a listener without room lets connects wait: fill it up, then cancel one that waits */
    struct job jobs[4];
    int sockets[4];
    for (int i = 0; i < 4; i++) {
        sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        start(&jobs[i], (struct ring_request){.kind = RING_CONNECT,
                                              .fd = sockets[i],
                                              .buffer = &address,
                                              .size = sizeof address});
    }
    aw_sleep(20);
    cr_expect_gt(operations_running(), 0);
    int cancelled = 0;
    for (int i = 0; i < 4; i++) {
        aw_cancel(jobs[i].task);
        int result = finish(&jobs[i]);
        cr_expect(result == 0 || result == -ECANCELED, "connect gave %d", result);
        cancelled += result == -ECANCELED;
        close(sockets[i]);
    }
    cr_expect_gt(cancelled, 0);
    cr_expect_eq(operations_running(), 0);
    close(listener);
    return 0;
}

Test(operation, a_connect_can_be_cancelled)
{
    cr_assert_eq(aw_run(cancel_connect, NULL), 0);
}

static int data_first(void *argument)
{
    (void)argument;
    int ends[2];
    char bytes[8] = "";
    pair(ends);
    struct job job;
    start(&job, (struct ring_request){
                    .kind = RING_RECEIVE, .fd = ends[0], .buffer = bytes, .size = sizeof bytes});
    aw_sleep(1);
    /* the data lies there when the cancel reaches the kernel: it must be delivered, not lost */
    cr_assert_eq(write(ends[1], "abc", 3), 3);
    aw_cancel(job.task);
    int result = finish(&job);
    if (result == -ECANCELED) {
        cr_expect_eq(read(ends[0], bytes, sizeof bytes), 3, "neither delivered nor left");
    } else {
        cr_expect_eq(result, 3);
    }
    cr_expect_eq(memcmp(bytes, "abc", 3), 0);
    close_pair(ends);
    return 0;
}

Test(operation, data_that_has_come_is_never_lost_to_cancellation)
{
    for (int i = 0; i < 50; i++)
        cr_assert_eq(aw_run(data_first, NULL), 0);
}

static int completed_then_cancelled(void *argument)
{
    struct job *job = argument;
    int ends[2];
    char bytes[8];
    pair(ends);
    start(job, (struct ring_request){
                   .kind = RING_RECEIVE, .fd = ends[0], .buffer = bytes, .size = sizeof bytes});
    aw_sleep(1);
    cr_assert_eq(write(ends[1], "abc", 3), 3);
    /* both completions come in one turn; this task runs first, being first in the queue */
    struct ring_request nop = {.kind = RING_NOP};
    cr_expect_eq(ring_perform(&nop), 0);
    aw_cancel(job->task);
    cr_expect_eq(finish(job), 3);
    close_pair(ends);
    return 0;
}

Test(operation, a_completed_operation_outranks_cancellation)
{
    struct job job;
    cr_assert_eq(aw_run(completed_then_cancelled, &job), 0);
}

static int shielded(void *argument)
{
    (void)argument;
    int pipe_ends[2];
    char bytes[8];
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC), 0);
    struct job job;
    start(&job, (struct ring_request){.kind = RING_READ,
                                      .shielded = true,
                                      .fd = pipe_ends[0],
                                      .buffer = bytes,
                                      .size = sizeof bytes,
                                      .offset = AW_AT_POSITION});
    aw_cancel(job.task); /* even before it began */
    aw_sleep(2);
    cr_expect_not(aw_finished(job.task));
    cr_assert_eq(write(pipe_ends[1], "abcd", 4), 4);
    cr_expect_eq(finish(&job), 4);
    /* closing is shielded by itself: a cancelled task must not leak what it closes */
    start(&job, (struct ring_request){.kind = RING_CLOSE, .fd = pipe_ends[0]});
    aw_cancel(job.task);
    cr_expect_eq(finish(&job), 0);
    cr_expect_eq(fcntl(pipe_ends[0], F_GETFD), -1);
    close(pipe_ends[1]);
    return 0;
}

Test(operation, a_shielded_request_is_finished)
{
    cr_assert_eq(aw_run(shielded, NULL), 0);
}

/* --- non-blocking descriptors ----------------------------------------------------------------- */
static int non_blocking(void *argument)
{
    (void)argument;
    int ends[2];
    int pipe_ends[2];
    char bytes[8];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    cr_assert_eq(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    struct ring_request requests[] = {
        {.kind = RING_READ, .fd = pipe_ends[0], .buffer = bytes, .size = sizeof bytes,
         .offset = AW_AT_POSITION},
        {.kind = RING_RECEIVE, .fd = ends[0], .buffer = bytes, .size = sizeof bytes},
    };
    int writers[] = {pipe_ends[1], ends[1]};
    for (int i = 0; i < 2; i++) {
        struct job job;
        start(&job, requests[i]);
        aw_sleep(2);
        cr_expect_not(aw_finished(job.task), "kind %d gave %d", requests[i].kind, job.result);
        cr_assert_eq(write(writers[i], "abc", 3), 3);
        cr_expect_eq(finish(&job), 3);
    }
    requests[1].flags = MSG_DONTWAIT;
    cr_expect_eq(ring_perform(&requests[1]), -EAGAIN, "asked for not waiting");
    close_pair(ends);
    close_pair(pipe_ends);
    return 0;
}

Test(operation, a_non_blocking_descriptor_is_waited_for)
{
    cr_assert_eq(aw_run(non_blocking, NULL), 0);
}

/* --- cancelled at each of its suspension points ----------------------------------------------- */
struct errand {
    struct aw_task *task;
    int peer[2];
    bool completed;
};

static int exchange(int socket, int other)
{
    char bytes[4];
    int result = aw_send_all(other, "ping", 4);
    if (result == 0)
        result = aw_receive(socket, bytes, sizeof bytes);
    struct aw_loan loan = {0};
    if (result >= 0)
        result = aw_send_all(other, "pong", 4);
    if (result >= 0)
        result = aw_receive_loan(socket, &loan);
    aw_receive_done(&loan);
    return result;
}

/* Opens, writes, reads, connects, waits: whatever step is cancelled, all it opened is closed. */
static int run_errand(void *argument)
{
    struct errand *errand = argument;
    int fd = aw_open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return fd;
    int result = aw_write(fd, "bytes", 5, 0);
    if (result >= 0)
        result = aw_sync(fd, true);
    if (result >= 0)
        result = aw_sleep(0);
    if (result >= 0)
        result = exchange(errand->peer[0], errand->peer[1]);
    int closed = aw_close(fd);
    errand->completed = result >= 0;
    return result < 0 ? result : closed;
}

static int cancel_at(void *argument)
{
    int *nth = argument;
    struct errand errand = {.completed = false};
    pair(errand.peer);
    cr_assert_eq(aw_spawn(&errand.task, run_errand, &errand), 0);
    /* turns are short and a sync is long: past the first ones the steps are milliseconds */
    for (int i = 0; i < *nth && !aw_finished(errand.task); i++)
        aw_sleep(i < 50 ? 0 : 1);
    aw_cancel(errand.task);
    int result = aw_await(errand.task);
    cr_expect(result == -ECANCELED || errand.completed, "cancelled at %d: %d", *nth, result);
    cr_expect_eq(operations_running(), 0);
    cr_expect_eq(aw_task_count(), 2);
    close_pair(errand.peer);
    return errand.completed;
}

Test(operation, cancelled_at_every_suspension_nothing_leaks)
{
    int before = open_descriptors();
    int completed = 0;
    int nth = 0;
    for (; nth < 1000 && completed < 3; nth++) {
        completed = aw_run(cancel_at, &nth) == 1 ? completed + 1 : 0;
        cr_assert_eq(open_descriptors(), before, "cancelled at %d", nth);
    }
    cr_assert_gt(nth, 5);
    cr_assert_eq(completed, 3, "it never completed untouched");
}
