/* every.h - the duration of @every: whole numbers with units, largest first or not: "90s",
 * "1h30m", "2d", "1w". */
#ifndef CRON_EVERY_H
#define CRON_EVERY_H

#include <await/base.h>

#define EVERY_MIN_MS UINT64_C(1000)
#define EVERY_MAX_MS (UINT64_C(3650) * 24 * 3600 * 1000)

/* 0, or -EINVAL: no duration, or not one from EVERY_MIN_MS to EVERY_MAX_MS. */
AW_MUST_CHECK int every_parse(const char *text, size_t size, uint64_t *ret_ms);

#endif
