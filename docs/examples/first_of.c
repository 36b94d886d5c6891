/* first_of.c - the first of several, three ways: the winner takes all, whoever comes first and the
 * others later, and all or nothing. */
#include <await.h>
#include <errno.h>
#include <stdio.h>

struct mirror {
    const char *name;
    uint64_t answers_after_ms;
    int result;
};

static int ask(void *argument)
{
    struct mirror *mirror = argument;
    int result = aw_sleep(mirror->answers_after_ms);
    return result < 0 ? result : mirror->result;
}

static int ask_all(struct mirror mirrors[3], struct aw_task *tasks[3])
{
    for (int i = 0; i < 3; i++) {
        int error = aw_spawn(&tasks[i], ask, &mirrors[i]);
        if (error < 0)
            return error;
    }
    return 0;
}

static int race(struct mirror mirrors[3])
{
    struct aw_task *tasks[3];
    size_t winner = 0;
    int result = ask_all(mirrors, tasks);
    if (result == 0)
        result = aw_race(3, tasks, &winner); /* the others are cancelled */
    if (result >= 0)
        printf("race: %s\n", mirrors[winner].name);
    return result;
}

static int as_completed(struct mirror mirrors[3])
{
    struct aw_task *tasks[3];
    struct mirror *of[] = {&mirrors[0], &mirrors[1], &mirrors[2]};
    int result = ask_all(mirrors, tasks);
    for (size_t left = 3; left > 0 && result == 0; left--) {
        size_t first = 0;
        result = aw_wait_any(left, tasks, AW_NEVER, &first); /* the others go on */
        if (result < 0)
            break;
        int answer = aw_await(tasks[first]);
        printf("completed: %s %s\n", of[first]->name, answer < 0 ? aw_error_name(answer) : "ok");
        tasks[first] = tasks[left - 1];
        of[first] = of[left - 1];
    }
    return result;
}

static int all_or_nothing(struct mirror mirrors[3])
{
    struct aw_task *tasks[3];
    int results[3];
    int result = ask_all(mirrors, tasks);
    if (result < 0)
        return result;
    result = aw_gather_fail_fast(3, tasks, results);
    printf("all or nothing: %s\n", result < 0 ? aw_error_name(result) : "ok");
    for (int i = 0; i < 3; i++)
        printf("%s: %s\n", mirrors[i].name, results[i] < 0 ? aw_error_name(results[i]) : "ok");
    return 0;
}

static int ticks(void)
{
    struct aw_interval interval;
    int result = aw_interval_start(&interval, 100, AW_MISSED_SKIP);
    for (int i = 0; i < 3 && result >= 0; i++) {
        result = aw_interval_tick(&interval); /* on the grid, however long the body takes */
        if (result >= 0)
            result = aw_sleep(50);
    }
    return result;
}

static int all(void *argument)
{
    (void)argument;
    struct mirror mirrors[] = {{"Oslo", 300, 1}, {"Rome", 100, 1}, {"Bern", 200, -ECONNREFUSED}};
    int result = race(mirrors);
    if (result >= 0)
        result = as_completed(mirrors);
    if (result >= 0)
        result = all_or_nothing(mirrors);
    return result < 0 ? result : ticks();
}

int main(void)
{
    return aw_run(all, NULL) < 0;
}
