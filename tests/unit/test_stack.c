/* test_stack.c - stacks: guard page, reuse, and how much memory sleeping tasks take. */
#include "core/stack.h"

#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(SANITIZE_ADDRESS) || defined(SANITIZE_THREAD)
#define INSTRUMENTED 1
#else
#define INSTRUMENTED 0
#endif

/* --- guard ------------------------------------------------------------------------------------ */
static int recurse(volatile char *above, int depth)
{
    volatile char frame[512];
    frame[0] = above ? above[0] : 1;
    if (depth == 0)
        return frame[0];
    return recurse(frame, depth - 1) + frame[0];
}

static int overflow(void *argument)
{
    (void)argument;
    return recurse(NULL, 1 << 24) == 0 ? 7 : 8;
}

static int fits(void *argument)
{
    (void)argument;
    return recurse(NULL, 100) > 0 ? 3 : 0;
}

/* A sanitizer catches the signal, reports and exits with 1. */
static bool died_at_guard(int status)
{
    if (INSTRUMENTED && WIFEXITED(status))
        return WEXITSTATUS(status) == 1;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* No core file, and no report of a sanitizer in the test's output. */
static void die_quietly(void)
{
    struct rlimit no_core = {0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(null, STDERR_FILENO);
}

static int status_of(aw_function function, const struct aw_options *options)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        die_quietly();
        _exit(aw_run_with(options, function, NULL, NULL));
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

Test(stack, overflow_dies_at_the_guard)
{
    struct aw_options options = {.stack_size_bytes = 256 * 1024};
    int status = status_of(fits, &options);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %x", (unsigned)status);
    status = status_of(overflow, &options);
    cr_assert(died_at_guard(status), "status %x", (unsigned)status);
}

/* Where MADV_GUARD_INSTALL is unknown, mprotect does it. */
Test(stack, the_other_guard_guards_too)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        die_quietly();
        struct stack_pool pool;
        struct stack *stack;
        stack_pool_init(&pool, 65536);
        pool.guard_by_mprotect = true;
        if (stack_take(&pool, &stack) < 0)
            _exit(7);
        memset(stack->bottom, 1, stack->size);
        ((volatile char *)stack->bottom)[-1] = 1;
        _exit(8);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(died_at_guard(status), "status %x", (unsigned)status);
}

/* Whether a child that writes to the byte below each of `count` stacks dies at it, every time. */
static void expect_guards(int count, bool one_by_one)
{
    static struct stack *stacks[300];
    struct stack_pool pool;
    stack_pool_init(&pool, 65536);
    pool.guard_one_by_one = one_by_one;
    for (int i = 0; i < count; i++)
        cr_assert_eq(stack_take(&pool, &stacks[i]), 0);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            die_quietly();
            memset(stacks[i]->bottom, 1, stacks[i]->size);
            ((volatile char *)stacks[i]->bottom)[-1] = 1;
            _exit(8);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(died_at_guard(status), "stack %d: status %x", i, (unsigned)status);
    }
    stack_pool_destroy(&pool);
}

/* Small slabs and large ones, whether the kernel sets the guards of a slab in one call or not. */
Test(stack, every_stack_of_every_slab_has_its_guard)
{
    expect_guards(16 * 4 + 64 + 5, false);
    expect_guards(16 * 4 + 64 + 5, true);
}

/* --- pool ------------------------------------------------------------------------------------- */
Test(stack, the_last_one_back_is_the_first_one_out)
{
    struct stack_pool pool;
    struct stack *stacks[40];
    stack_pool_init(&pool, 20000);
    cr_assert_eq(pool.stack_size % pool.page_size, 0);
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(stack_take(&pool, &stacks[i]), 0);
        cr_assert_geq(stacks[i]->size, 20000);
        memset(stacks[i]->bottom, 0xa5, stacks[i]->size);
        for (int other = 0; other < i; other++)
            cr_assert_neq(stacks[other], stacks[i]);
    }
    for (int i = 0; i < 40; i++)
        stack_return(&pool, stacks[i]);
    for (int i = 0; i < 40; i++) {
        struct stack *stack;
        cr_assert_eq(stack_take(&pool, &stack), 0);
        cr_assert_eq(stack, stacks[39 - i]);
    }
    for (int i = 0; i < 40; i++)
        stack_return(&pool, stacks[i]);
    stack_pool_destroy(&pool);
}

/* Anonymous memory only, and counted page by page: statm has the program's own pages too, of which
 * sixteen come at once when code runs for the first time, and its counters may be behind. */
static long resident_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    cr_assert_not_null(file);
    while (kib < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "Anonymous: %ld kB", &kib) != 1)
            kib = -1;
    (void)fclose(file);
    cr_assert_geq(kib, 0);
    return kib;
}

enum { SLACK_KIB = 32 }; /* what reading the figure takes itself */

enum { DEEP = 400, DEEP_SIZE = 200 * 1024 };

