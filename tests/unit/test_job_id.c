/* test_job_id.c - ids grow, whatever the clock does, and differ between nodes. */
#include "queue/job_id.h"

#include <criterion/criterion.h>

#define NOW_MS UINT64_C(1795000000000)

Test(job_id, ids_grow_and_tell_their_time)
{
    struct job_id_generator generator;
    job_id_open(&generator, 3, 0);
    uint64_t last = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t id = job_id_next(&generator, NOW_MS + i);
        cr_assert_gt(id, last);
        cr_assert_eq(job_id_time_ms(id), NOW_MS + i);
        cr_assert_leq(id, job_id_ceiling(NOW_MS + i));
        cr_assert_gt(id, job_id_ceiling(NOW_MS + i - 1));
        last = id;
    }
    cr_assert_leq(last, (uint64_t)INT64_MAX);
}

Test(job_id, one_millisecond_that_is_full_borrows_from_the_next)
{
    struct job_id_generator generator;
    job_id_open(&generator, 0, 0);
    uint64_t last = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t id = job_id_next(&generator, NOW_MS);
        cr_assert_gt(id, last);
        cr_assert_eq(job_id_time_ms(id), NOW_MS + (uint64_t)i / 2048);
        last = id;
    }
}

Test(job_id, a_clock_that_steps_back_repeats_nothing)
{
    struct job_id_generator generator;
    job_id_open(&generator, 0, 0);
    uint64_t last = job_id_next(&generator, NOW_MS);
    static const uint64_t times[] = {NOW_MS - 1, NOW_MS - 3600000, 0, NOW_MS, NOW_MS - 5};
    for (int i = 0; i < 20000; i++) {
        uint64_t id = job_id_next(&generator, times[i % 5]);
        cr_assert_gt(id, last);
        last = id;
    }
}

Test(job_id, a_restart_begins_above_the_floor)
{
    struct job_id_generator generator;
    uint64_t floor = job_id_ceiling(NOW_MS + 1000);
    job_id_open(&generator, 1023, floor);
    cr_assert_gt(job_id_next(&generator, NOW_MS), floor);
    cr_assert_gt(job_id_next(&generator, 0), floor);
    cr_assert_eq(job_id_time_ms(job_id_next(&generator, NOW_MS + 5000)), NOW_MS + 5000);
}

Test(job_id, nodes_never_give_the_same_id)
{
    struct job_id_generator left;
    struct job_id_generator right;
    job_id_open(&left, 1, 0);
    job_id_open(&right, 2, 0);
    uint64_t ids[2][3000];
    for (int i = 0; i < 3000; i++) {
        ids[0][i] = job_id_next(&left, NOW_MS);
        ids[1][i] = job_id_next(&right, NOW_MS);
    }
    for (int i = 0, j = 0; i < 3000 && j < 3000;) {
        cr_assert_neq(ids[0][i], ids[1][j]);
        if (ids[0][i] < ids[1][j])
            i++;
        else
            j++;
    }
}
