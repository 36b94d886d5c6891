/* cron_next.h - the next time an expression names, on the clock of a zone.
 *
 * When a zone's clock is set forward or back, as daylight saving does:
 *   - An expression of fixed times (no `*` as second, minute or hour): a time that the clock skips
 *     is due at the first instant after the gap; several skipped ones are due once. A time that
 *     comes twice is due the first time only.
 *   - An expression with a `*` second, minute or hour runs through as real time passes: nothing is
 *     due in the skipped hour, and the hour that comes twice is served twice.
 * So do Vixie cron and its heirs. */
#ifndef CRON_NEXT_H
#define CRON_NEXT_H

#include "cron/cron_expression.h"
#include "cron/time_zone.h"

/* The first due time after `after_ms` (Unix ms, UTC), 0: none before the year 10000. */
uint64_t cron_next(const struct cron_expression *expression, const struct time_zone *zone,
                   uint64_t after_ms);

/* The first second at or after `local_s` (seconds on a clock that is never set) and up to
 * `limit_s` that matches; false: none. Not for @every. */
bool cron_next_local(const struct cron_expression *expression, int64_t local_s, int64_t limit_s,
                     int64_t *ret_local_s);

#endif
