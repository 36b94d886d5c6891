/* test_sync.c - event, lock, semaphore and queue: order of service, interruption at each wait, and
 * a hand-over to a task that is cancelled at the same moment. */
#include <await.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { TASKS_MAX = 8 };

/* One task that waits for something, and what came of it. */
struct party {
    int (*wait)(struct party *party);
    void *thing;
    struct aw_task *task;
    int result;
    void *item;
    int number;
    int *counter;
    int turn; /* how many were served before it */
};

static int wait_once(void *argument)
{
    struct party *party = argument;
    party->result = party->wait(party);
    party->turn = (*party->counter)++;
    return 0;
}

static void start(struct party *parties, int count, int (*wait)(struct party *party), void *thing,
                  int *counter)
{
    for (int i = 0; i < count; i++) {
        parties[i] = (struct party){
            .wait = wait, .thing = thing, .number = i, .counter = counter, .result = 1, .turn = -1};
        cr_assert_eq(aw_spawn(&parties[i].task, wait_once, &parties[i]), 0);
        aw_yield();
    }
}

static void join(struct party *parties, int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(aw_await(parties[i].task), 0);
}

static void expect_in_order(const struct party *parties, int count)
{
    for (int i = 0; i < count; i++) {
        cr_expect_eq(parties[i].result, 0);
        cr_expect_eq(parties[i].turn, i, "party %d was served as number %d", i, parties[i].turn);
    }
}

/* --- event ------------------------------------------------------------------------------------ */
static int wait_event(struct party *party)
{
    return aw_event_wait(party->thing);
}

static int event_wakes_all(void *argument)
{
    (void)argument;
    struct aw_event event;
    struct party parties[3];
    int counter = 0;
    aw_event_init(&event);
    start(parties, 3, wait_event, &event, &counter);
    aw_event_set(&event);
    aw_event_clear(&event); /* whoever was woken has seen it all the same */
    join(parties, 3);
    expect_in_order(parties, 3);
    aw_event_set(&event);
    cr_expect_eq(aw_event_wait(&event), 0);
    return 0;
}

Test(event, wakes_everybody_in_order)
{
    cr_assert_eq(aw_run(event_wakes_all, NULL), 0);
}

static int interrupted_event(void *argument)
{
    (void)argument;
    struct aw_event event;
    struct party parties[3];
    int counter = 0;
    aw_event_init(&event);
    start(parties, 3, wait_event, &event, &counter);
    aw_cancel(parties[1].task);
    aw_yield();
    cr_expect_eq(parties[1].result, -ECANCELED);
    aw_cancel(parties[2].task); /* cancelled first, set at the same moment: off the list */
    aw_event_set(&event);
    join(parties, 3);
    cr_expect_eq(parties[0].result, 0);
    cr_expect_eq(parties[2].result, 0, "the flag had come before the task ran");
    aw_event_clear(&event);
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(2));
    cr_expect_eq(aw_event_wait(&event), -ETIME);
    cr_expect_null(event.waiters.first);
    cr_expect_null(event.waiters.last);
    aw_scope_leave(&scope);
    return 0;
}

Test(event, a_wait_can_be_interrupted)
{
    cr_assert_eq(aw_run(interrupted_event, NULL), 0);
}

/* --- lock ------------------------------------------------------------------------------------- */
static int take_lock(struct party *party)
{
    int result = aw_lock_acquire(party->thing);
    if (result < 0)
        return result;
    struct aw_lock *lock = party->thing;
    cr_expect_eq(lock->owner, aw_current());
    AW_IGNORE(aw_yield());
    cr_expect_eq(lock->owner, aw_current(), "somebody else entered");
    aw_lock_release(party->thing);
    return 0;
}

