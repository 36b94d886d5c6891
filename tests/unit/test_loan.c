/* test_loan.c - receiving into buffers of the loop: lent one at a time, given back, never lost. */
#include <await.h>

#include "ring/loan.h"
#include "ring/request.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int pair(int ends[2])
{
    int result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    cr_expect_eq(result, 0);
    return result;
}

static void close_pair(int ends[2])
{
    cr_expect_eq(aw_close(ends[0]), 0);
    cr_expect_eq(aw_close(ends[1]), 0);
}

static int spawn(struct aw_task **ret_task, aw_function function, void *argument)
{
    int result = aw_spawn(ret_task, function, argument);
    cr_expect_eq(result, 0, "aw_spawn: %d", result);
    return result;
}

static int loan_body(void *argument)
{
    (void)argument;
    int ends[2];
    if (pair(ends) < 0)
        return -1;
    struct aw_loan loan = {0};
    cr_expect_eq(aw_send_all(ends[0], "lent bytes", 10), 0);
    int size = aw_receive_loan(ends[1], &loan);
    cr_expect_eq(size, 10);
    cr_expect_eq(memcmp(loan.data, "lent bytes", 10), 0);
    aw_receive_done(&loan);
    aw_close(ends[0]);
    struct aw_loan none = {0};
    cr_expect_eq(aw_receive_loan(ends[1], &none), 0);
    cr_expect_null(none.data);
    aw_receive_done(&none);
    aw_close(ends[1]);
    return 0;
}

Test(loan, lends_a_buffer)
{
    cr_assert_eq(aw_run(loan_body, NULL), 0);
}

enum { BORROWERS = 300 };

struct borrower {
    int ends[2];
    struct aw_event *everybody_done;
};

static int borrow(void *argument)
{
    struct borrower *borrower = argument;
    struct aw_loan loan;
    int size = aw_receive_loan(borrower->ends[1], &loan);
    if (size <= 0)
        return size;
    bool same = memcmp(loan.data, &borrower->ends[0], sizeof(int)) == 0;
    aw_yield(); /* others run while this one holds its loan */
    same = same && memcmp(loan.data, &borrower->ends[0], sizeof(int)) == 0;
    aw_receive_done(&loan);
    return same ? size : -EBADMSG;
}

static int borrowers_body(void *argument)
{
    (void)argument;
    static struct borrower borrowers[BORROWERS];
    struct aw_task *tasks[BORROWERS];
    int results[BORROWERS];
    for (int i = 0; i < BORROWERS; i++) {
        if (pair(borrowers[i].ends) < 0 || spawn(&tasks[i], borrow, &borrowers[i]) < 0)
            return -1;
    }
    for (int i = 0; i < BORROWERS; i++)
        cr_expect_eq(aw_send_all(borrowers[i].ends[0], &borrowers[i].ends[0], sizeof(int)), 0);
    cr_expect_eq(aw_gather(BORROWERS, tasks, results), 0);
    for (int i = 0; i < BORROWERS; i++) {
        cr_expect_eq(results[i], (int)sizeof(int));
        close_pair(borrowers[i].ends);
    }
    return 0;
}

Test(loan, more_borrowers_than_buffers_take_turns)
{
    cr_assert_eq(aw_run(borrowers_body, NULL), 0);
}

static int receive_loan_task(void *argument)
{
    struct aw_loan loan;
    int size = aw_receive_loan(*(int *)argument, &loan);
    if (size > 0)
        aw_receive_done(&loan);
    return size;
}

static int cancel_loans_body(void *argument)
{
    (void)argument;
    int ends[2];
    if (pair(ends) < 0)
        return -1;
    for (int i = 0; i < 200; i++) { /* more often than there are buffers: none may stay out */
        struct aw_task *task;
        if (spawn(&task, receive_loan_task, &ends[1]) < 0)
            return -1;
        aw_yield();
        aw_cancel(task);
        cr_expect_eq(aw_await(task), -ECANCELED);
    }
    cr_expect_eq(aw_send_all(ends[0], "x", 1), 0);
    cr_expect_eq(receive_loan_task(&ends[1]), 1);
    close_pair(ends);
    return 0;
}

Test(loan, a_cancelled_loan_keeps_no_buffer)
{
    cr_assert_eq(aw_run(cancel_loans_body, NULL), 0);
}

