/* interval.c - see await/interval.h. */
#include <await/interval.h>

#include <await/clock.h>
#include <await/task.h>

#include <errno.h>

#define PERIOD_MS_MAX (UINT64_C(1) << 40)

int aw_interval_start(struct aw_interval *interval, uint64_t period_ms, enum aw_missed missed)
{
    if (period_ms == 0 || period_ms > PERIOD_MS_MAX)
        return -EINVAL;
    *interval = (struct aw_interval){.next_ns = aw_after_ms(period_ms),
                                     .period_ns = period_ms * AW_NS_PER_MS,
                                     .missed = (uint8_t)missed};
    return 0;
}

int aw_interval_tick(struct aw_interval *interval)
{
    int result = aw_sleep_until(interval->next_ns);
    if (result < 0)
        return result;
    uint64_t now_ns = aw_now_ns();
    uint64_t late_ns = now_ns > interval->next_ns ? now_ns - interval->next_ns : 0;
    uint64_t left_out = 0;
    switch ((enum aw_missed)interval->missed) {
    case AW_MISSED_BURST:
        interval->next_ns += interval->period_ns;
        break;
    case AW_MISSED_DELAY:
        left_out = late_ns / interval->period_ns;
        interval->next_ns = (left_out ? now_ns : interval->next_ns) + interval->period_ns;
        break;
    case AW_MISSED_SKIP:
        left_out = late_ns / interval->period_ns;
        interval->next_ns += (left_out + 1) * interval->period_ns;
        break;
    }
    return left_out > INT32_MAX ? INT32_MAX : (int)left_out;
}
