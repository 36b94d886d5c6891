/* offload.c - a bounded pool of threads for functions that block; see await/offload.h.
 *
 * One pool a loop, made at the first call and torn down before aw_run returns. A call is WAITING
 * (in the pool's list) -> RUNNING (on a thread) -> POSTED (in the loop's mailbox) -> delivered (its
 * event is set, on the loop's thread). The mutex guards the list and its counters; `abandoned` and
 * the event belong to the loop's thread alone, `result` to the running thread until it posts.
 *
 * Limits: threads_max threads. The list needs none of its own: each call in it has a task that
 * waits for it (one whose caller is interrupted is taken out), so tasks_max bounds it; abandoned
 * calls are running, so the threads bound them.
 *
 * Who owns a call: aw_to_thread's lives on the caller's stack, which is safe because the caller
 * leaves only when it is delivered or taken back. An abandonable one lives on the heap and, once
 * abandoned, belongs to its delivery. */
#include <await/offload.h>
#include <await/scope.h>
#include <await/sync.h>

#include "ring/mailbox.h"
#include "ring/runtime.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct offload_call {
    struct ring_remote remote; /* first: a delivery gets a pointer to it */
    struct offload_pool *pool;
    struct offload_call *previous;
    struct offload_call *next;
    aw_function function;
    void *argument;
    void (*release)(void *argument);
    struct aw_event done;
    int result;
    bool waiting; /* in the list; under the mutex */
    bool abandoned;
};

struct offload_pool {
    struct ring_mailbox *mailbox;
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a call was added, or stopping was set */
    struct offload_call *first;
    struct offload_call *last;
    uint32_t waiting_count;
    uint32_t idle_count;
    bool stopping;
    uint32_t outstanding_count; /* neither delivered nor taken back; the loop's thread only */
    struct aw_event quiet;      /* set while outstanding_count is 0 */
    uint32_t threads_max;
    uint32_t thread_count;
    pthread_t threads[];
};

static _Thread_local struct offload_pool *pool_here;

/* --- the list, under the mutex --------------------------------------------------------------- */
static void append(struct offload_pool *pool, struct offload_call *call)
{
    call->waiting = true;
    call->next = NULL;
    call->previous = pool->last;
    if (pool->last != NULL)
        pool->last->next = call;
    else
        pool->first = call;
    pool->last = call;
    pool->waiting_count++;
}

static void take_out(struct offload_pool *pool, struct offload_call *call)
{
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        pool->first = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    else
        pool->last = call->previous;
    call->waiting = false;
    pool->waiting_count--;
}

