/* test_histogram.c - percentiles to an eighth, over the whole range, and fading; rates. */
#include "queue/histogram.h"
#include "queue/traffic.h"

#include <criterion/criterion.h>

#define START_NS UINT64_C(7000000000)
#define SECOND_NS UINT64_C(1000000000)

static struct histogram histogram;

static void expect_near(uint32_t percent, uint64_t value)
{
    uint64_t got = histogram_percentile(&histogram, percent, START_NS);
    cr_expect_leq(got, value + value / 8 + 1, "p%u is %lu, not %lu", percent, got, value);
    cr_expect_geq(got, value - value / 8, "p%u is %lu, not %lu", percent, got, value);
}

Test(histogram, empty_gives_zero)
{
    cr_assert_eq(histogram_percentile(&histogram, 99, START_NS), 0);
}

Test(histogram, percentiles_of_a_spread)
{
    for (uint64_t value = 1; value <= 10000; value++)
        histogram_add(&histogram, value, START_NS);
    expect_near(1, 100);
    expect_near(50, 5000);
    expect_near(90, 9000);
    expect_near(99, 9900);
    expect_near(100, 10000);
}

Test(histogram, every_size_is_met_to_an_eighth)
{
    for (uint64_t value = 1; value < UINT64_C(1) << 39; value = value * 9 / 8 + 1) {
        histogram = (struct histogram){0};
        histogram_add(&histogram, value, START_NS);
        expect_near(50, value);
        expect_near(99, value);
    }
}

Test(histogram, small_values_are_exact_and_large_ones_are_kept_at_the_end)
{
    for (uint64_t value = 0; value < 8; value++) {
        histogram = (struct histogram){0};
        histogram_add(&histogram, value, START_NS);
        cr_expect_eq(histogram_percentile(&histogram, 50, START_NS), value);
    }
    histogram = (struct histogram){0};
    histogram_add(&histogram, UINT64_MAX, START_NS);
    cr_expect_gt(histogram_percentile(&histogram, 50, START_NS), UINT64_C(1) << 39);
}

Test(histogram, what_was_is_forgotten)
{
    for (int i = 0; i < 100; i++)
        histogram_add(&histogram, 1000000, START_NS);
    uint64_t later_ns = START_NS + 3 * HISTOGRAM_HALF_LIFE_NS;
    for (int i = 0; i < 50; i++)
        histogram_add(&histogram, 10, later_ns);
    /* 100 of old weigh 12.5 now: the median is new, the last tenth is not */
    cr_expect_leq(histogram_percentile(&histogram, 50, later_ns), 12);
    cr_expect_geq(histogram_percentile(&histogram, 90, later_ns), 800000);
    uint64_t end_ns = later_ns + 40 * HISTOGRAM_HALF_LIFE_NS;
    cr_expect_eq(histogram_percentile(&histogram, 50, end_ns), 0);
    cr_expect_eq(histogram.total, 0);
}

Test(traffic, a_steady_rate_is_told_from_the_first_seconds_on)
{
    struct traffic traffic;
    traffic_init(&traffic, START_NS);
    uint64_t now_ns = START_NS;
    for (int i = 0; i < 1000; i++) { /* 100 a second */
        traffic_count(&traffic, TRAFFIC_STARTED, now_ns);
        now_ns += SECOND_NS / 100;
    }
    for (int span = 0; span < TRAFFIC_SPANS; span++) {
        double rate = traffic_rate(&traffic, TRAFFIC_STARTED, (enum traffic_span)span, now_ns);
        cr_expect_float_eq(rate, 100, 3, "%f", rate);
        cr_expect_eq(traffic_rate(&traffic, TRAFFIC_DONE, (enum traffic_span)span, now_ns), 0);
    }
}

Test(traffic, a_rate_fades_the_faster_the_shorter_its_span)
{
    struct traffic traffic;
    traffic_init(&traffic, START_NS);
    for (int i = 0; i < 600; i++) /* ten minutes at one a second */
        traffic_count(&traffic, TRAFFIC_DONE, START_NS + (uint64_t)i * SECOND_NS);
    uint64_t quiet_ns = START_NS + 660 * SECOND_NS;
    double minute = traffic_rate(&traffic, TRAFFIC_DONE, TRAFFIC_1_MINUTE, quiet_ns);
    double five = traffic_rate(&traffic, TRAFFIC_DONE, TRAFFIC_5_MINUTES, quiet_ns);
    cr_expect_float_eq(minute, 0.37, 0.05, "%f", minute);
    cr_expect_gt(five, 0.7);
    cr_expect_lt(five, 1);
}
