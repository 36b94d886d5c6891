/* http_retry_after.h - how long a server asks to be left alone. */
#ifndef TARGETS_HTTP_RETRY_AFTER_H
#define TARGETS_HTTP_RETRY_AFTER_H

#include <await/base.h>

/* The value of a Retry-After header, seconds or a date in one of HTTP's three forms, as ms from
 * now_ms (ms since 1970); a date in the past is 0. false: it is neither. */
bool http_retry_after(const char *value, uint64_t now_ms, uint64_t *ret_delay_ms);

#endif
