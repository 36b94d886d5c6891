/* canary.c - planted bugs, each across a switch of coroutines or threads: what a sanitizer must
 * see.
 *
 *     canary NAME        runs one of them; "innocent" and "handed-over" have none
 *
 * tests/integration/test_canaries.py demands the reports. What AddressSanitizer and UBSan must see
 * is planted in tests/unit/test_sanitizer.c. */
#include <await.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int sink;

static int run_child(aw_function function, void *argument)
{
    struct aw_task *task;
    int result = aw_spawn(&task, function, argument);
    return result < 0 ? result : aw_await(task);
}

/* --- memory: for Valgrind -----------------------------------------------------------------------
 */
static int read_after_a_switch(void *argument)
{
    int *number = argument;
    AW_IGNORE(aw_yield());
    if (*number > 3) /* decides by what nobody has written */
        sink++;
    return 0;
}

static int uninitialised_heap(void *argument)
{
    (void)argument;
    int *number = malloc(sizeof *number);
    int result = number ? run_child(read_after_a_switch, number) : -1;
    free(number);
    return result;
}

static __attribute__((noinline)) void forget(int numbers[8])
{
    __asm__ volatile("" : : "r"(numbers) : "memory"); /* the compiler takes them for written */
}

static int read_own_stack(void *argument)
{
    (void)argument;
    int numbers[8];
    forget(numbers);
    AW_IGNORE(aw_yield());
    if (numbers[5] > 3)
        sink++;
    return 0;
}

static int uninitialised_stack(void *argument)
{
    (void)argument;
    return run_child(read_own_stack, NULL);
}

static int write_behind(void *argument)
{
    char *memory = argument;
    AW_IGNORE(aw_yield());
    memory[32] = 1;
    return 0;
}

static int heap_overflow(void *argument)
{
    (void)argument;
    char *memory = malloc(32);
    int result = memory ? run_child(write_behind, memory) : -1;
    free(memory);
    return result;
}

static int free_while_away(void *argument)
{
    free(*(char **)argument);
    return 0;
}

static int use_after_free(void *argument)
{
    (void)argument;
    char *memory = calloc(1, 64);
    int result = memory ? run_child(free_while_away, &memory) : -1;
    if (result == 0)
        sink += memory[5];
    return result;
}

/* --- threads: for ThreadSanitizer ---------------------------------------------------------------
 */
static long shared;
static atomic_int arrived;

/* Waits until both are here, by atomics that order nothing: what follows runs at the same time, and
 * no lock of the pool comes between. */
static void meet(void)
{
    atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
    while (atomic_load_explicit(&arrived, memory_order_relaxed) < 2) {
    }
}

static int add_on_a_thread(void *argument)
{
    if (argument)
        meet();
    for (int i = 0; i < 1000; i++)
        shared++;
    return 0;
}

static int offload(void *argument)
{
    return aw_to_thread(add_on_a_thread, argument);
}

/* Two threads of the pool write the same number. */
static int race_of_threads(void *argument)
{
    (void)argument;
    struct aw_task *tasks[2];
    for (int i = 0; i < 2; i++)
        if (aw_spawn(&tasks[i], offload, &arrived) < 0)
            return -1;
    return aw_gather(2, tasks, NULL);
}

/* A thread of the pool and a task of the loop do. */
static int race_with_the_loop(void *argument)
{
    (void)argument;
    struct aw_task *task;
    if (aw_spawn(&task, offload, &arrived) < 0)
        return -1;
    AW_IGNORE(aw_yield()); /* the call is on its way */
    meet();
    for (int i = 0; i < 1000; i++)
        shared++;
    return aw_await(task);
}

/* Written in turn: each call is over before the next one looks, so nothing races. */
static int handed_over(void *argument)
{
    (void)argument;
    for (int i = 0; i < 20; i++) {
        int result = run_child(offload, NULL);
        if (result < 0)
            return result;
        shared++;
    }
    return shared == 20 * 1001 ? 0 : -1;
}

/* --- nothing planted ----------------------------------------------------------------------------
 */
static int deep(void *argument)
{
    int depth = *(int *)argument;
    char frame[2048];
    memset(frame, depth, sizeof frame);
    AW_IGNORE(aw_yield());
    int next = depth - 1;
    int below = depth > 0 ? deep(&next) : 0;
    return below < 0 ? below : frame[sizeof frame / 2] - depth;
}

static int innocent(void *argument)
{
    (void)argument;
    for (int round = 0; round < 5; round++) {
        struct aw_task *tasks[20];
        int depth = 20;
        for (int i = 0; i < 20; i++)
            if (aw_spawn(&tasks[i], deep, &depth) < 0)
                return -1;
        int result = aw_gather(20, tasks, NULL);
        if (result < 0)
            return result;
    }
    return 0;
}

static const struct {
    const char *name;
    aw_function function;
} planted[] = {
    {"uninitialised-heap", uninitialised_heap},
    {"uninitialised-stack", uninitialised_stack},
    {"heap-overflow", heap_overflow},
    {"use-after-free", use_after_free},
    {"race-of-threads", race_of_threads},
    {"race-with-the-loop", race_with_the_loop},
    {"handed-over", handed_over},
    {"innocent", innocent},
};

int main(int count, char **arguments)
{
    for (size_t i = 0; count == 2 && i < sizeof planted / sizeof planted[0]; i++)
        if (strcmp(arguments[1], planted[i].name) == 0)
            return aw_run(planted[i].function, NULL) < 0;
    fprintf(stderr, "usage: canary NAME\n");
    return 2;
}
