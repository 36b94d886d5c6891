/* uring.c - the real backend: io_uring. See backend.h.
 *
 * SINGLE_ISSUER | DEFER_TASKRUN: completions are processed only when this thread enters the kernel
 * for events, so nothing interrupts a running task. TASKRUN_FLAG tells without a system call that
 * some wait to be processed. No SQPOLL: it burns a core to save a call that a busy loop amortises
 * anyway. */
#include "ring/backend.h"

#include "core/sanitize.h"
#include "ring/loan.h"
#include "ring/operation.h"
#include "ring/uring_probe.h"
#include "ring/uring_request.h"

#include <await/clock.h>

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SUBMISSION_ENTRIES 1024u
/* Completions beyond these are kept by the kernel (FEAT_NODROP), only slower. */
#define COMPLETION_ENTRIES 16384u

static _Thread_local struct {
    struct io_uring ring;
    struct io_uring_buf_ring *loans;
    char *loan_memory;
    bool open;
} uring;

#define LOAN_RING_BYTES (RING_LOAN_COUNT * sizeof(struct io_uring_buf))
#define LOAN_MEMORY_BYTES ((size_t)RING_LOAN_COUNT * RING_LOAN_SIZE_BYTES)

static void add_loan(uint32_t buffer)
{
    io_uring_buf_ring_add(uring.loans, uring.loan_memory + (size_t)buffer * RING_LOAN_SIZE_BYTES,
                          RING_LOAN_SIZE_BYTES, (unsigned short)buffer,
                          io_uring_buf_ring_mask(RING_LOAN_COUNT), 0);
    io_uring_buf_ring_advance(uring.loans, 1);
}

static void *map_anonymous(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int open_loans(void)
{
    uring.loans = map_anonymous(LOAN_RING_BYTES);
    uring.loan_memory = map_anonymous(LOAN_MEMORY_BYTES);
    if (!uring.loans || !uring.loan_memory)
        return -ENOMEM;
    struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)uring.loans,
                                            .ring_entries = RING_LOAN_COUNT,
                                            .bgid = URING_LOAN_GROUP};
    int result = io_uring_register_buf_ring(&uring.ring, &registration, 0);
    if (result < 0)
        return result;
    io_uring_buf_ring_init(uring.loans);
    for (uint32_t i = 0; i < RING_LOAN_COUNT; i++)
        add_loan(i);
    return 0;
}

static void close_loans(void)
{
    if (uring.loans)
        (void)munmap(uring.loans, LOAN_RING_BYTES);
    if (uring.loan_memory)
        (void)munmap(uring.loan_memory, LOAN_MEMORY_BYTES);
    uring.loans = NULL;
    uring.loan_memory = NULL;
}

int backend_open(uint32_t operations_max, struct aw_error *reterr)
{
    struct io_uring_params parameters = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                 IORING_SETUP_CQSIZE,
        .cq_entries = operations_max < COMPLETION_ENTRIES && operations_max > SUBMISSION_ENTRIES
                          ? operations_max
                          : COMPLETION_ENTRIES,
    };
    int result = io_uring_queue_init_params(SUBMISSION_ENTRIES, &uring.ring, &parameters);
    if (result < 0)
        return uring_explain(result, "io_uring_setup", reterr);
    result = uring_probe(&uring.ring, reterr);
    if (result == 0) {
        result = open_loans();
        if (result < 0)
            (void)uring_explain(result, "io_uring_register(IORING_REGISTER_PBUF_RING)", reterr);
    }
    if (result == 0) {
        /* a filter may allow setup and forbid this; better told here than met in the first turn */
        result = io_uring_get_events(&uring.ring);
        if (result < 0)
            (void)uring_explain(result, "io_uring_enter", reterr);
    }
    if (result < 0) {
        io_uring_queue_exit(&uring.ring);
        close_loans();
        return result;
    }
    /* a child process must not share the ring; a kernel that cannot say so is no reason to stop */
    (void)io_uring_ring_dontfork(&uring.ring);
    /* saves the lookup of the ring's descriptor in each call; optional */
    (void)io_uring_register_ring_fd(&uring.ring);
    uring.open = true;
    return 0;
}

void backend_close(void)
{
    if (!uring.open)
        return;
    io_uring_queue_exit(&uring.ring);
    close_loans();
    uring.open = false;
}