Test(stack, deeply_used_stacks_give_their_memory_back)
{
    static struct stack *stacks[DEEP];
    struct stack_pool pool;
    stack_pool_init(&pool, 256 * 1024);
    for (int i = 0; i < DEEP; i++) {
        cr_assert_eq(stack_take(&pool, &stacks[i]), 0);
        char *top = (char *)stacks[i]->bottom + stacks[i]->size;
        memset(top - DEEP_SIZE, 1, DEEP_SIZE);
    }
    long used = resident_kib();
    for (int i = 0; i < DEEP; i++)
        stack_return(&pool, stacks[i]);
    long kept = resident_kib();
    cr_assert_gt(used - kept, DEEP * (DEEP_SIZE / 1024) - STACKS_WARM * 32 - 4096,
                 "%ld KiB while used, %ld KiB after", used, kept);
    stack_pool_destroy(&pool);
}

enum { MANY = STACKS_WARM_MAX + STACKS_TRIM };

/* Takes `count` stacks, writes to the top page of each and gives them back in the order of
 * `stride`. */
static void use(struct stack_pool *pool, int count, int stride)
{
    static struct stack *stacks[2 * MANY];
    for (int i = 0; i < count; i++) {
        cr_assert_eq(stack_take(pool, &stacks[i]), 0);
        ((char *)stacks[i]->bottom + stacks[i]->size)[-1] = 1;
    }
    for (int first = 0; first < stride; first++)
        for (int i = first; i < count; i += stride)
            stack_return(pool, stacks[i]);
}

Test(stack, free_stacks_keep_memory_only_up_to_a_limit)
{
    struct stack_pool pool;
    stack_pool_init(&pool, 65536);
    use(&pool, 2 * MANY, 7);
    cr_assert_lt(pool.warm_count, MANY);
    cr_assert_geq(pool.warm_count, STACKS_WARM_MAX);
    use(&pool, 2 * MANY, 1); /* every one is there still, warm or cold, and can be written to */
    stack_pool_destroy(&pool);
}

Test(stack, what_is_not_used_between_two_looks_becomes_cold)
{
    struct stack_pool pool;
    stack_pool_init(&pool, 65536);
    use(&pool, 1000, 3);
    stack_pool_age(&pool);
    cr_assert_eq(pool.warm_count, 1000, "all have just been used");
    for (int i = 0; i < 5; i++)
        use(&pool, 600, 1);
    stack_pool_age(&pool);
    cr_assert_eq(pool.warm_count, 600);
    cr_assert(stack_pool_has_surplus(&pool));
    long before = resident_kib();
    stack_pool_age(&pool);
    cr_assert_eq(pool.warm_count, STACKS_WARM);
    cr_assert(!stack_pool_has_surplus(&pool));
    long given_back = before - resident_kib();
    if (!INSTRUMENTED)
        cr_expect_geq(given_back, 4 * (600 - (long)STACKS_WARM) - SLACK_KIB, "%ld KiB", given_back);
    stack_pool_age(&pool);
    cr_assert_eq(pool.warm_count, STACKS_WARM);
    stack_pool_destroy(&pool);
}

/* Neighbours are given back in one call, with the guards between them. */
Test(stack, a_cold_stack_has_its_guard_still)
{
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        die_quietly();
        struct stack_pool pool;
        struct stack *stack;
        stack_pool_init(&pool, 65536);
        use(&pool, MANY, 1);
        for (int i = 0; i < MANY; i++)
            if (stack_take(&pool, &stack) < 0)
                _exit(7);
        memset(stack->bottom, 1, stack->size); /* the last one of the list: it was cold */
        ((volatile char *)stack->bottom)[-1] = 1;
        _exit(8);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(died_at_guard(status), "status %x", (unsigned)status);
}

static bool under_valgrind(void)
{
#ifdef SANITIZE_VALGRIND
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}

/* --- thousands of sleeping tasks -------------------------------------------------------------- */
enum { SLEEPERS = 5000 };

static int sleeper(void *argument)
{
    return aw_event_wait(argument);
}

static int sleepers(void *argument)
{
    long *kib_each = argument;
    struct aw_event event;
    struct aw_group group;
    aw_event_init(&event);
    aw_group_init(&group, AW_GROUP_COLLECT);
    long before = resident_kib();
    for (int i = 0; i < SLEEPERS; i++)
        cr_assert_eq(aw_group_spawn(&group, sleeper, &event), 0);
    aw_sleep(1);
    *kib_each = (resident_kib() - before) / SLEEPERS;
    aw_event_set(&event);
    int result = aw_group_wait(&group);
    long after = resident_kib() - before;
    cr_expect_lt(after, *kib_each * SLEEPERS / 2 + 4096, "%ld KiB stay when all have gone", after);
    return result;
}

Test(stack, a_sleeping_task_takes_about_a_page)
{
    if (INSTRUMENTED || under_valgrind())
        cr_skip("a sanitizer's frames and shadow memory are larger");
    long kib_each = 0;
    cr_assert_eq(aw_run(sleepers, &kib_each), 0);
    cr_assert_leq(kib_each, 2 * sysconf(_SC_PAGESIZE) / 1024, "%ld KiB each", kib_each);
    cr_assert_gt(kib_each, 0);
}
