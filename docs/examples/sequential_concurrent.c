/* sequential_concurrent.c - two waits of 2 s and 3 s: one after the other, then at once. */
#include <await.h>
#include <stdio.h>

static int wait_for(void *seconds)
{
    int result = aw_sleep(*(uint64_t *)seconds * 1000);
    printf("waited %d s\n", (int)*(uint64_t *)seconds);
    return result;
}

static uint64_t durations[] = {2, 3};

static int sequential(void)
{
    int result = wait_for(&durations[0]); /* a call is a wait: the second begins after the first */
    return result < 0 ? result : wait_for(&durations[1]);
}

static int concurrent(void)
{
    struct aw_task *tasks[2];
    for (int i = 0; i < 2; i++) {
        int error = aw_spawn(&tasks[i], wait_for, &durations[i]);
        if (error < 0)
            return error;
    }
    return aw_gather(2, tasks, NULL);
}

static int compare(void *argument)
{
    (void)argument;
    int result = 0;
    uint64_t elapsed_ns = 0;
    AW_WITH(result, aw_with_timer(&elapsed_ns))
        result = sequential();
    printf("sequential: %.2f s\n", (double)elapsed_ns / 1e9);
    if (result < 0)
        return result;
    AW_WITH(result, aw_with_timer(&elapsed_ns))
        result = concurrent();
    printf("concurrent: %.2f s\n", (double)elapsed_ns / 1e9);
    return result;
}

int main(void)
{
    return aw_run(compare, NULL) < 0;
}
