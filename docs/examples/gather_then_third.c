/* gather_then_third.c - two at once, and a third that needs both of them first. */
#include <await.h>
#include <stdio.h>

static int load_user(void *argument)
{
    (void)argument;
    int result = aw_sleep(1000);
    printf("user loaded\n");
    return result < 0 ? result : 7;
}

static int load_prices(void *argument)
{
    (void)argument;
    int result = aw_sleep(2000);
    printf("prices loaded\n");
    return result < 0 ? result : 100;
}

static int make_invoice(int user, int price)
{
    int result = aw_sleep(1000);
    if (result < 0)
        return result;
    printf("invoice for user %d: %d\n", user, price);
    return 0;
}

static int run_all(void *argument)
{
    (void)argument;
    struct aw_task *tasks[2];
    int results[2];
    int result = aw_spawn(&tasks[0], load_user, NULL);
    if (result == 0)
        result = aw_spawn(&tasks[1], load_prices, NULL);
    if (result == 0)
        result = aw_gather(2, tasks, results);
    return result < 0 ? result : make_invoice(results[0], results[1]);
}

int main(void)
{
    return aw_run(run_all, NULL) < 0;
}
