/* test_token_bucket.c - a burst at once, then one token an interval, and never more. */
#include "queue/token_bucket.h"

#include <criterion/criterion.h>

#define START_NS UINT64_C(5000000000)

/* How many can be taken at that time. */
static uint32_t drain(struct token_bucket *bucket, uint64_t now_ns)
{
    uint32_t taken = 0;
    while (taken < 1000 && token_bucket_ready_ns(bucket, now_ns) <= now_ns) {
        token_bucket_take(bucket, now_ns);
        taken++;
    }
    return taken;
}

Test(token_bucket, without_an_interval_there_is_no_limit)
{
    struct token_bucket bucket;
    token_bucket_init(&bucket, 0, 0);
    cr_assert_eq(drain(&bucket, START_NS), 1000);
}

Test(token_bucket, a_burst_and_then_one_each_interval)
{
    struct token_bucket bucket;
    token_bucket_init(&bucket, 100, 5);
    cr_assert_eq(drain(&bucket, START_NS), 5);
    cr_assert_eq(token_bucket_ready_ns(&bucket, START_NS), START_NS + 100);
    cr_assert_eq(drain(&bucket, START_NS + 99), 0);
    cr_assert_eq(drain(&bucket, START_NS + 100), 1);
    cr_assert_eq(drain(&bucket, START_NS + 199), 0);
    cr_assert_eq(drain(&bucket, START_NS + 399), 2);
    cr_assert_eq(drain(&bucket, START_NS + 400), 1);
}

Test(token_bucket, no_more_than_the_burst_is_saved_up)
{
    struct token_bucket bucket;
    token_bucket_init(&bucket, 100, 3);
    cr_assert_eq(drain(&bucket, START_NS), 3);
    cr_assert_eq(drain(&bucket, START_NS + 1000000), 3);
    cr_assert_eq(drain(&bucket, START_NS + 1000000), 0);
}

Test(token_bucket, a_burst_of_none_counts_as_one)
{
    struct token_bucket bucket;
    token_bucket_init(&bucket, 100, 0);
    cr_assert_eq(drain(&bucket, START_NS), 1);
}

Test(token_bucket, over_a_long_time_the_rate_is_exact)
{
    struct token_bucket bucket;
    token_bucket_init(&bucket, 7, 1);
    uint32_t taken = 0;
    for (uint64_t now_ns = START_NS; now_ns < START_NS + 7000; now_ns += 3)
        taken += drain(&bucket, now_ns);
    /* a multiple of 3 meets each interval late at times; what was late is not lost for ever */
    cr_assert_leq(taken, 1000);
    cr_assert_geq(taken, 700);
}

Test(token_bucket, the_largest_burst_at_the_slowest_rate_does_not_overflow)
{
    struct token_bucket bucket;
    const uint64_t hour_ns = UINT64_C(3600000000000);
    token_bucket_init(&bucket, hour_ns, 1000000);
    for (uint32_t i = 0; i < 1000000; i++) {
        cr_assert_eq(token_bucket_ready_ns(&bucket, START_NS), START_NS);
        token_bucket_take(&bucket, START_NS);
    }
    cr_assert_eq(token_bucket_ready_ns(&bucket, START_NS), START_NS + hour_ns);
}

Test(token_bucket, another_rate_is_not_held_up_by_the_old_one)
{
    struct token_bucket bucket;
    token_bucket_init(&bucket, 1000000, 4);
    cr_assert_eq(drain(&bucket, START_NS), 4);
    token_bucket_change(&bucket, 10, 2, START_NS);
    cr_assert_eq(drain(&bucket, START_NS), 0);
    cr_assert_eq(drain(&bucket, START_NS + 10), 1);
    token_bucket_change(&bucket, 0, 0, START_NS + 10);
    cr_assert_eq(drain(&bucket, START_NS + 10), 1000);
}
