/* cancellation.c - the rules of docs/CANCELLATION.md, one function each; prints what each gave. */
#include <await.h>
#include <errno.h>
#include <stdio.h>

static void show(const char *what, int result)
{
    printf("%s: %s\n", what, result < 0 ? aw_error_name(result) : "ok");
}

static int sleep_twice(void *argument)
{
    (void)argument;
    show("first sleep", aw_sleep(60000));
    show("second sleep", aw_sleep(60000));
    return 42; /* a request, not a kill: the task decides what its result is */
}

static int level_triggered(void)
{
    struct aw_task *task;
    int result = aw_spawn(&task, sleep_twice, NULL);
    if (result < 0)
        return result;
    result = aw_yield(); /* it sleeps now */
    aw_cancel(task);
    printf("task: %d\n", aw_await(task));
    return result;
}

static int whose_deadline(void)
{
    struct aw_scope outer, inner;
    aw_scope_enter(&outer, aw_after_ms(50));
    aw_scope_enter(&inner, aw_after_ms(60000));
    show("sleep", aw_sleep(30000));
    printf("inner expired: %d\n", aw_scope_expired(&inner));
    aw_scope_leave(&inner);
    printf("outer expired: %d\n", aw_scope_expired(&outer));
    aw_scope_leave(&outer);
    return aw_sleep(1); /* outside the scope all is well again */
}

static int with_a_timeout(void)
{
    int result = 0;
    AW_WITH(result, aw_with_timeout(50)) {
        result = aw_sleep(60000);
    }
    show("body", result);
    return 0;
}

static int save(void *argument)
{
    (void)argument;
    int result = aw_sleep(60000);
    int saved = 0;
    AW_WITH(saved, aw_with_shield(aw_after_ms(1000))) {
        saved = aw_sleep(10); /* a last write: cancellation does not reach it */
    }
    show("last write", saved);
    return result;
}

static int shielded(void)
{
    struct aw_task *task;
    int result = aw_spawn(&task, save, NULL);
    if (result < 0)
        return result;
    result = aw_yield();
    aw_cancel(task);
    show("task", aw_await(task));
    return result;
}

static int child(void *argument)
{
    (void)argument;
    int result = aw_sleep(60000);
    show("child", result);
    return result;
}

static int parent(void *argument)
{
    (void)argument;
    struct aw_task *task;
    int result = aw_spawn(&task, child, NULL);
    if (result == 0)
        result = aw_yield();
    return result; /* the child still runs: it is cancelled and waited for */
}

static int structured(void)
{
    struct aw_task *task;
    int result = aw_spawn(&task, parent, NULL);
    if (result < 0)
        return result;
    result = aw_await(task);
    show("parent", result);
    return result;
}

static int get_item(void *queue)
{
    void *item;
    int result = aw_queue_get(queue, &item);
    if (result == 0)
        printf("got %s\n", (const char *)item);
    show("next wait", aw_sleep(60000));
    return result;
}

static int data_first(void)
{
    char item[] = "an item";
    struct aw_queue queue;
    struct aw_task *task;
    int result = aw_queue_init(&queue, 1);
    if (result < 0)
        return result;
    result = aw_spawn(&task, get_item, &queue);
    if (result == 0) {
        result = aw_yield();
        if (result == 0)
            result = aw_queue_put(&queue, item); /* it is awake now, and has not run yet */
        aw_cancel(task);
        show("task", aw_await(task));
    }
    aw_queue_free(&queue);
    return result;
}

static int compute(void *argument)
{
    int *rounds = argument;
    for (;;) {
        ++*rounds;
        if (aw_running_ns() > 5 * AW_NS_PER_MS) { /* others have waited long enough */
            int result = aw_yield();
            if (result < 0)
                return result;
        }
    }
}

static int polite_computation(void)
{
    int rounds = 0;
    struct aw_task *task;
    int result = aw_spawn(&task, compute, &rounds);
    if (result < 0)
        return result;
    result = aw_sleep(30);
    aw_cancel(task);
    show("computation", aw_await(task));
    return rounds > 0 ? result : -EPROTO;
}

static int all(void *argument)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } rules[] = {
        {"level-triggered", level_triggered}, {"whose deadline", whose_deadline},
        {"with a timeout", with_a_timeout},   {"shielded", shielded},
        {"structured", structured},           {"data first", data_first},
        {"polite", polite_computation},
    };
    (void)argument;
    int result = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && result >= 0; i++) {
        printf("-- %s\n", rules[i].name);
        result = rules[i].run();
    }
    return result;
}

int main(void)
{
    return aw_run(all, NULL) < 0;
}
