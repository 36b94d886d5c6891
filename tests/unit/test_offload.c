/* test_offload.c - blocking functions on the pool's threads: results, order, limits, interruption,
 * and that nothing is left when aw_run is over. Gates (semaphores) hold the threads, so no test
 * depends on time. */
#include "support/process.h"
#include "support/valgrind.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Work that tells when it has started and ends when the test lets it. */
struct gated {
    sem_t started;
    sem_t gate;
    atomic_int runs;
    atomic_int releases;
    pthread_t thread;
    pthread_t release_thread;
};

static void gated_init(struct gated *gated)
{
    sem_init(&gated->started, 0, 0);
    sem_init(&gated->gate, 0, 0);
    atomic_init(&gated->runs, 0);
    atomic_init(&gated->releases, 0);
}

static int run_gated(void *argument)
{
    struct gated *gated = argument;
    gated->thread = pthread_self();
    atomic_fetch_add(&gated->runs, 1);
    sem_post(&gated->started);
    while (sem_wait(&gated->gate) != 0) {
    }
    return 42;
}

static void release_gated(void *argument)
{
    struct gated *gated = argument;
    gated->release_thread = pthread_self();
    atomic_fetch_add(&gated->releases, 1);
}

/* Lets the loop run until the function has started. */
static void wait_started(struct gated *gated)
{
    while (sem_trywait(&gated->started) != 0)
        aw_sleep(1);
}

static int call(void *argument)
{
    return aw_to_thread(run_gated, argument);
}

static int call_abandonable(void *argument)
{
    return aw_to_thread_abandonable(run_gated, argument, release_gated);
}

static int spawn(struct aw_task **ret_task, aw_function function, void *argument)
{
    int result = aw_spawn(ret_task, function, argument);
    cr_expect_eq(result, 0, "aw_spawn: %d", result);
    return result;
}

static int return_argument(void *argument)
{
    return *(int *)argument;
}

static int results_body(void *argument)
{
    (void)argument;
    for (int value = -3; value < 4; value++) {
        int copy = value;
        cr_expect_eq(aw_to_thread(return_argument, &copy), value);
        cr_expect_eq(aw_to_thread_abandonable(return_argument, &copy, free), value);
    }
    return 7;
}

Test(offload, gives_the_functions_result)
{
    int threads = running_threads();
    int descriptors = open_descriptors();
    cr_assert_eq(aw_run(results_body, NULL), 7);
    cr_assert_eq(running_threads(), threads, "a thread is left");
    cr_assert_eq(open_descriptors(), descriptors, "a descriptor is left");
    cr_assert_eq(aw_run(results_body, NULL), 7, "a second loop makes a pool of its own");
    cr_assert_eq(running_threads(), threads);
}

Test(offload, needs_a_loop)
{
    int value = 1;
    cr_assert_eq(aw_to_thread(return_argument, &value), -EPERM);
}

static int elsewhere_body(void *argument)
{
    struct gated *gated = argument;
    struct aw_task *task;
    if (spawn(&task, call, gated) < 0)
        return -1;
    wait_started(gated);
    cr_expect_not(aw_finished(task), "the loop went on while the function blocks");
    cr_expect_not(pthread_equal(gated->thread, pthread_self()));
    sem_post(&gated->gate);
    return aw_await(task);
}

Test(offload, does_not_hold_the_loop)
{
    struct gated gated;
    gated_init(&gated);
    cr_assert_eq(aw_run(elsewhere_body, &gated), 42);
}

struct crowd {
    atomic_int inside;
    atomic_int inside_max;
    atomic_int order;
    int first_of[64];
};

static struct crowd crowd;

static int enter_crowd(void *argument)
{
    int inside = atomic_fetch_add(&crowd.inside, 1) + 1;
    int most = atomic_load(&crowd.inside_max);
    while (inside > most && !atomic_compare_exchange_weak(&crowd.inside_max, &most, inside)) {
    }
    crowd.first_of[atomic_fetch_add(&crowd.order, 1)] = *(int *)argument;
    sched_yield();
    atomic_fetch_sub(&crowd.inside, 1);
    return *(int *)argument;
}

static int call_crowd(void *argument)
{
    return aw_to_thread(enter_crowd, argument);
}

static int crowd_body(void *argument)
{
    (void)argument;
    enum { COUNT = 64 };
    struct aw_task *tasks[COUNT];
    int numbers[COUNT];
    int results[COUNT];
    for (int i = 0; i < COUNT; i++) {
        numbers[i] = i;
        if (spawn(&tasks[i], call_crowd, &numbers[i]) < 0)
            return -1;
    }
    cr_expect_eq(aw_gather(COUNT, tasks, results), 0);
    for (int i = 0; i < COUNT; i++)
        cr_expect_eq(results[i], i);
    return 0;
}

Test(offload, starts_no_more_threads_than_allowed)
{
    const struct aw_options options = {.offload_threads_max = 2};
    cr_assert_eq(aw_run_with(&options, crowd_body, NULL, NULL), 0);
    cr_assert_eq(atomic_load(&crowd.order), 64);
    cr_assert_leq(atomic_load(&crowd.inside_max), 2);
}

Test(offload, runs_waiting_calls_in_order)
{
    const struct aw_options options = {.offload_threads_max = 1};
    cr_assert_eq(aw_run_with(&options, crowd_body, NULL, NULL), 0);
    for (int i = 0; i < 64; i++)
        cr_assert_eq(crowd.first_of[i], i);
}

/* One thread, held by `busy`; `queued` waits behind it. */
static struct gated busy;
static struct gated queued;