static int flush(void)
{
    int result = io_uring_submit(&uring.ring);
    return result < 0 && result != -EINTR ? result : 0;
}

int backend_room(unsigned count)
{
    if (io_uring_sq_space_left(&uring.ring) >= count)
        return 0;
    int result = flush();
    if (result < 0)
        return result;
    return io_uring_sq_space_left(&uring.ring) >= count ? 0 : -EBUSY;
}

int backend_queue(const struct ring_request *request, uint64_t tag, bool link_next)
{
    int result = backend_room(1);
    if (result < 0)
        return result;
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring.ring);
    if (!entry)
        return -EBUSY;
    uring_prepare(entry, request);
    if (link_next)
        entry->flags |= IOSQE_IO_LINK;
    io_uring_sqe_set_data64(entry, tag);
    return 0;
}

int backend_cancel(uint64_t tag)
{
    int result = backend_room(1);
    if (result < 0)
        return result;
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring.ring);
    if (!entry)
        return -EBUSY;
    io_uring_prep_cancel64(entry, tag, 0);
    io_uring_sqe_set_data64(entry, TAG_CANCEL);
    return 0;
}

static unsigned deliver_all(backend_deliver deliver)
{
    struct io_uring_cqe *entries[64];
    unsigned total = 0;
    unsigned count;
    while ((count = io_uring_peek_batch_cqe(&uring.ring, entries, 64)) > 0) {
        for (unsigned i = 0; i < count; i++) {
            struct backend_completion completion = {
                .tag = entries[i]->user_data,
                .result = entries[i]->res,
                .buffer = entries[i]->flags & IORING_CQE_F_BUFFER
                              ? entries[i]->flags >> IORING_CQE_BUFFER_SHIFT
                              : UINT32_MAX,
                .more = entries[i]->flags & IORING_CQE_F_MORE,
            };
            deliver(&completion);
        }
        io_uring_cq_advance(&uring.ring, count);
        total += count;
    }
    return total;
}

static bool kernel_has_more(void)
{
    unsigned flags = __atomic_load_n(uring.ring.sq.kflags, __ATOMIC_RELAXED);
    return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

#define VALGRIND_WAIT_MS 5u
#define VALGRIND_PAUSE_NS 1000000

/* Valgrind takes its lock from a thread only after 100,000 blocks of code, or when the thread
 * sleeps in a system call that it knows to sleep. The few blocks of a turn would keep it for half a
 * minute, and with it the answer that is waited for. */
static void let_threads_in(void)
{
    if (sanitize_waits_must_end())
        (void)nanosleep(&(struct timespec){.tv_nsec = VALGRIND_PAUSE_NS}, NULL);
}

static int wait_until(uint64_t deadline_ns)
{
    struct __kernel_timespec duration;
    struct __kernel_timespec *timeout = NULL;
    if (sanitize_waits_must_end() && deadline_ns > aw_after_ms(VALGRIND_WAIT_MS))
        deadline_ns = aw_after_ms(VALGRIND_WAIT_MS);
    if (deadline_ns != AW_NEVER) {
        uint64_t now = backend_monotonic_ns();
        uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
        duration.tv_sec = (long long)(left / AW_NS_PER_S);
        duration.tv_nsec = (long long)(left % AW_NS_PER_S);
        timeout = &duration;
    }
    struct io_uring_cqe *entry;
    return io_uring_submit_and_wait_timeout(&uring.ring, &entry, 1, timeout, NULL);
}

/* Not errors of the ring: time is up, a signal came, or the kernel wants completions taken first.
 */
static bool is_passing(int result)
{
    return result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
           result == -EBUSY;
}

int backend_turn(uint64_t deadline_ns, backend_deliver deliver)
{
    int result = 0;
    if (deadline_ns > 0 && io_uring_cq_ready(&uring.ring) == 0) {
        result = wait_until(deadline_ns);
        let_threads_in();
    } else if (io_uring_sq_ready(&uring.ring) > 0 || kernel_has_more())
        result = io_uring_submit_and_get_events(&uring.ring);
    if (!is_passing(result))
        return result;
    (void)deliver_all(deliver);
    return 0;
}

const void *backend_loan_data(uint32_t buffer)
{
    return uring.loan_memory + (size_t)buffer * RING_LOAN_SIZE_BYTES;
}

void backend_loan_return(uint32_t buffer)
{
    add_loan(buffer);
}
