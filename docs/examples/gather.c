/* gather.c - A, B and C at once; the results come in the order of the tasks, after the longest. */
#include <await.h>
#include <stdio.h>

struct step {
    char name;
    uint64_t sleep_ms;
    int value;
};

static int run_step(void *argument)
{
    struct step *step = argument;
    printf("%c starts\n", step->name);
    int result = aw_sleep(step->sleep_ms);
    printf("%c is done\n", step->name);
    return result < 0 ? result : step->value;
}

static int run_all(void *argument)
{
    (void)argument;
    struct step steps[] = {{'A', 2000, 10}, {'B', 1000, 20}, {'C', 3000, 30}};
    struct aw_task *tasks[3];
    int results[3];
    for (int i = 0; i < 3; i++) {
        int error = aw_spawn(&tasks[i], run_step, &steps[i]);
        if (error < 0)
            return error;
    }
    int result = aw_gather(3, tasks, results);
    printf("results: %d %d %d\n", results[0], results[1], results[2]);
    return result;
}

int main(void)
{
    return aw_run(run_all, NULL) < 0;
}
