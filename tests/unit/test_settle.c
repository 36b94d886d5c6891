/* test_settle.c - the table of settle.h, case by case, and the bounds of the backoff. */
#include "queue/settle.h"

#include <criterion/criterion.h>

#define HUNDRED_YEARS_MS UINT64_C(3153600000000)

static const struct job fresh = {
    .retries = 3, .attempts = 0, .backoff_min_ms = 100, .backoff_max_ms = 1000};

static enum target_delivery delivery = TARGET_AT_LEAST_ONCE;

static void expect(struct job job, enum outcome_kind outcome, bool timed_out, enum job_state state,
                   bool attempt_spent)
{
    struct decision decision = settle_decide(&job, outcome, delivery, timed_out, 1u << 31);
    cr_expect_eq(decision.state, state, "outcome %d gives %s, not %s", (int)outcome,
                 job_state_name(decision.state), job_state_name(state));
    cr_expect_eq(decision.attempt_spent, attempt_spent);
    if (decision.state == JOB_SCHEDULED) {
        cr_expect_geq(decision.delay_ms, job.backoff_min_ms);
        cr_expect_leq(decision.delay_ms, job.backoff_max_ms);
    } else {
        cr_expect_eq(decision.delay_ms, 0);
    }
}

Test(settle, outcomes_of_a_job_that_has_attempts_left)
{
    expect(fresh, OUTCOME_DONE, false, JOB_DONE, true);
    expect(fresh, OUTCOME_DONE, true, JOB_DONE, true);
    expect(fresh, OUTCOME_RETRY, false, JOB_SCHEDULED, true);
    expect(fresh, OUTCOME_DEAD, false, JOB_DEAD, true);
    expect(fresh, OUTCOME_STOPPED, false, JOB_READY, false);
    expect(fresh, OUTCOME_STOPPED, true, JOB_SCHEDULED, true);
    expect(fresh, OUTCOME_UNAVAILABLE, false, JOB_READY, false);
    expect(fresh, OUTCOME_UNAVAILABLE, true, JOB_READY, false);
    expect(fresh, OUTCOME_INTERRUPTED, false, JOB_READY, false);
}

Test(settle, attempts_end)
{
    for (uint32_t attempts = 0; attempts < 6; attempts++) {
        struct job job = fresh;
        job.attempts = attempts;
        expect(job, OUTCOME_RETRY, false, attempts < 3 ? JOB_SCHEDULED : JOB_DEAD, true);
        expect(job, OUTCOME_STOPPED, true, attempts < 3 ? JOB_SCHEDULED : JOB_DEAD, true);
        expect(job, OUTCOME_UNAVAILABLE, false, JOB_READY, false);
    }
    struct job once = fresh;
    once.retries = 0;
    expect(once, OUTCOME_RETRY, false, JOB_DEAD, true);
}

Test(settle, a_job_that_takes_its_connection_down_again_and_again_spends_attempts)
{
    struct job job = fresh;
    job.interruptions = INTERRUPTIONS_MAX - 1;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_READY, false);
    job.interruptions = INTERRUPTIONS_MAX;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_SCHEDULED, true);
    job.attempts = 3;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_DEAD, true);
    expect(job, OUTCOME_UNAVAILABLE, false, JOB_READY, false);
}

Test(settle, a_cancelled_job_ends_cancelled_unless_it_had_ended_by_itself)
{
    struct job job = fresh;
    job.cancel_requested = true;
    expect(job, OUTCOME_DONE, false, JOB_DONE, true);
    expect(job, OUTCOME_DEAD, false, JOB_DEAD, true);
    expect(job, OUTCOME_RETRY, false, JOB_CANCELLED, false);
    expect(job, OUTCOME_STOPPED, false, JOB_CANCELLED, false);
    expect(job, OUTCOME_STOPPED, true, JOB_CANCELLED, false);
    expect(job, OUTCOME_UNAVAILABLE, false, JOB_CANCELLED, false);
    expect(job, OUTCOME_INTERRUPTED, false, JOB_CANCELLED, false);
}

Test(settle, at_most_once_an_unknown_outcome_is_uncertain)
{
    struct job job = fresh;
    delivery = TARGET_AT_MOST_ONCE;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_UNCERTAIN, true);
    expect(job, OUTCOME_INTERRUPTED, true, JOB_UNCERTAIN, true);
    expect(job, OUTCOME_RETRY, false, JOB_SCHEDULED, true);
    expect(job, OUTCOME_UNAVAILABLE, false, JOB_READY, false);
    expect(job, OUTCOME_STOPPED, false, JOB_READY, false);
    job.cancel_requested = true;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_UNCERTAIN, true);
    expect(job, OUTCOME_UNAVAILABLE, false, JOB_CANCELLED, false);
}

Test(settle, exactly_once_nobody_says_dead_or_cancelled_of_what_may_be_done)
{
    struct job job = fresh;
    delivery = TARGET_EXACTLY_ONCE;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_READY, false);
    job.interruptions = INTERRUPTIONS_MAX;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_SCHEDULED, true);
    job.attempts = 3;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_UNCERTAIN, true);
    expect(job, OUTCOME_RETRY, false, JOB_DEAD, true);
    job.cancel_requested = true;
    expect(job, OUTCOME_INTERRUPTED, false, JOB_UNCERTAIN, true);
    expect(job, OUTCOME_STOPPED, false, JOB_CANCELLED, false);
}

Test(settle, backoff_doubles_inside_its_bounds)
{
    const uint32_t middle = 1u << 31; /* no jitter */
    cr_expect_eq(settle_backoff_ms(100, 100000, 1, middle), 100);
    cr_expect_eq(settle_backoff_ms(100, 100000, 2, middle), 200);
    cr_expect_eq(settle_backoff_ms(100, 100000, 5, middle), 1600);
    cr_expect_eq(settle_backoff_ms(100, 100000, 12, middle), 100000);
    cr_expect_eq(settle_backoff_ms(100, 100000, UINT32_MAX, middle), 100000);
    cr_expect_eq(settle_backoff_ms(500, 100, 1, middle), 500); /* the larger one counts */
    cr_expect_eq(settle_backoff_ms(0, 0, 7, middle), 0);
    cr_expect_eq(settle_backoff_ms(0, 1000, UINT32_MAX, middle), 0);
}

Test(settle, backoff_is_jittered_by_a_quarter)
{
    static const uint32_t randoms[] = {0, 1, 1u << 31, UINT32_MAX};
    for (uint32_t attempts = 1; attempts < 80; attempts++)
        for (int i = 0; i < 4; i++) {
            uint64_t delay = settle_backoff_ms(1000, HUNDRED_YEARS_MS, attempts, randoms[i]);
            cr_assert_geq(delay, 1000);
            cr_assert_leq(delay, HUNDRED_YEARS_MS);
        }
    cr_expect_eq(settle_backoff_ms(100, 100000, 4, 0), 600);
    cr_expect_lt(settle_backoff_ms(100, 100000, 4, UINT32_MAX), 1000);
    cr_expect_gt(settle_backoff_ms(100, 100000, 4, UINT32_MAX), 990);
    cr_expect_leq(settle_backoff_ms(UINT64_MAX - 1, UINT64_MAX, UINT32_MAX, UINT32_MAX),
                  UINT64_MAX);
}