static int take_back_body(void *argument)
{
    aw_function function = *(aw_function *)argument;
    struct aw_task *first, *second, *third;
    if (spawn(&first, call, &busy) < 0)
        return -1;
    wait_started(&busy);
    if (spawn(&second, function, &queued) < 0 || spawn(&third, function, &queued) < 0)
        return -1;
    aw_yield();
    aw_cancel(second);
    aw_cancel(third);
    cr_expect_eq(aw_await(second), -ECANCELED);
    cr_expect_eq(aw_await(third), -ECANCELED);
    sem_post(&busy.gate);
    cr_expect_eq(aw_await(first), 42);
    cr_expect_eq(atomic_load(&queued.runs), 0, "what was taken back never runs");
    return 0;
}

Test(offload, takes_back_a_call_that_has_not_started)
{
    gated_init(&busy);
    gated_init(&queued);
    aw_function function = call;
    const struct aw_options options = {.offload_threads_max = 1};
    cr_assert_eq(aw_run_with(&options, take_back_body, &function, NULL), 0);
}

Test(offload, releases_the_argument_of_an_abandonable_call_that_has_not_started)
{
    gated_init(&busy);
    gated_init(&queued);
    aw_function function = call_abandonable;
    const struct aw_options options = {.offload_threads_max = 1};
    cr_assert_eq(aw_run_with(&options, take_back_body, &function, NULL), 0);
    cr_assert_eq(atomic_load(&queued.releases), 2);
}

static int cancel_running_body(void *argument)
{
    struct gated *gated = argument;
    struct aw_task *task;
    if (spawn(&task, call, gated) < 0)
        return -1;
    wait_started(gated);
    aw_cancel(task);
    for (int i = 0; i < 3; i++)
        aw_yield();
    cr_expect_not(aw_finished(task), "the function may use the caller's memory: wait for it");
    sem_post(&gated->gate);
    return aw_await(task);
}

Test(offload, waits_for_a_running_function_and_gives_its_result)
{
    struct gated gated;
    gated_init(&gated);
    cr_assert_eq(aw_run(cancel_running_body, &gated), 42);
}

static int abandon_body(void *argument)
{
    struct gated *gated = argument;
    struct aw_task *task;
    if (spawn(&task, call_abandonable, gated) < 0)
        return -1;
    wait_started(gated);
    aw_cancel(task);
    cr_expect_eq(aw_await(task), -ECANCELED);
    cr_expect_eq(atomic_load(&gated->releases), 0, "the function still uses the argument");
    sem_post(&gated->gate);
    return 0;
}

Test(offload, abandons_a_running_function_and_releases_its_argument_once)
{
    struct gated gated;
    gated_init(&gated);
    int threads = running_threads();
    cr_assert_eq(aw_run(abandon_body, &gated), 0);
    cr_assert_eq(atomic_load(&gated.releases), 1, "aw_run waits for the function to end");
    cr_assert(pthread_equal(gated.release_thread, pthread_self()), "released on the loop's thread");
    cr_assert_eq(running_threads(), threads);
}

static int deadline_body(void *argument)
{
    struct gated *gated = argument;
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(5));
    int result = aw_to_thread_abandonable(run_gated, gated, release_gated);
    int again = aw_to_thread_abandonable(run_gated, gated, release_gated);
    int plain = aw_to_thread(run_gated, gated);
    aw_scope_leave(&scope);
    cr_expect_eq(again, -ETIME, "every suspension point in the scope says so");
    cr_expect_eq(plain, -ETIME);
    sem_post(&gated->gate);
    return result;
}

Test(offload, obeys_a_deadline)
{
    struct gated gated;
    gated_init(&gated);
    cr_assert_eq(aw_run(deadline_body, &gated), -ETIME);
    cr_assert_eq(atomic_load(&gated.releases), 2);
    cr_assert_leq(atomic_load(&gated.runs), 1);
}

static int look_at_mask(void *argument)
{
    (void)argument;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
}

static int mask_body(void *argument)
{
    (void)argument;
    return aw_to_thread(look_at_mask, NULL);
}

Test(offload, threads_take_no_signals)
{
    cr_assert_eq(aw_run(mask_body, NULL), 1);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    cr_assert_not(sigismember(&mask, SIGTERM), "the loop's own mask is as it was");
}

static int no_descriptors_body(void *argument)
{
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    int failed = aw_to_thread(return_argument, argument);
    setrlimit(RLIMIT_NOFILE, &before);
    cr_expect_eq(failed, -EMFILE);
    return aw_to_thread(return_argument, argument);
}

Test(offload, works_again_after_descriptors_had_run_out)
{
    NEEDS_A_LIMIT_OF_DESCRIPTORS();
    int value = 5;
    cr_assert_eq(aw_run(no_descriptors_body, &value), 5);
}

#ifndef __has_feature
#define __has_feature(name) 0
#endif
/* AddressSanitizer itself has to map memory all the time. */
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer)
static int no_threads_body(void *argument)
{
    struct rlimit before, tight;
    getrlimit(RLIMIT_AS, &before);
    tight = before;
    tight.rlim_cur = 1; /* no new stack can be mapped, so no thread starts */
    setrlimit(RLIMIT_AS, &tight);
    int failed = aw_to_thread(return_argument, argument);
    setrlimit(RLIMIT_AS, &before);
    cr_expect_eq(failed, -EAGAIN, "got %d", failed);
    return aw_to_thread(return_argument, argument);
}

Test(offload, says_so_when_no_thread_can_be_started)
{
    int value = 6;
    int threads = running_threads();
    cr_assert_eq(aw_run(no_threads_body, &value), 6);
    cr_assert_eq(running_threads(), threads);
}
#endif
