/* test_clock.c - clocks, deadlines and random numbers. */
#include <await.h>

#include <criterion/criterion.h>
#include <string.h>
#include <time.h>

Test(clock, the_monotonic_clock_is_the_kernels_and_goes_on)
{
    struct timespec kernels;
    uint64_t first = aw_now_ns();
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &kernels), 0);
    uint64_t second = aw_now_ns();
    uint64_t between = (uint64_t)kernels.tv_sec * AW_NS_PER_S + (uint64_t)kernels.tv_nsec;
    cr_expect_leq(first, between);
    cr_expect_leq(between, second);
}

Test(clock, the_wall_clock_is_the_kernels)
{
    struct timespec before, after;
    cr_assert_eq(clock_gettime(CLOCK_REALTIME, &before), 0);
    uint64_t wall_ms = aw_wall_ms();
    cr_assert_eq(clock_gettime(CLOCK_REALTIME, &after), 0);
    cr_expect_geq(wall_ms, (uint64_t)before.tv_sec * 1000);
    cr_expect_leq(wall_ms, (uint64_t)after.tv_sec * 1000 + 1000);
}

Test(clock, a_deadline_saturates_at_never)
{
    uint64_t now = aw_now_ns();
    cr_expect_geq(aw_after_ms(1000), now + AW_NS_PER_S);
    cr_expect_eq(aw_after_ms(UINT64_MAX), AW_NEVER);
    cr_expect_eq(aw_after_ms(UINT64_MAX / AW_NS_PER_MS), AW_NEVER);
}

Test(clock, random_bytes_fill_all_of_the_buffer_and_no_more)
{
    unsigned char seen[34] = {0};
    for (int round = 0; round < 64; round++) {
        unsigned char bytes[34];
        memset(bytes, 0, sizeof bytes);
        aw_random_bytes(bytes + 1, 32);
        cr_assert_eq(bytes[0], 0);
        cr_assert_eq(bytes[33], 0);
        for (int i = 0; i < 34; i++)
            seen[i] |= bytes[i];
    }
    for (int i = 1; i < 33; i++)
        cr_expect_neq(seen[i], 0, "byte %d was never filled", i);
    aw_random_bytes(seen, 0);
}

Test(clock, random_numbers_reach_all_below_the_bound_and_nothing_else)
{
    unsigned seen = 0;
    for (int round = 0; round < 2000; round++) {
        uint64_t number = aw_random_below(5);
        cr_assert_lt(number, 5);
        seen |= 1u << number;
        cr_assert_eq(aw_random_below(1), 0);
        cr_assert_eq(aw_random_below(0), 0);
    }
    cr_expect_eq(seen, 0x1f);
    cr_expect_lt(aw_random_below(UINT64_MAX), UINT64_MAX);
}
