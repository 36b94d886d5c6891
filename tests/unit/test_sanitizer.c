/* test_sanitizer.c - canaries: each sanitizer must see what is planted, across coroutine switches.
 * A sanitizer that was not told of the switches stays silent, or reports what is not there. */
#include "core/sanitize.h"

#include <await.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* gcc tells of UBSan by no macro; the asan build has both. */
#ifdef SANITIZE_ADDRESS
#define HAS_ADDRESS 1
#else
#define HAS_ADDRESS 0
#endif

enum { REPORT_SIZE = 65536 };

/* Runs the function in a loop of a child process, whose standard error goes to `report`. */
static int run_in_child(aw_function function, char report[REPORT_SIZE])
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        _exit(aw_run(function, NULL) == 0 ? 0 : 7);
    }
    close(ends[1]);
    size_t size = 0;
    ssize_t got;
    size_t room = REPORT_SIZE - 1;
    while (size < room && (got = read(ends[0], report + size, room - size)) > 0)
        size += (size_t)got;
    report[size] = '\0';
    close(ends[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

static volatile int sink;

static int write_behind(void *argument)
{
    char *memory = argument;
    AW_IGNORE(aw_yield());
    memory[32] = 1; /* one byte behind what the other task allocated */
    return aw_yield();
}

static int heap_overflow(void *argument)
{
    (void)argument;
    char *memory = malloc(32);
    struct aw_task *task;
    if (!memory || aw_spawn(&task, write_behind, memory) < 0)
        return -1;
    int result = aw_await(task);
    free(memory);
    return result;
}

static int write_to_dead_frame(void *argument)
{
    char **pointer = argument;
    AW_IGNORE(aw_yield());
    (*pointer)[3] = 1;
    return 0;
}

static __attribute__((noinline)) int frame_that_ends(char **ret_pointer)
{
    char local[64];
    memset(local, 7, sizeof local);
    *ret_pointer = local; /* NOLINT: planted */
    AW_IGNORE(aw_yield());
    return local[sink];
}

static int use_after_return(void *argument)
{
    (void)argument;
    char *pointer = NULL;
    struct aw_task *task;
    sink += frame_that_ends(&pointer);
    if (aw_spawn(&task, write_to_dead_frame, &pointer) < 0)
        return -1;
    return aw_await(task);
}

static int stack_overflow_of_a_local(void *argument)
{
    volatile int *index = argument;
    char local[16] = "";
    char *volatile pointer = local; /* hides the size from UBSan, which would be first */
    AW_IGNORE(aw_yield());
    pointer[*index] = 1;
    return local[0];
}

static int local_overflow(void *argument)
{
    (void)argument;
    static volatile int behind = 16;
    struct aw_task *task;
    if (aw_spawn(&task, stack_overflow_of_a_local, (void *)(uintptr_t)&behind) < 0)
        return -1;
    return aw_await(task) < 0;
}

static int use_after_scope_of_a_local(void *argument)
{
    char *volatile pointer = argument;
    {
        char local[32];
        memset(local, 7, sizeof local);
        pointer = local; /* NOLINT: planted */
        AW_IGNORE(aw_yield());
        sink += local[sink];
    }
    AW_IGNORE(aw_yield());
    sink += pointer[3];
    return 0;
}

static int use_after_scope(void *argument)
{
    struct aw_task *task;
    if (aw_spawn(&task, use_after_scope_of_a_local, argument) < 0)
        return -1;
    return aw_await(task);
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
    struct aw_task *task;
    if (!memory || aw_spawn(&task, free_while_away, &memory) < 0)
        return -1;
    int result = aw_await(task);
    sink += memory[5];
    return result;
}

static int overflow_after_a_switch(void *argument)
{
    volatile int *number = argument;
    AW_IGNORE(aw_yield());
    *number += 1;
    return 0;
}

static int signed_overflow(void *argument)
{
    (void)argument;
    static volatile int number = INT32_MAX;
    struct aw_task *task;
    if (aw_spawn(&task, overflow_after_a_switch, (void *)(uintptr_t)&number) < 0)
        return -1;
    return aw_await(task);
}

static void expect_report(aw_function planted, const char *words, const char *where)
{
    static char report[REPORT_SIZE];
    if (!HAS_ADDRESS)
        cr_skip("not built with AddressSanitizer and UBSan");
    int status = run_in_child(planted, report);
    cr_assert_neq(status, 0);
    cr_assert(strstr(report, words), "%s", report);
    cr_assert(strstr(report, where), "%s", report);
}

Test(sanitizer, address_sees_use_after_scope_on_a_tasks_stack)
{
    expect_report(use_after_scope, "stack-use-after-scope", "use_after_scope_of_a_local");
}

Test(sanitizer, address_sees_use_after_free_across_a_switch)
{
    expect_report(use_after_free, "heap-use-after-free", "free_while_away");
}

Test(sanitizer, undefined_behaviour_is_seen_after_a_switch)
{
    expect_report(signed_overflow, "signed integer overflow", "overflow_after_a_switch");
}

Test(sanitizer, address_sees_a_heap_overflow_across_a_switch)
{
    static char report[REPORT_SIZE];
    if (!HAS_ADDRESS)
        cr_skip("not built with AddressSanitizer");
    int status = run_in_child(heap_overflow, report);
    cr_assert_neq(status, 0);
    cr_assert(strstr(report, "heap-buffer-overflow"), "%s", report);
    cr_assert(strstr(report, "write_behind"), "%s", report);
}

Test(sanitizer, address_sees_an_overflow_of_a_tasks_local)
{
    static char report[REPORT_SIZE];
    if (!HAS_ADDRESS)
        cr_skip("not built with AddressSanitizer");
    int status = run_in_child(local_overflow, report);
    cr_assert_neq(status, 0);
    cr_assert(strstr(report, "stack-buffer-overflow"), "%s", report);
}

Test(sanitizer, address_sees_use_after_return_on_a_tasks_stack)
{
    static char report[REPORT_SIZE];
    const char *options = getenv("ASAN_OPTIONS");
    if (!HAS_ADDRESS || !options || !strstr(options, "detect_stack_use_after_return=1"))
        cr_skip("not built with AddressSanitizer, or it does not look for this");
    int status = run_in_child(use_after_return, report);
    cr_assert_neq(status, 0);
    cr_assert(strstr(report, "stack-use-after-return"), "%s", report);
}

/* And it reports nothing where there is nothing: deep frames, reused stacks, many switches. */
static int deep(void *argument)
{
    volatile char frame[4096];
    memset((char *)(uintptr_t)frame, 1, sizeof frame);
    int depth = *(int *)argument;
    int next = depth - 1;
    AW_IGNORE(aw_yield());
    return depth == 0 ? 0 : deep(&next) + frame[depth] - 1;
}

static int innocent(void *argument)
{
    (void)argument;
    for (int round = 0; round < 5; round++) {
        struct aw_task *tasks[20];
        int depth = 10;
        for (int i = 0; i < 20; i++)
            if (aw_spawn(&tasks[i], deep, &depth) < 0)
                return -1;
        int result = aw_gather(20, tasks, NULL);
        if (result < 0)
            return result;
    }
    return 0;
}

Test(sanitizer, nothing_is_reported_where_nothing_is_wrong)
{
    static char report[REPORT_SIZE];
    int status = run_in_child(innocent, report);
    cr_assert_eq(status, 0, "%s", report);
    cr_assert_str_eq(report, "");
}
