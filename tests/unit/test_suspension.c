/* test_suspension.c - each waiting call of the core: cancelled before it, cancelled in it, past a
 * deadline; every time it gives the same answer at once and leaves nobody in a line. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>

/* What each call below waits for in vain. */
struct world {
    struct aw_event event;
    struct aw_lock held;
    struct aw_lock free;
    struct aw_semaphore semaphore;
    struct aw_condition condition;
    struct aw_barrier barrier;
    struct aw_once once;
    struct aw_queue empty;
    struct aw_queue full;
    struct aw_priority_queue none;
    struct aw_priority_queue many;
    struct aw_interval interval;
    struct aw_task *sleeper;
};

typedef int (*waiting_call)(struct world *world);

static int call_sleep(struct world *world)
{
    (void)world;
    return aw_sleep(60000);
}

static int call_tick(struct world *world)
{
    return aw_interval_tick(&world->interval);
}

static int call_event(struct world *world)
{
    return aw_event_wait(&world->event);
}

static int call_lock(struct world *world)
{
    return aw_lock_acquire(&world->held);
}

static int call_semaphore(struct world *world)
{
    return aw_semaphore_acquire(&world->semaphore);
}

static int call_condition(struct world *world)
{
    int result = aw_lock_acquire(&world->free);
    cr_assert_eq(result, 0);
    result = aw_condition_wait(&world->condition, &world->free);
    cr_expect_eq(world->free.owner, aw_current());
    aw_lock_release(&world->free);
    return result;
}

static int call_barrier(struct world *world)
{
    return aw_barrier_wait(&world->barrier);
}

static int sleep_long(void *argument)
{
    (void)argument;
    return aw_sleep(60000);
}

static int call_once(struct world *world)
{
    return aw_once_run(&world->once, sleep_long, NULL);
}

static int call_queue_get(struct world *world)
{
    void *item;
    return aw_queue_get(&world->empty, &item);
}

static int call_queue_put(struct world *world)
{
    return aw_queue_put(&world->full, world);
}

static int call_priority_get(struct world *world)
{
    void *item;
    return aw_priority_queue_get(&world->none, &item);
}

static int call_priority_put(struct world *world)
{
    return aw_priority_queue_put(&world->many, 1, world);
}

static int call_wait(struct world *world)
{
    return aw_wait(world->sleeper, AW_NEVER);
}

static int call_wait_any(struct world *world)
{
    size_t index;
    return aw_wait_any(1, &world->sleeper, AW_NEVER, &index);
}

static int call_sleep_until(struct world *world)
{
    (void)world;
    return aw_sleep_until(AW_NEVER);
}

static bool never(void *argument)
{
    (void)argument;
    return false;
}

static int call_condition_for(struct world *world)
{
    cr_assert_eq(aw_lock_acquire(&world->free), 0);
    int result = aw_condition_wait_for(&world->condition, &world->free, never, NULL);
    aw_lock_release(&world->free);
    return result;
}

static int call_condition_until(struct world *world)
{
    cr_assert_eq(aw_lock_acquire(&world->free), 0);
    int result = aw_condition_wait_until(&world->condition, &world->free, AW_NEVER);
    aw_lock_release(&world->free);
    return result;
}

/* These two cancel what they wait for. */
static int call_race(struct world *world)
{
    (void)world;
    struct aw_task *task;
    size_t index;
    cr_assert_eq(aw_spawn(&task, sleep_long, NULL), 0);
    return aw_race(1, &task, &index);
}

static int call_gather_fail_fast(struct world *world)
{
    (void)world;
    struct aw_task *task;
    cr_assert_eq(aw_spawn(&task, sleep_long, NULL), 0);
    int result = aw_gather_fail_fast(1, &task, NULL);
    /* the child's own word: -ECANCELED, whatever interrupted the caller */
    return result == -ECANCELED ? aw_interrupted() : result;
}

static int call_with_lock(struct world *world)
{
    int result = 0;
    AW_WITH(result, aw_with_lock(&world->held)) {
        cr_expect_fail("the lock is held by another");
    }
    return result;
}

static const struct {
    const char *name;
    waiting_call call;
} calls[] = {
    {"aw_sleep", call_sleep},
    {"aw_interval_tick", call_tick},
    {"aw_event_wait", call_event},
    {"aw_lock_acquire", call_lock},
    {"aw_semaphore_acquire", call_semaphore},
    {"aw_condition_wait", call_condition},
    {"aw_barrier_wait", call_barrier},
    {"aw_once_run", call_once},
    {"aw_queue_get", call_queue_get},
    {"aw_queue_put", call_queue_put},
    {"aw_priority_queue_get", call_priority_get},
    {"aw_priority_queue_put", call_priority_put},
    {"aw_sleep_until", call_sleep_until},
    {"aw_condition_wait_for", call_condition_for},
    {"aw_condition_wait_until", call_condition_until},
    {"aw_race", call_race},
    {"aw_gather_fail_fast", call_gather_fail_fast},
    {"aw_wait", call_wait},
    {"aw_wait_any", call_wait_any},
    {"AW_WITH a lock", call_with_lock},
};

