/* interval.h - ticks at a fixed distance that do not drift: the time the body takes does not add to
 * the period.
 *
 *     struct aw_interval interval;
 *     int result = aw_interval_start(&interval, 1000, AW_MISSED_SKIP);
 *     while (result >= 0 && (result = aw_interval_tick(&interval)) >= 0)
 *         report();                              once a second, on the second
 */
#ifndef AWAIT_INTERVAL_H
#define AWAIT_INTERVAL_H

#include <await/base.h>

/* What happens to ticks whose time passed while the task was busy. */
enum aw_missed {
    AW_MISSED_SKIP,  /* they are left out; the next one is on the grid */
    AW_MISSED_BURST, /* each is given, one at once after the other, until none is due */
    AW_MISSED_DELAY, /* the grid begins anew from a tick that is a period late or more */
};

struct aw_interval { /* private */
    uint64_t next_ns;
    uint64_t period_ns;
    uint8_t missed;
};

/* Begins the grid: the first tick is a period from now. period_ms 1...2^40; else -EINVAL. `missed`
 * says what happens to late ticks. 0. Needs no call to stop; never suspends. */
AW_API AW_MUST_CHECK int aw_interval_start(struct aw_interval *interval, uint64_t period_ms,
                                           enum aw_missed missed);

/* Waits for the next tick; always suspends, also when it is late. Returns how many ticks were left
 * out before this one (0 on time; at most INT32_MAX), -ECANCELED or -ETIME; an interrupted tick is
 * not used up. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_interval_tick(struct aw_interval *interval);

#endif
