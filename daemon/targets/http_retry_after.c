/* http_retry_after.c - see http_retry_after.h. */
#include "targets/http_retry_after.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_MAX 10000000000u /* beyond any date; keeps the sum below from overflowing */

static bool parse_seconds(const char *value, uint64_t *ret_seconds)
{
    uint64_t seconds = 0;
    if (!isdigit((unsigned char)*value))
        return false;
    for (; isdigit((unsigned char)*value); value++)
        seconds = seconds < SECONDS_MAX ? seconds * 10 + (uint64_t)(*value - '0') : SECONDS_MAX;
    *ret_seconds = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
    return value[strspn(value, " \t")] == '\0';
}

/* The daemon never leaves the C locale, so %a and %b are English. */
static bool parse_date(const char *value, uint64_t *ret_seconds)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT", /* RFC 9110 */
        "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
        "%a %b %e %H:%M:%S %Y",      /* asctime */
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm fields = {0};
        const char *end = strptime(value, forms[i], &fields);
        if (!end || end[strspn(end, " \t")] != '\0')
            continue;
        time_t seconds = timegm(&fields);
        *ret_seconds = seconds > 0 ? (uint64_t)seconds : 0;
        return true;
    }
    return false;
}

bool http_retry_after(const char *value, uint64_t now_ms, uint64_t *ret_delay_ms)
{
    uint64_t seconds;
    value += strspn(value, " \t");
    if (parse_seconds(value, &seconds)) {
        *ret_delay_ms = seconds * 1000;
        return true;
    }
    if (!parse_date(value, &seconds))
        return false;
    *ret_delay_ms = seconds * 1000 > now_ms ? seconds * 1000 - now_ms : 0;
    return true;
}
