/* downloads.c - three downloads of two seconds each (simulated): 6 s in turn, 2 s at once.
 * three_downloads.c does it with real servers. */
#include <await.h>
#include <stdio.h>

static const char *const names[] = {"one.zip", "two.zip", "three.zip"};

static int download(void *name)
{
    printf("downloading %s\n", *(const char *const *)name);
    int result = aw_sleep(2000);
    if (result < 0)
        return result;
    printf("downloaded %s\n", *(const char *const *)name);
    return 0;
}

static int in_turn(void)
{
    int result = 0;
    for (int i = 0; i < 3 && result == 0; i++) {
        const char *name = names[i];
        result = download(&name);
    }
    return result;
}

static int at_once(void)
{
    const char *arguments[3];
    struct aw_group group;
    aw_group_init(&group, AW_GROUP_FAIL_FAST);
    for (int i = 0; i < 3; i++) {
        arguments[i] = names[i];
        if (aw_group_spawn(&group, download, &arguments[i]) < 0)
            aw_group_cancel(&group);
    }
    return aw_group_wait(&group);
}

static int compare(void *argument)
{
    (void)argument;
    int result = 0;
    uint64_t elapsed_ns = 0;
    AW_WITH(result, aw_with_timer(&elapsed_ns))
        result = in_turn();
    printf("in turn: %.2f s\n", (double)elapsed_ns / 1e9);
    if (result < 0)
        return result;
    AW_WITH(result, aw_with_timer(&elapsed_ns))
        result = at_once();
    printf("at once: %.2f s\n", (double)elapsed_ns / 1e9);
    return result;
}

int main(void)
{
    return aw_run(compare, NULL) < 0;
}
