/* http_job.h - a job's arguments as an HTTP request:
 * <method> <url> ["Name: value" ...] [BODY body].
 *
 * Added to what the job says, unless it names the same header: the target's headers; Authorization
 * with the target's password, for its base only; Idempotency-Key with the job's id. */
#ifndef TARGETS_HTTP_JOB_H
#define TARGETS_HTTP_JOB_H

#include "config/http_rules.h"
#include "targets/target.h"

struct http_job {
    struct aw_http_request request;
    char *text;                     /* what the request's strings point into; it may be secret */
    size_t text_size;
    struct aw_http_header *headers;
};

/* job_id 0: RUN, which has no key. 0, -ENOMEM, or -EINVAL with the reason in *reterr. The body
 * stays the argument's. */
AW_MUST_CHECK int http_job_make(struct http_job *ret_job, const struct target_settings *settings,
                                const struct http_rules *rules, const struct argument *arguments,
                                uint32_t count, uint64_t job_id, struct aw_error *reterr);
void http_job_free(struct http_job *job);

#endif