static int lock_is_fair(void *argument)
{
    (void)argument;
    struct aw_lock lock;
    struct party parties[4];
    int counter = 0;
    aw_lock_init(&lock);
    cr_assert_eq(aw_lock_acquire(&lock), 0);
    cr_expect_eq(aw_lock_acquire(&lock), -EDEADLK);
    start(parties, 4, take_lock, &lock, &counter);
    aw_lock_release(&lock);
    /* back at once: the first waiter has it already */
    cr_expect_eq(aw_lock_acquire(&lock), 0);
    cr_expect_eq(counter, 4, "it overtook somebody");
    aw_lock_release(&lock);
    join(parties, 4);
    expect_in_order(parties, 4);
    cr_expect_null(lock.owner);
    return 0;
}

Test(lock, passes_to_the_first_waiter)
{
    cr_assert_eq(aw_run(lock_is_fair, NULL), 0);
}

static int interrupted_lock(void *argument)
{
    (void)argument;
    struct aw_lock lock;
    struct party parties[3];
    int counter = 0;
    aw_lock_init(&lock);
    cr_assert_eq(aw_lock_acquire(&lock), 0);
    start(parties, 3, take_lock, &lock, &counter);
    aw_cancel(parties[0].task); /* leaves the queue ... */
    aw_yield();
    cr_expect_eq(parties[0].result, -ECANCELED);
    aw_lock_release(&lock);     /* ... so the second one has the lock, */
    aw_cancel(parties[1].task); /* and keeps it although it is cancelled before it runs */
    join(parties, 3);
    cr_expect_eq(parties[1].result, 0);
    cr_expect_eq(parties[2].result, 0);
    cr_expect_null(lock.owner);
    cr_assert_eq(aw_lock_acquire(&lock), 0);
    start(parties, 1, take_lock, &lock, &counter);
    aw_cancel(parties[0].task); /* the other order: cancelled, then handed over */
    aw_lock_release(&lock);
    join(parties, 1);
    cr_expect_eq(parties[0].result, 0);
    cr_expect_null(lock.owner);
    return 0;
}

Test(lock, is_not_lost_with_a_cancelled_waiter)
{
    cr_assert_eq(aw_run(interrupted_lock, NULL), 0);
}

static int lock_with_deadline(struct party *party)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(2));
    int result = take_lock(party);
    aw_scope_leave(&scope);
    return result;
}

static int late_lock(void *argument)
{
    (void)argument;
    struct aw_lock lock;
    struct party party;
    int counter = 0;
    aw_lock_init(&lock);
    cr_assert_eq(aw_lock_acquire(&lock), 0);
    start(&party, 1, lock_with_deadline, &lock, &counter);
    join(&party, 1);
    cr_expect_eq(party.result, -ETIME);
    cr_expect_null(lock.waiters.first);
    aw_lock_release(&lock);
    cr_expect_null(lock.owner);
    return 0;
}

Test(lock, a_wait_honours_the_deadline)
{
    cr_assert_eq(aw_run(late_lock, NULL), 0);
}

static int release_of_another(void *argument)
{
    struct aw_lock *lock = argument;
    aw_lock_init(lock);
    aw_lock_release(lock);
    return 0;
}

Test(lock, release_without_holding_aborts, .signal = SIGABRT)
{
    struct aw_lock lock;
    AW_IGNORE(aw_run(release_of_another, &lock));
}

/* --- semaphore -------------------------------------------------------------------------------- */
static int take_semaphore(struct party *party)
{
    return aw_semaphore_acquire(party->thing);
}

static int semaphore_is_fair(void *argument)
{
    (void)argument;
    struct aw_semaphore semaphore;
    struct party parties[5];
    int counter = 0;
    aw_semaphore_init(&semaphore, 2);
    start(parties, 5, take_semaphore, &semaphore, &counter);
    cr_expect_eq(counter, 2);
    aw_semaphore_release(&semaphore);
    struct party late; /* asks after the release and before the waiter has run */
    start(&late, 1, take_semaphore, &semaphore, &counter);
    cr_expect_eq(counter, 3);
    cr_expect_eq(parties[2].turn, 2);
    for (int i = 0; i < 3; i++)
        aw_semaphore_release(&semaphore);
    join(parties, 5);
    join(&late, 1);
    expect_in_order(parties, 5);
    cr_expect_eq(late.turn, 5);
    return 0;
}

