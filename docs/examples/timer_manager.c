/* timer_manager.c - a timer around a block that fetches three users at once: about 1.00 s. */
#include <await.h>
#include <stdio.h>

struct stopwatch {
    const char *label;
    uint64_t began_ns;
};

static int stopwatch_start(void *object)
{
    ((struct stopwatch *)object)->began_ns = aw_now_ns();
    return 0;
}

static int stopwatch_stop(void *object, int outcome)
{
    struct stopwatch *stopwatch = object;
    printf("%s took %.2f s%s\n", stopwatch->label,
           (double)(aw_now_ns() - stopwatch->began_ns) / 1e9, outcome < 0 ? " and failed" : "");
    return 0;
}

static const struct aw_manager stopwatch_manager = {
    .enter = stopwatch_start, .exit = stopwatch_stop, .exit_is_immediate = true};

static int fetch_user(void *number)
{
    int result = aw_sleep(1000);
    printf("user %d\n", *(int *)number);
    return result;
}

static int fetch_users(void *argument)
{
    (void)argument;
    struct stopwatch stopwatch = {.label = "fetching three users"};
    int numbers[] = {1, 2, 3};
    int result = 0;
    AW_WITH(result, aw_with(&stopwatch_manager, &stopwatch)) {
        struct aw_group group;
        aw_group_init(&group, AW_GROUP_FAIL_FAST);
        for (int i = 0; i < 3; i++)
            if (aw_group_spawn(&group, fetch_user, &numbers[i]) < 0)
                aw_group_cancel(&group);
        result = aw_group_wait(&group);
    }
    return result;
}

int main(void)
{
    return aw_run(fetch_users, NULL) < 0;
}
