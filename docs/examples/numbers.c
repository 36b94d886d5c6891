/* numbers.c - the numbers 1 to 30, a task each: 8 and 12 sleep, the others do not wait for them. */
#include <await.h>
#include <stdio.h>

static int print_number(void *argument)
{
    int number = *(int *)argument;
    int result = 0;
    if (number == 8)
        result = aw_sleep(1000);
    else if (number == 12)
        result = aw_sleep(500);
    if (result == 0)
        printf("%d\n", number);
    return result;
}

static int print_all(void *argument)
{
    (void)argument;
    int numbers[30];
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_COLLECT);
    for (int i = 0; i < 30; i++) {
        numbers[i] = i + 1;
        if (aw_group_spawn(&group, print_number, &numbers[i]) < 0)
            aw_group_cancel(&group);
    }
    return aw_group_wait(&group);
}

int main(void)
{
    return aw_run(print_all, NULL) < 0;
}