Test(semaphore, serves_in_order)
{
    cr_assert_eq(aw_run(semaphore_is_fair, NULL), 0);
}

static int interrupted_semaphore(void *argument)
{
    (void)argument;
    struct aw_semaphore semaphore;
    struct party parties[3];
    int counter = 0;
    aw_semaphore_init(&semaphore, 0);
    start(parties, 3, take_semaphore, &semaphore, &counter);
    aw_cancel(parties[0].task);
    aw_semaphore_release(&semaphore); /* it has left the wait, not yet the list: it gets it */
    aw_yield();
    cr_expect_eq(parties[0].result, 0);
    aw_cancel(parties[1].task);
    aw_yield();
    cr_expect_eq(parties[1].result, -ECANCELED);
    aw_semaphore_release(&semaphore); /* goes to the third */
    join(parties, 3);
    cr_expect_eq(parties[2].result, 0);
    cr_expect_eq(semaphore.value, 0);
    aw_semaphore_release(&semaphore);
    cr_expect_eq(semaphore.value, 1, "no release was lost and none counted twice");
    return 0;
}

Test(semaphore, no_release_is_lost_with_a_cancelled_waiter)
{
    cr_assert_eq(aw_run(interrupted_semaphore, NULL), 0);
}

/* --- queue ------------------------------------------------------------------------------------ */
static int items[16];

static int put_item(struct party *party)
{
    return aw_queue_put(party->thing, &items[party->number]);
}

static int get_item(struct party *party)
{
    return aw_queue_get(party->thing, &party->item);
}

static int first_in_first_out(void *argument)
{
    (void)argument;
    struct aw_queue queue;
    cr_expect_eq(aw_queue_init(&queue, 0), -EINVAL);
    cr_expect_eq(aw_queue_init(&queue, (1u << 24) + 1), -EINVAL);
    cr_assert_eq(aw_queue_init(&queue, 3), 0);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 3; i++)
            cr_expect_eq(aw_queue_try_put(&queue, &items[i]), 0);
        cr_expect_eq(aw_queue_try_put(&queue, &items[9]), -EAGAIN);
        for (int i = 0; i < (round == 3 ? 3 : 2); i++) {
            void *item = NULL;
            cr_expect_eq(aw_queue_get(&queue, &item), 0);
            cr_expect_eq(item, &items[i]);
        }
        void *item = NULL;
        if (round < 3)
            cr_expect_eq(aw_queue_get(&queue, &item), 0);
    }
    aw_queue_free(&queue);
    return 0;
}

Test(queue, is_first_in_first_out)
{
    cr_assert_eq(aw_run(first_in_first_out, NULL), 0);
}

static int fair_getters(void *argument)
{
    (void)argument;
    struct aw_queue queue;
    struct party parties[3];
    struct party late;
    int counter = 0;
    cr_assert_eq(aw_queue_init(&queue, 4), 0);
    start(parties, 3, get_item, &queue, &counter);
    /* an item has come; before the waiter has run, a newcomer asks: it may not overtake */
    cr_expect_eq(aw_queue_try_put(&queue, &items[0]), 0);
    late = (struct party){.wait = get_item, .thing = &queue, .counter = &counter};
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(0));
    void *stolen = NULL;
    cr_expect_eq(aw_queue_get(&queue, &stolen), -ETIME);
    aw_scope_leave(&scope);
    cr_expect_null(stolen);
    cr_expect_eq(aw_queue_try_put(&queue, &items[1]), 0);
    cr_expect_eq(aw_queue_try_put(&queue, &items[2]), 0);
    cr_expect_eq(aw_queue_try_put(&queue, &items[3]), 0);
    cr_expect_eq(late.wait(&late), 0);
    cr_expect_eq(late.item, &items[3]);
    join(parties, 3);
    expect_in_order(parties, 3);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(parties[i].item, &items[i]);
    aw_queue_free(&queue);
    return 0;
}

Test(queue, getters_are_served_in_order)
{
    cr_assert_eq(aw_run(fair_getters, NULL), 0);
}