static void world_open(struct world *world)
{
    *world = (struct world){0};
    aw_event_init(&world->event);
    aw_lock_init(&world->held);
    aw_lock_init(&world->free);
    aw_semaphore_init(&world->semaphore, 0);
    aw_condition_init(&world->condition);
    aw_once_init(&world->once);
    cr_assert_eq(aw_lock_acquire(&world->held), 0);
    cr_assert_eq(aw_barrier_init(&world->barrier, 2), 0);
    cr_assert_eq(aw_queue_init(&world->empty, 1), 0);
    cr_assert_eq(aw_queue_init(&world->full, 1), 0);
    cr_assert_eq(aw_queue_try_put(&world->full, world), 0);
    cr_assert_eq(aw_priority_queue_init(&world->none, 1), 0);
    cr_assert_eq(aw_priority_queue_init(&world->many, 1), 0);
    cr_assert_eq(aw_priority_queue_try_put(&world->many, 0, world), 0);
    cr_assert_eq(aw_interval_start(&world->interval, 60000, AW_MISSED_SKIP), 0);
    cr_assert_eq(aw_spawn(&world->sleeper, sleep_long, NULL), 0);
}

/* Nobody may be left waiting, and what was there is there still. */
static void world_close(struct world *world, const char *name)
{
    const struct aw_wait_list *lines[] = {
        &world->event.waiters,     &world->held.waiters,  &world->free.waiters,
        &world->semaphore.waiters, &world->barrier.waiters, &world->condition.waiters,
        &world->once.waiters,      &world->empty.getters, &world->full.putters,
        &world->none.getters,      &world->many.putters,
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cr_expect(!lines[i]->first && !lines[i]->last, "%s left somebody in line %zu", name, i);
    cr_expect_eq(aw_barrier_waiting(&world->barrier), 0, "%s", name);
    cr_expect_eq(aw_priority_queue_count(&world->many), 1, "%s", name);
    cr_expect_eq(world->full.count, 1, "%s", name);
    cr_expect(!aw_finished(world->sleeper), "%s cancelled what it waited for", name);
    aw_lock_release(&world->held);
    aw_cancel(world->sleeper);
    cr_expect_eq(aw_await(world->sleeper), -ECANCELED);
    aw_queue_free(&world->empty);
    aw_queue_free(&world->full);
    aw_priority_queue_free(&world->none);
    aw_priority_queue_free(&world->many);
}

struct attempt {
    struct world *world;
    waiting_call call;
    bool cancel_first;
};

static int make_the_call(void *argument)
{
    struct attempt *attempt = argument;
    if (attempt->cancel_first)
        aw_cancel(aw_current());
    return attempt->call(attempt->world);
}

static int cancel_each(void *argument)
{
    bool first = *(bool *)argument;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct world world;
        world_open(&world);
        struct attempt attempt = {&world, calls[i].call, first};
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, make_the_call, &attempt), 0);
        cr_assert_eq(aw_yield(), 0);
        cr_expect_eq(aw_finished(task), first, "%s", calls[i].name);
        aw_cancel(task);
        cr_expect_eq(aw_await(task), -ECANCELED, "%s", calls[i].name);
        world_close(&world, calls[i].name);
    }
    return 0;
}

Test(suspension, a_call_in_a_cancelled_task_does_not_wait)
{
    bool first = true;
    cr_assert_eq(aw_run(cancel_each, &first), 0);
}

Test(suspension, a_call_that_waits_is_ended_by_cancellation)
{
    bool first = false;
    cr_assert_eq(aw_run(cancel_each, &first), 0);
}

static int waits_each(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct world world;
        world_open(&world);
        /* by another task: the lock that is held belongs to this one */
        struct attempt attempt = {&world, calls[i].call, false};
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, make_the_call, &attempt), 0);
        cr_expect_eq(aw_wait(task, aw_after_ms(1)), -ETIME, "%s", calls[i].name);
        aw_cancel(task);
        cr_expect_eq(aw_await(task), -ECANCELED);
        world_close(&world, calls[i].name);
    }
    return 0;
}

Test(suspension, a_call_that_waits_in_vain_waits_for_ever)
{
    cr_assert_eq(aw_run(waits_each, NULL), 0);
}

static int call_in_scope(void *argument)
{
    struct attempt *attempt = argument;
    int result = 0;
    AW_WITH(result, aw_with_timeout(2)) {
        result = attempt->call(attempt->world);
        cr_expect_eq(result, -ETIME);
        result = attempt->call(attempt->world); /* level: again, at once */
    }
    cr_expect_eq(aw_interrupted(), 0);
    return result;
}

static int scope_each(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct world world;
        world_open(&world);
        struct attempt attempt = {&world, calls[i].call, false};
        struct aw_task *task;
        cr_assert_eq(aw_spawn(&task, call_in_scope, &attempt), 0);
        cr_expect_eq(aw_await(task), -ETIME, "%s", calls[i].name);
        world_close(&world, calls[i].name);
    }
    return 0;
}

Test(suspension, a_deadline_ends_each_call)
{
    cr_assert_eq(aw_run(scope_each, NULL), 0);
}
