/* test_priority_queue.c - order, bound, fairness, closing, cancellation. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static int run(aw_function function, void *argument)
{
    return aw_run_with(NULL, function, argument, NULL);
}

#define ITEMS 500

static int sorted(void *argument)
{
    (void)argument;
    static int items[ITEMS];
    struct aw_priority_queue queue;
    cr_assert_eq(aw_priority_queue_init(&queue, ITEMS), 0);
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (i * 7919) % 50 - 25; /* each priority ten times */
        cr_assert_eq(aw_priority_queue_put(&queue, items[i], &items[i]), 0);
    }
    int extra = 0;
    cr_expect_eq(aw_priority_queue_try_put(&queue, 0, &extra), -EAGAIN);
    cr_expect_eq(aw_priority_queue_count(&queue), ITEMS);
    int *before = NULL;
    for (int i = 0; i < ITEMS; i++) {
        void *item = NULL;
        cr_assert_eq(aw_priority_queue_get(&queue, &item), 0);
        int *now = item;
        cr_expect(!before || *before < *now || (*before == *now && before < now));
        before = now;
    }
    void *item;
    cr_expect_eq(aw_priority_queue_try_get(&queue, &item), -EAGAIN);
    aw_priority_queue_free(&queue);
    return 0;
}

Test(priority_queue, smallest_first_and_equal_ones_in_order)
{
    cr_assert_eq(run(sorted, NULL), 0);
}

struct person {
    struct aw_priority_queue *queue;
    int64_t priority;
    char letter;
    char got;
};

static int put(void *argument)
{
    struct person *person = argument;
    return aw_priority_queue_put(person->queue, person->priority, &person->letter);
}

static int get(void *argument)
{
    struct person *person = argument;
    void *item;
    int result = aw_priority_queue_get(person->queue, &item);
    if (result == 0)
        person->got = *(char *)item;
    return result;
}

static void spawn_all(struct aw_priority_queue *queue, struct person people[3],
                      struct aw_task *tasks[3], aw_function function)
{
    for (int i = 0; i < 3; i++) {
        people[i] = (struct person){.queue = queue, .priority = 3 - i, .letter = (char)('a' + i)};
        cr_assert_eq(aw_spawn(&tasks[i], function, &people[i]), 0);
    }
    cr_assert_eq(aw_yield(), 0);
}

static int waiting_getters(void *argument)
{
    (void)argument;
    struct aw_priority_queue queue;
    cr_assert_eq(aw_priority_queue_init(&queue, 4), 0);
    struct person people[3];
    struct aw_task *tasks[3];
    spawn_all(&queue, people, tasks, get);
    aw_cancel(tasks[0]);
    cr_expect_eq(aw_await(tasks[0]), -ECANCELED);
    char letters[] = "xyz";
    cr_expect_eq(aw_priority_queue_try_put(&queue, 9, &letters[0]), 0);
    cr_expect_eq(aw_priority_queue_try_put(&queue, 1, &letters[1]), 0);
    /* it has its item already: a cancellation comes too late to lose it */
    aw_cancel(tasks[1]);
    /* a newcomer cannot take what has been given */
    void *item;
    cr_expect_eq(aw_priority_queue_try_get(&queue, &item), -EAGAIN);
    cr_expect_eq(aw_await(tasks[1]), 0);
    cr_expect_eq(aw_await(tasks[2]), 0);
    cr_expect_eq(people[1].got, 'x');
    cr_expect_eq(people[2].got, 'y');
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(2));
    cr_expect_eq(aw_priority_queue_get(&queue, &item), -ETIME);
    aw_scope_leave(&scope);
    aw_priority_queue_free(&queue);
    return 0;
}

Test(priority_queue, getters_are_served_in_order_and_nothing_is_lost)
{
    cr_assert_eq(run(waiting_getters, NULL), 0);
}

static int waiting_putters(void *argument)
{
    (void)argument;
    struct aw_priority_queue queue;
    cr_assert_eq(aw_priority_queue_init(&queue, 1), 0);
    char first = '1';
    cr_assert_eq(aw_priority_queue_try_put(&queue, 0, &first), 0);
    struct person people[3];
    struct aw_task *tasks[3];
    spawn_all(&queue, people, tasks, put);
    aw_cancel(tasks[1]);
    cr_expect_eq(aw_await(tasks[1]), -ECANCELED);
    char got[4] = {0};
    for (int i = 0; i < 3; i++) {
        void *item = NULL;
        cr_expect_eq(aw_priority_queue_get(&queue, &item), 0);
        got[i] = *(char *)item;
    }
    cr_expect_str_eq(got, "1ac", "the place went to the putter that had waited longest");
    cr_expect_eq(aw_await(tasks[0]), 0);
    cr_expect_eq(aw_await(tasks[2]), 0);
    cr_expect_eq(aw_priority_queue_count(&queue), 0);
    aw_priority_queue_free(&queue);
    return 0;
}

Test(priority_queue, putters_wait_while_it_is_full)
{
    cr_assert_eq(run(waiting_putters, NULL), 0);
}

static int closing(void *argument)
{
    (void)argument;
    struct aw_priority_queue queue;
    cr_assert_eq(aw_priority_queue_init(&queue, 1), 0);
    struct person people[3];
    struct aw_task *tasks[3];
    spawn_all(&queue, people, tasks, put); /* one fits, two wait */
    aw_priority_queue_close(&queue);
    int results[3];
    cr_expect_eq(aw_gather(3, tasks, results), -EPIPE);
    cr_expect_eq(results[0], 0);
    cr_expect_eq(results[1], -EPIPE);
    cr_expect_eq(results[2], -EPIPE);
    char late = 'l';
    cr_expect_eq(aw_priority_queue_put(&queue, 0, &late), -EPIPE);
    void *item = NULL;
    cr_expect_eq(aw_priority_queue_get(&queue, &item), 0);
    cr_expect_eq(item, &people[0].letter);
    cr_expect_eq(aw_priority_queue_get(&queue, &item), -EPIPE);
    cr_expect_eq(aw_priority_queue_try_get(&queue, &item), -EPIPE);
    aw_priority_queue_free(&queue);

    cr_assert_eq(aw_priority_queue_init(&queue, 1), 0);
    spawn_all(&queue, people, tasks, get);
    aw_priority_queue_close(&queue);
    cr_expect_eq(aw_gather(3, tasks, results), -EPIPE);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(results[i], -EPIPE);
    aw_priority_queue_free(&queue);
    return 0;
}

Test(priority_queue, closing_refuses_putters_and_lets_getters_drain)
{
    cr_assert_eq(run(closing, NULL), 0);
}

Test(priority_queue, impossible_capacities_are_refused)
{
    struct aw_priority_queue queue;
    cr_assert_eq(aw_priority_queue_init(&queue, 0), -EINVAL);
    cr_assert_eq(aw_priority_queue_init(&queue, (1u << 24) + 1), -EINVAL);
}