static int fair_putters(void *argument)
{
    (void)argument;
    struct aw_queue queue;
    struct party parties[3];
    int counter = 0;
    cr_assert_eq(aw_queue_init(&queue, 1), 0);
    cr_expect_eq(aw_queue_try_put(&queue, &items[8]), 0);
    start(parties, 3, put_item, &queue, &counter);
    void *item = NULL;
    cr_expect_eq(aw_queue_get(&queue, &item), 0);
    cr_expect_eq(item, &items[8]);
    cr_expect_eq(aw_queue_try_put(&queue, &items[9]), -EAGAIN,
                 "the place belongs to who waited for it");
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(aw_queue_get(&queue, &item), 0);
        cr_expect_eq(item, &items[i]);
    }
    join(parties, 3);
    expect_in_order(parties, 3);
    cr_expect_eq(queue.count, 0);
    aw_queue_free(&queue);
    return 0;
}

Test(queue, putters_are_served_in_order)
{
    cr_assert_eq(aw_run(fair_putters, NULL), 0);
}

static int interrupted_queue(void *argument)
{
    (void)argument;
    struct aw_queue queue;
    struct party parties[3];
    int counter = 0;
    void *item = NULL;
    cr_assert_eq(aw_queue_init(&queue, 1), 0);
    start(parties, 3, get_item, &queue, &counter);
    aw_cancel(parties[0].task);
    aw_yield();
    cr_expect_eq(parties[0].result, -ECANCELED);
    cr_expect_eq(aw_queue_try_put(&queue, &items[0]), 0);
    aw_cancel(parties[1].task); /* it has the item already: it may not be lost */
    cr_expect_eq(aw_queue_try_put(&queue, &items[1]), 0);
    join(parties, 3);
    cr_expect_eq(parties[1].result, 0);
    cr_expect_eq(parties[1].item, &items[0]);
    cr_expect_eq(parties[2].item, &items[1]);

    cr_expect_eq(aw_queue_try_put(&queue, &items[8]), 0);
    start(parties, 3, put_item, &queue, &counter);
    aw_cancel(parties[1].task);
    aw_yield();
    cr_expect_eq(parties[1].result, -ECANCELED);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(aw_queue_get(&queue, &item), 0);
    cr_expect_eq(item, &items[2], "the cancelled one's item never entered");
    join(parties, 3);
    cr_expect_eq(queue.count, 0);
    aw_queue_free(&queue);
    return 0;
}

Test(queue, no_item_is_lost_or_doubled_by_cancellation)
{
    cr_assert_eq(aw_run(interrupted_queue, NULL), 0);
}

static int closed_queue(void *argument)
{
    (void)argument;
    struct aw_queue queue;
    struct party putters[2];
    struct party getters[2];
    int counter = 0;
    void *item = NULL;
    cr_assert_eq(aw_queue_init(&queue, 1), 0);
    start(getters, 2, get_item, &queue, &counter);
    aw_queue_close(&queue);
    join(getters, 2);
    cr_expect_eq(getters[0].result, -EPIPE);
    cr_expect_eq(getters[1].result, -EPIPE);
    aw_queue_free(&queue);

    cr_assert_eq(aw_queue_init(&queue, 1), 0);
    cr_expect_eq(aw_queue_try_put(&queue, &items[8]), 0);
    start(putters, 2, put_item, &queue, &counter);
    aw_queue_close(&queue);
    join(putters, 2);
    cr_expect_eq(putters[0].result, -EPIPE);
    cr_expect_eq(putters[1].result, -EPIPE);
    cr_expect_eq(aw_queue_try_put(&queue, &items[9]), -EPIPE);
    cr_expect_eq(aw_queue_put(&queue, &items[9]), -EPIPE);
    cr_expect_eq(aw_queue_get(&queue, &item), 0, "what was inside can still be had");
    cr_expect_eq(item, &items[8]);
    cr_expect_eq(aw_queue_get(&queue, &item), -EPIPE);
    aw_queue_free(&queue);
    return 0;
}

Test(queue, closing_ends_every_wait_and_keeps_what_is_inside)
{
    cr_assert_eq(aw_run(closed_queue, NULL), 0);
}
