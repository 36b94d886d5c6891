/* create_task.c - start something, do other work meanwhile, await the result in the end. */
#include <await.h>
#include <stdio.h>

static int fetch(void *argument)
{
    (void)argument;
    printf("fetching ...\n");
    int result = aw_sleep(2000);
    return result < 0 ? result : 42;
}

static int work(void *argument)
{
    (void)argument;
    struct aw_task *task;
    int result = aw_spawn(&task, fetch, NULL);
    if (result < 0)
        return result;
    for (int i = 1; i <= 3; i++) {
        result = aw_sleep(500); /* the fetch goes on meanwhile */
        if (result < 0)
            return result; /* and is cancelled with its parent */
        printf("other work %d\n", i);
    }
    result = aw_await(task);
    if (result >= 0)
        printf("fetched %d\n", result);
    return result;
}

int main(void)
{
    return aw_run(work, NULL) < 0;
}
