/* tasks.c - what tasks cost in libawait; tasks.go and tasks.py do the same in Go and asyncio.
 *
 *   tasks switch N     100 tasks yield to each other, N switches in all: ns a switch
 *   tasks handover N   two tasks wake each other in turn, N times in all: ns each
 *   tasks spawn N      N times spawn a task and await it: ns each
 *   tasks sleep N      N tasks sleep one second: seconds until all are awaited
 *   tasks resident N   N sleeping tasks: resident bytes each */
#include <await.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define YIELDERS 100

struct bench {
    const char *what;
    long count;
    long left;
    struct aw_semaphore turns[2];
};

static int yielder(void *argument)
{
    for (long i = *(const long *)argument; i > 0; i--)
        AW_IGNORE(aw_yield());
    return 0;
}

static int bench_switch(struct bench *bench)
{
    struct aw_task *tasks[YIELDERS];
    long each = bench->count / YIELDERS;
    for (int i = 0; i < YIELDERS; i++) {
        int result = aw_spawn(&tasks[i], yielder, &each);
        if (result < 0)
            return result;
    }
    uint64_t began_ns = aw_now_ns();
    int result = aw_gather(YIELDERS, tasks, NULL);
    printf("%.2f\n", (double)(aw_now_ns() - began_ns) / (double)(each * YIELDERS));
    return result;
}

static int hand_over(struct bench *bench, int self)
{
    int result = 0;
    while (bench->left-- > 0 && result == 0) {
        result = aw_semaphore_acquire(&bench->turns[self]);
        aw_semaphore_release(&bench->turns[!self]);
    }
    return result;
}

static int other(void *argument)
{
    return hand_over(argument, 1);
}

static int bench_handover(struct bench *bench)
{
    aw_semaphore_init(&bench->turns[0], 1);
    aw_semaphore_init(&bench->turns[1], 0);
    bench->left = bench->count;
    struct aw_task *task;
    int result = aw_spawn(&task, other, bench);
    uint64_t began_ns = aw_now_ns();
    if (result == 0)
        result = hand_over(bench, 0);
    if (result == 0)
        result = aw_await(task);
    printf("%.2f\n", (double)(aw_now_ns() - began_ns) / (double)bench->count);
    return result;
}

static int nothing(void *argument)
{
    (void)argument;
    return 0;
}

static int bench_spawn(struct bench *bench)
{
    uint64_t began_ns = aw_now_ns();
    for (long i = 0; i < bench->count; i++) {
        struct aw_task *task;
        int result = aw_spawn(&task, nothing, NULL);
        if (result == 0)
            result = aw_await(task);
        if (result < 0)
            return result;
    }
    printf("%.2f\n", (double)(aw_now_ns() - began_ns) / (double)bench->count);
    return 0;
}

static int sleeper(void *argument)
{
    return aw_sleep(*(const uint64_t *)argument);
}

static int bench_sleep(struct bench *bench)
{
    uint64_t second_ms = 1000;
    struct aw_task **tasks = calloc((size_t)bench->count, sizeof *tasks);
    int result = tasks ? 0 : -1;
    uint64_t began_ns = aw_now_ns();
    for (long i = 0; i < bench->count && result == 0; i++)
        result = aw_spawn(&tasks[i], sleeper, &second_ms);
    if (result == 0)
        result = aw_gather((size_t)bench->count, tasks, NULL);
    printf("%.4f\n", (double)(aw_now_ns() - began_ns) / 1e9);
    free(tasks);
    return result;
}

static long resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1)
        abort();
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static int bench_resident(struct bench *bench)
{
    uint64_t hour_ms = 3600000;
    long before = resident_bytes();
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (long i = 0; i < bench->count; i++) {
        int result = aw_group_spawn(&group, sleeper, &hour_ms);
        if (result < 0)
            return result;
    }
    AW_IGNORE(aw_sleep(200)); /* until all have begun to sleep */
    printf("%.1f\n", (double)(resident_bytes() - before) / (double)bench->count);
    fflush(stdout);
    _exit(0); /* cancelling a million is not what is measured */
}

static int bench_main(void *argument)
{
    static const struct {
        const char *name;
        int (*run)(struct bench *bench);
    } every[] = {{"switch", bench_switch},
                 {"handover", bench_handover},
                 {"spawn", bench_spawn},
                 {"sleep", bench_sleep},
                 {"resident", bench_resident}};
    struct bench *bench = argument;
    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++)
        if (strcmp(every[i].name, bench->what) == 0)
            return every[i].run(bench);
    return -EINVAL;
}

int main(int count, char **arguments)
{
    struct bench bench = {.what = count == 3 ? arguments[1] : "",
                          .count = count == 3 ? atol(arguments[2]) : 0};
    int result = bench.count > 0 ? aw_run(bench_main, &bench) : -EINVAL;
    if (result < 0)
        fprintf(stderr, "tasks: %s\n", aw_error_text(result));
    return result < 0 ? 1 : 0;
}
