/* http_outcome.h - what a response, or none, means for a job.
 *
 *   2xx, and 3xx that is not followed   done: [status, headers, body]
 *   408 425 429 and 5xx                 retry, after Retry-After if the server gave it
 *   other 4xx                           dead
 *   no connection to the base           unavailable: the target is down, no attempt is spent
 *   no connection to another host       retry: one host of many says nothing of the target
 *   cut off before the response         interrupted
 *
 * At-most-once: a 5xx other than 503, a timeout and a job that was stopped after its request had
 * been sent are interrupted too: it may have taken effect. */
#ifndef TARGETS_HTTP_OUTCOME_H
#define TARGETS_HTTP_OUTCOME_H

#include "targets/target.h"

struct http_circumstances {
    const struct aw_http_request *request;
    const struct target_settings *settings;
    size_t result_size_max;
    bool base; /* the request was for the target's base */
};

void http_outcome_of_response(const struct http_circumstances *circumstances,
                              const struct aw_http_response *response, struct outcome *outcome);
void http_outcome_of_error(const struct http_circumstances *circumstances, int number,
                           const struct aw_error *error, struct outcome *outcome);

#endif
