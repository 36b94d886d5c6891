/* hello.c - the first coroutine: says hello, sleeps a second without blocking, says the rest. */
#include <await.h>
#include <stdio.h>

static int hello(void *argument)
{
    (void)argument;
    printf("Hello ...\n");
    int result = aw_sleep(1000);
    if (result < 0)
        return result; /* the task was cancelled */
    printf("... world!\n");
    return 0;
}

int main(void)
{
    return aw_run(hello, NULL) < 0;
}
