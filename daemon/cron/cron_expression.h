/* cron_expression.h - when something recurs, as cron writes it.
 *
 *   [second] minute hour day-of-month month day-of-week
 *
 * Five fields, or six with the second first (else it is 0). A field is a list of values, ranges
 * `a-b` and `*`, each with an optional step `/n`; months and days of the week have names (JAN, MON;
 * any case); 0 and 7 are Sunday; `?` is `*` in the two day fields; `L` among the days of the month
 * is its last one. When both day fields are restricted a day that matches either will do, as in
 * Vixie cron; a field that begins with `*` or `?` is not restricted. Instead of fields: @yearly
 * (@annually) @monthly @weekly @daily (@midnight) @hourly, and @every <duration> ("90s", "1h30m").
 *
 * Pure code. An expression that can never match (30 February) is refused. */
#ifndef CRON_EXPRESSION_H
#define CRON_EXPRESSION_H

#include <await/error.h>

#define CRON_EXPRESSION_SIZE_MAX 256u

enum cron_field {
    CRON_SECOND,
    CRON_MINUTE,
    CRON_HOUR,
    CRON_DAY,
    CRON_MONTH,
    CRON_WEEKDAY,
    CRON_FIELDS,
};

struct cron_expression {
    uint64_t every_ms;          /* @every; then nothing below counts. Else 0 */
    uint64_t sets[CRON_FIELDS]; /* bit n: the field may be n */
    bool stars[CRON_FIELDS];    /* it begins with a star or a question mark */
    bool last_day;              /* the last day of the month, besides sets[CRON_DAY] */
};

/* 0, or -EINVAL with a message that names the field and what it may be. */
AW_MUST_CHECK int cron_expression_parse(const char *text, size_t size,
                                        struct cron_expression *ret_expression,
                                        struct aw_error *reterr);

/* Whether it runs through a change of the clock as real time passes, which those with a `*` second,
 * minute or hour do; the others name fixed times of the day (cron_next.h). */
bool cron_expression_runs_through(const struct cron_expression *expression);

#endif
