/* kitchen.c - a restaurant's kitchen: soup takes 10, salad 5, pasta 8. One cook who waits beside
 * each pot needs 23, one who looks after all of them 10. A unit is 100 ms here. */
#include <await.h>
#include <stdio.h>

#define UNIT_MS 100

struct dish {
    const char *name;
    uint64_t units;
};

static struct dish dishes[] = {{"soup", 10}, {"salad", 5}, {"pasta", 8}};

static int cook(void *argument)
{
    struct dish *dish = argument;
    printf("%s: on the stove\n", dish->name);
    int result = aw_sleep(dish->units * UNIT_MS);
    if (result < 0)
        return result;
    printf("%s: ready\n", dish->name);
    return 0;
}

static int one_by_one(void)
{
    int result = 0;
    for (int i = 0; i < 3 && result == 0; i++)
        result = cook(&dishes[i]);
    return result;
}

static int all_together(void)
{
    struct aw_task *tasks[3];
    for (int i = 0; i < 3; i++) {
        int error = aw_spawn(&tasks[i], cook, &dishes[i]);
        if (error < 0)
            return error;
    }
    return aw_gather(3, tasks, NULL);
}

static int serve(void *argument)
{
    (void)argument;
    int result = 0;
    uint64_t elapsed_ns = 0;
    AW_WITH(result, aw_with_timer(&elapsed_ns))
        result = one_by_one();
    printf("one by one: %.1f units\n", (double)elapsed_ns / (UNIT_MS * 1e6));
    if (result < 0)
        return result;
    AW_WITH(result, aw_with_timer(&elapsed_ns))
        result = all_together();
    printf("all together: %.1f units\n", (double)elapsed_ns / (UNIT_MS * 1e6));
    return result;
}

int main(void)
{
    return aw_run(serve, NULL) < 0;
}