/* --- the threads ----------------------------------------------------------------------------- */
static void *run_thread(void *argument)
{
    struct offload_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    while (true) {
        while (pool->first == NULL && !pool->stopping) {
            pool->idle_count++;
            pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle_count--;
        }
        struct offload_call *call = pool->first;
        if (call == NULL)
            break;
        take_out(pool, call);
        pthread_mutex_unlock(&pool->mutex);
        call->result = call->function(call->argument);
        ring_mailbox_post(pool->mailbox, &call->remote); /* from here on the call may be gone */
        pthread_mutex_lock(&pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* Signals are the loop's thread's business: one that landed on a pool's thread would interrupt
 * somebody else's function, or be lost to the signalfd's reader. */
static int start_thread(struct offload_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    int failure = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (failure != 0)
        return -failure;
    pthread_t *thread = &pool->threads[pool->thread_count];
    failure = pthread_create(thread, NULL, run_thread, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0)
        return -EAGAIN;
    pthread_setname_np(*thread, "await-offload");
    pool->thread_count++;
    return 0;
}

/* --- the pool -------------------------------------------------------------------------------- */
static void wait_shielded(struct aw_event *event)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (!event->set) {
        int result = aw_event_wait(event);
        (void)result; /* nothing can interrupt it here; the flag decides */
    }
    aw_scope_leave(&shield);
}

/* At the end of the loop no task is left, but abandoned functions may still run: they have to end
 * first, since a thread cannot be stopped from outside. */
static void pool_close(void *argument)
{
    struct offload_pool *pool = argument;
    wait_shielded(&pool->quiet);
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    pool_here = NULL;
    free(pool);
}

static int pool_create(struct ring_mailbox *mailbox)
{
    uint32_t threads_max = runtime_options()->offload_threads_max;
    struct offload_pool *pool = calloc(1, sizeof *pool + threads_max * sizeof pool->threads[0]);
    if (pool == NULL)
        return -ENOMEM;
    int result = runtime_at_exit(pool_close, pool);
    if (result < 0) {
        free(pool);
        return result;
    }
    pool->mailbox = mailbox;
    pool->threads_max = threads_max;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    aw_event_init(&pool->quiet);
    aw_event_set(&pool->quiet);
    pool_here = pool;
    return 0;
}

static int pool_open(struct offload_pool **ret_pool)
{
    if (aw_current() == NULL)
        return -EPERM;
    struct ring_mailbox *mailbox;
    int result = ring_mailbox_current(&mailbox);
    if (result < 0)
        return result;
    /* Not before that call: it may suspend, and another task may make the pool meanwhile. */
    if (pool_here == NULL)
        result = pool_create(mailbox);
    if (result < 0)
        return result;
    *ret_pool = pool_here;
    return 0;
}

/* --- one call -------------------------------------------------------------------------------- */
static void settle(struct offload_pool *pool)
{
    pool->outstanding_count--;
    if (pool->outstanding_count == 0)
        aw_event_set(&pool->quiet);
}

static void deliver(struct ring_remote *remote)
{
    struct offload_call *call = (struct offload_call *)remote;
    settle(call->pool);
    if (call->abandoned) {
        call->release(call->argument);
        free(call);
        return;
    }
    aw_event_set(&call->done);
}

/* Whether the call had not started; then it is not in the pool any more. */
static bool take_back(struct offload_call *call)
{
    struct offload_pool *pool = call->pool;
    pthread_mutex_lock(&pool->mutex);
    bool taken = call->waiting;
    if (taken)
        take_out(pool, call);
    pthread_mutex_unlock(&pool->mutex);
    if (taken)
        settle(pool);
    return taken;
}

static int submit(struct offload_call *call)
{
    struct offload_pool *pool = NULL;
    int result = pool_open(&pool);
    if (result < 0)
        return result;
    call->pool = pool;
    call->remote.deliver = deliver;
    aw_event_init(&call->done);
    pthread_mutex_lock(&pool->mutex);
    append(pool, call);
    bool crowded = pool->waiting_count > pool->idle_count;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    pool->outstanding_count++;
    aw_event_clear(&pool->quiet);
    if (!crowded || pool->thread_count >= pool->threads_max)
        return 0;
    result = start_thread(pool);
    if (result < 0 && pool->thread_count == 0 && take_back(call))
        return result;
    return 0; /* without another thread the call waits for one of those there are */
}

int aw_to_thread(aw_function function, void *argument)
{
    int result = aw_interrupted();
    if (result < 0)
        return result;
    struct offload_call call = {.function = function, .argument = argument};
    result = submit(&call);
    if (result < 0)
        return result;
    result = aw_event_wait(&call.done);
    if (!call.done.set) {
        if (take_back(&call))
            return result;
        wait_shielded(&call.done);
    }
    return call.result;
}

int aw_to_thread_abandonable(aw_function function, void *argument,
                             void (*release)(void *argument))
{
    int result = aw_interrupted();
    if (result < 0) {
        release(argument);
        return result;
    }
    struct offload_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return -ENOMEM;
    call->function = function;
    call->argument = argument;
    call->release = release;
    result = submit(call);
    if (result < 0) {
        free(call);
        return result;
    }
    result = aw_event_wait(&call->done);
    if (call->done.set) {
        result = call->result;
        free(call);
        return result;
    }
    if (take_back(call)) {
        release(argument);
        free(call);
    } else {
        call->abandoned = true;
    }
    return result;
}
