/* offload_stress.c - the pool of threads under load, for ThreadSanitizer: calls of every kind,
 * taken back, waited for and abandoned, from two loops on two threads at once.
 *
 *     offload_stress CALLS
 *
 * Every argument that was handed to a thread must be back or released at the end. `make tsan` runs
 * it, and test_canaries.py with fewer calls. */
#include <await.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 50

/* What a call writes into: not atomic, so that handing it over badly is a race. */
struct work {
    long number;
    atomic_int *outstanding;
};

static int add(void *argument)
{
    struct work *work = argument;
    for (int i = 0; i < 50; i++)
        work->number++;
    return 7;
}

static void release(void *argument)
{
    struct work *work = argument;
    work->number = -1; /* nobody else looks any more */
    atomic_fetch_sub(work->outstanding, 1);
    free(work);
}

static int waits(void *argument)
{
    struct work work = {.number = 3};
    (void)argument;
    int result = aw_to_thread(add, &work);
    if (result == 7)
        return work.number == 53 ? 0 : -EBADE;
    return result;
}

static int abandons(void *argument)
{
    struct work *work = malloc(sizeof *work);
    if (work == NULL)
        return -ENOMEM;
    *work = (struct work){.number = 3, .outstanding = argument};
    atomic_fetch_add(work->outstanding, 1);
    int result = aw_to_thread_abandonable(add, work, release);
    if (result == -ECANCELED || result == -ETIME)
        return result; /* it is released, or will be */
    int wrong = result == 7 && work->number != 53;
    release(work);
    return wrong ? -EBADE : 0;
}

static int abandons_in_time(void *argument)
{
    int result = 0;
    AW_WITH(result, aw_with_timeout(0))
    {
        result = abandons(argument);
    }
    return result;
}

static int lists(void *argument)
{
    (void)argument;
    struct aw_directory directory;
    int result = aw_directory_list("/proc/self/fd", 0, &directory);
    if (result == 0)
        aw_directory_free(&directory);
    return result;
}

static int resolves(void *argument)
{
    (void)argument;
    struct aw_address address;
    int result = aw_resolve("localhost", 80, &address, 1, NULL);
    return result < 0 ? result : 0;
}

struct loop {
    long calls;
    atomic_int outstanding;
    int result;
};

static int run_batch(struct loop *loop, long seed)
{
    static const aw_function kinds[] = {waits, abandons, abandons_in_time, lists, resolves, waits};
    struct aw_task *tasks[BATCH];
    for (int i = 0; i < BATCH; i++) {
        int result = aw_spawn(&tasks[i], kinds[(seed + i) % 6], &loop->outstanding);
        if (result < 0)
            return result;
    }
    for (long turns = seed % 4; turns > 0; turns--)
        aw_yield();
    for (int i = 0; i < BATCH; i += 3)
        aw_cancel(tasks[i]);
    int results[BATCH];
    AW_IGNORE(aw_gather(BATCH, tasks, results));
    for (int i = 0; i < BATCH; i++)
        if (results[i] < 0 && results[i] != -ECANCELED && results[i] != -ETIME)
            return results[i];
    return 0;
}

static int run_calls(void *argument)
{
    struct loop *loop = argument;
    int result = 0;
    for (long done = 0; done < loop->calls && result == 0; done += BATCH)
        result = run_batch(loop, done / BATCH);
    return result;
}

static void *run_loop(void *argument)
{
    struct loop *loop = argument;
    loop->result = aw_run(run_calls, loop);
    return NULL;
}

int main(int count, char **arguments)
{
    long calls = count == 2 ? strtol(arguments[1], NULL, 10) : 0;
    if (calls <= 0) {
        fprintf(stderr, "usage: offload_stress CALLS\n");
        return 2;
    }
    struct loop loops[2] = {{.calls = calls}, {.calls = calls}};
    pthread_t other;
    if (pthread_create(&other, NULL, run_loop, &loops[1]) != 0)
        return 1;
    run_loop(&loops[0]);
    pthread_join(other, NULL);
    for (int i = 0; i < 2; i++)
        if (loops[i].result < 0 || atomic_load(&loops[i].outstanding) != 0) {
            fprintf(stderr, "offload_stress: loop %d: %s, %d arguments not released\n", i,
                    aw_error_name(loops[i].result), atomic_load(&loops[i].outstanding));
            return 1;
        }
    printf("%ld calls on each of two loops\n", calls);
    return 0;
}
