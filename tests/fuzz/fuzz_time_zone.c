/* fuzz_time_zone.c - any bytes are a time zone or refused; its periods hold the instant asked
 * for. */
#include "cron/time_zone.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t instants[] = {INT64_MIN / 4, -1, 0, 1790000000, 4102444800, 253402300799};
    struct time_zone *zone;
    struct aw_error error = {0};
    if (time_zone_parse(data, size, &zone, &error) < 0)
        return 0;
    for (size_t i = 0; i < sizeof instants / sizeof instants[0]; i++) {
        struct zone_period period;
        time_zone_period(zone, instants[i], &period);
        if (period.begin_s > instants[i] || period.end_s <= instants[i])
            abort();
    }
    time_zone_free(zone);
    return 0;
}
