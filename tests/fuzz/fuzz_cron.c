/* fuzz_cron.c - any text is a cron expression or an error; a due time is after the one before, and
 * on the second. */
#include "cron/cron_next.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct time_zone *utc;
    struct cron_expression expression;
    struct aw_error error = {0};
    if (!utc && time_zone_load("UTC", &utc, &error) < 0)
        abort();
    if (cron_expression_parse((const char *)data, size, &expression, &error) < 0) {
        if (!error.message[0])
            abort();
        return 0;
    }
    uint64_t at_ms = UINT64_C(1790000000000);
    for (int i = 0; i < 5; i++) {
        uint64_t next_ms = cron_next(&expression, utc, at_ms);
        if (next_ms <= at_ms || (expression.every_ms == 0 && next_ms % 1000 > 0))
            abort();
        at_ms = next_ms;
    }
    return 0;
}
