/* zone_rule.h - the rule at the end of a TZif file: what holds after its last listed change, in the
 * form of POSIX's TZ ("CET-1CEST,M3.5.0,M10.5.0/3") with the extensions of RFC 8536. Pure code. */
#ifndef CRON_ZONE_RULE_H
#define CRON_ZONE_RULE_H

#include "cron/time_zone.h"

enum zone_day_kind {
    ZONE_DAY_OF_WEEK, /* Mm.w.d: weekday d of week w of month m; week 5 is the last */
    ZONE_DAY_JULIAN,  /* Jn: 1 ... 365, 29 February is not counted */
    ZONE_DAY_ZERO,    /* n: 0 ... 365, it is */
};

struct zone_day {
    enum zone_day_kind kind;
    int month;
    int week;
    int weekday;
    int day;
    int32_t time_s; /* of the local clock before the change; may be below 0 or above a day */
};

struct zone_rule {
    int32_t standard_offset_s; /* local time less UTC */
    int32_t daylight_offset_s;
    bool has_daylight; /* else the rest does not count */
    struct zone_day start; /* of daylight saving, each year */
    struct zone_day end;
};

/* 0 or -EINVAL. */
AW_MUST_CHECK int zone_rule_parse(const char *text, size_t size, struct zone_rule *ret_rule);

void zone_rule_period(const struct zone_rule *rule, int64_t instant_s,
                      struct zone_period *ret_period);

#endif