/* Takes every loan there is, out of one socket. */
static int take_all(int ends[2], struct aw_loan loans[RING_LOAN_COUNT])
{
    for (unsigned i = 0; i < RING_LOAN_COUNT; i++) {
        cr_expect_eq(aw_send_all(ends[0], "x", 1), 0);
        int size = aw_receive_loan(ends[1], &loans[i]);
        cr_expect_eq(size, 1);
        if (size != 1)
            return -1;
    }
    return 0;
}

static void return_all(struct aw_loan loans[RING_LOAN_COUNT])
{
    for (unsigned i = 0; i < RING_LOAN_COUNT; i++)
        aw_receive_done(&loans[i]);
}

/* The refused receive and this task's own operation complete in the same turn; this one runs first
 * and gives every loan back, to nobody, before the other has begun to wait. */
static int returned_before_the_wait_body(void *argument)
{
    (void)argument;
    static struct aw_loan loans[RING_LOAN_COUNT];
    int holder[2];
    int other[2];
    struct aw_task *task;
    if (pair(holder) < 0 || pair(other) < 0 || take_all(holder, loans) < 0)
        return -1;
    cr_expect_eq(aw_send_all(other[0], "y", 1), 0);
    if (spawn(&task, receive_loan_task, &other[1]) < 0)
        return -1;
    struct ring_request nop = {.kind = RING_NOP};
    cr_expect_eq(ring_perform(&nop), 0);
    return_all(loans);
    cr_expect_eq(aw_await(task), 1);
    close_pair(holder);
    close_pair(other);
    return 0;
}

Test(loan, one_that_came_back_before_the_wait_is_noticed, .timeout = 120)
{
    cr_assert_eq(aw_run(returned_before_the_wait_body, NULL), 0);
}

enum { IDLE = 2 * RING_LOAN_COUNT };

static int idle_body(void *argument)
{
    (void)argument;
    static struct aw_loan loans[RING_LOAN_COUNT];
    static int idle[IDLE][2];
    struct aw_task *tasks[IDLE];
    int holder[2];
    int busy[2];
    struct aw_task *task;
    if (pair(holder) < 0 || pair(busy) < 0 || take_all(holder, loans) < 0)
        return -1;
    for (int i = 0; i < IDLE; i++)
        if (pair(idle[i]) < 0 || spawn(&tasks[i], receive_loan_task, &idle[i][1]) < 0)
            return -1;
    if (spawn(&task, receive_loan_task, &busy[1]) < 0)
        return -1;
    aw_sleep(2); /* all of them have been refused by now */
    cr_expect_eq(aw_send_all(busy[0], "z", 1), 0);
    return_all(loans);
    cr_expect_eq(aw_await(task), 1);
    for (int i = 0; i < IDLE; i++)
        aw_cancel(tasks[i]);
    AW_IGNORE(aw_gather(IDLE, tasks, NULL));
    for (int i = 0; i < IDLE; i++)
        close_pair(idle[i]);
    close_pair(holder);
    close_pair(busy);
    return 0;
}

Test(loan, idle_sockets_do_not_use_up_the_wakes, .timeout = 120)
{
    cr_assert_eq(aw_run(idle_body, NULL), 0);
}

/* The one whose turn it is gets cancelled at that moment: the next one's turn. */
static int cancelled_in_turn_body(void *argument)
{
    (void)argument;
    static struct aw_loan loans[RING_LOAN_COUNT];
    int holder[2];
    int ends[2][2];
    struct aw_task *tasks[2];
    if (pair(holder) < 0 || take_all(holder, loans) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (pair(ends[i]) < 0)
            return -1;
        cr_expect_eq(aw_send_all(ends[i][0], "w", 1), 0);
        if (spawn(&tasks[i], receive_loan_task, &ends[i][1]) < 0)
            return -1;
    }
    aw_sleep(2);
    aw_receive_done(&loans[0]);
    aw_cancel(tasks[0]);
    cr_expect_eq(aw_await(tasks[0]), -ECANCELED);
    cr_expect_eq(aw_await(tasks[1]), 1);
    return_all(loans);
    close_pair(holder);
    for (int i = 0; i < 2; i++)
        close_pair(ends[i]);
    return 0;
}

Test(loan, the_turn_of_a_cancelled_task_passes_on, .timeout = 120)
{
    cr_assert_eq(aw_run(cancelled_in_turn_body, NULL), 0);
}
