/* test_timer.c - the heap of deadlines against a naive model: random operations, same answers. */
#include "core/timer.h"

#include <criterion/criterion.h>

enum { TIMERS = 300, STEPS = 200000 };

struct model {
    struct timer timers[TIMERS];
    uint64_t deadlines[TIMERS]; /* 0: not armed */
};

static uint64_t state = 88172645463325252u;

static uint64_t below(uint64_t bound)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % bound;
}

static uint64_t least(const struct model *model)
{
    uint64_t nearest = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++)
        if (model->deadlines[i] != 0 && model->deadlines[i] < nearest)
            nearest = model->deadlines[i];
    return nearest;
}

static void pop(struct timer_heap *heap, struct model *model, uint64_t now)
{
    uint64_t nearest = least(model);
    struct timer *timer = timers_pop_expired(heap, now);
    if (nearest > now) {
        cr_assert_null(timer);
        return;
    }
    cr_assert_not_null(timer);
    long index = timer - model->timers;
    cr_assert_eq(model->deadlines[index], nearest, "not the first one came out");
    cr_assert_eq(timer->position, 0);
    model->deadlines[index] = 0;
}

static void expect_sound(const struct timer_heap *heap, const struct model *model)
{
    uint32_t armed = 0;
    for (int i = 0; i < TIMERS; i++) {
        const struct timer *timer = &model->timers[i];
        cr_assert_eq(timer->position != 0, model->deadlines[i] != 0);
        if (timer->position == 0)
            continue;
        armed++;
        cr_assert_eq(heap->items[timer->position - 1].timer, timer);
        cr_assert_eq(heap->items[timer->position - 1].deadline_ns, model->deadlines[i]);
    }
    cr_assert_eq(heap->count, armed);
}

Test(timer, the_heap_answers_like_a_list)
{
    static struct model model;
    struct timer_heap heap = {0};
    cr_assert_eq(timers_reserve(&heap, TIMERS), 0);
    uint64_t now = 1;
    for (int step = 0; step < STEPS; step++) {
        uint64_t index = below(TIMERS);
        switch (below(5)) {
        case 0:
        case 1: /* few different deadlines: many are equal */
            model.deadlines[index] = now + 1 + below(step % 2 ? 20 : 1000000);
            timer_arm(&heap, &model.timers[index], model.deadlines[index]);
            break;
        case 2:
            timer_disarm(&heap, &model.timers[index]);
            model.deadlines[index] = 0;
            break;
        case 3:
            now += below(50);
            break;
        default:
            pop(&heap, &model, now);
        }
        if (step % 16 == 0) {
            cr_assert_eq(timers_next(&heap), least(&model));
            expect_sound(&heap, &model);
        }
    }
    while (heap.count > 0)
        pop(&heap, &model, UINT64_MAX - 1);
    cr_assert_eq(timers_next(&heap), UINT64_MAX);
    timers_free(&heap);
}

Test(timer, reserving_grows_and_keeps)
{
    static struct timer timers[1000];
    struct timer_heap heap = {0};
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(timers_reserve(&heap, i + 1), 0);
        timer_arm(&heap, &timers[i], 1000 - i);
    }
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert_eq(timers_pop_expired(&heap, 1000), &timers[999 - i]);
    cr_assert_null(timers_pop_expired(&heap, UINT64_MAX));
    timers_free(&heap);
}
