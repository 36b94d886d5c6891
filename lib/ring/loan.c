/* loan.c - see loan.h. When all loans are out, the kernel refuses a receive with ENOBUFS, even one
 * for which no data has come yet. */
#include "ring/loan.h"

#include "core/park.h"
#include "ring/backend.h"
#include "ring/operation.h"

#include <errno.h>
#include <poll.h>

#define NO_BUFFER UINT32_MAX

static _Thread_local struct {
    uint64_t returned_count; /* how often a loan came back */
    struct aw_wait_list waiters;
} loans;

static int wait_for_data(int fd)
{
    struct ring_request poll = {.kind = RING_POLL, .fd = fd, .flags = POLLIN | POLLRDHUP};
    int result = operation_perform(&poll, false, NULL);
    return result < 0 && result != -EINTR ? result : 0;
}

/* A task needs a loan only once there is something to put in it: it waits for data first and then
 * in line, since an idle socket would use up the wake of one that has data. */
static int wait_for_loan(int fd, uint64_t returned_before, bool *granted)
{
    int result = wait_for_data(fd);
    if (result < 0)
        return result;
    /* one that came back since the attempt woke nobody: try again, there may never be another */
    if (loans.returned_count != returned_before)
        return 0;
    result = wait_list_park(&loans.waiters, "receive buffer");
    *granted = result == 0;
    return result;
}

static int receive(int fd, uint32_t *ret_buffer, bool *granted)
{
    struct ring_request request = {.kind = RING_RECEIVE_LOAN, .fd = fd};
    for (;;) {
        uint64_t returned_before = loans.returned_count;
        int result = operation_perform(&request, false, ret_buffer);
        if (result == -ENOBUFS)
            result = wait_for_loan(fd, returned_before, granted);
        else if (result == -EAGAIN) /* the descriptor is in non-blocking mode */
            result = wait_for_data(fd);
        else if (result != -EINTR)
            return result;
        if (result < 0 && result != -EINTR)
            return result;
    }
}

int ring_receive_loan(int fd, const void **ret_data, uint32_t *ret_buffer)
{
    uint32_t buffer = NO_BUFFER;
    bool granted = false;
    int result = receive(fd, &buffer, &granted);
    if (result > 0) {
        *ret_data = backend_loan_data(buffer);
        *ret_buffer = buffer;
    } else if (buffer != NO_BUFFER) {
        ring_loan_return(buffer);
    } else if (granted) {
        /* the loan it was woken for is still there: the next one's turn */
        (void)wait_list_grant_one(&loans.waiters);
    }
    return result;
}

void ring_loan_return(uint32_t buffer)
{
    backend_loan_return(buffer);
    loans.returned_count++;
    (void)wait_list_grant_one(&loans.waiters);
}
