/* job_ids.h - the job ids that AWAIT, GATHER, RACE, CANCEL and JOB are given, and their TIMEOUT. */
#ifndef SERVER_JOB_IDS_H
#define SERVER_JOB_IDS_H

#include "protocol/argument.h"
#include "protocol/buffer.h"

#include <await.h>

struct job_ids {
    uint64_t *ids; /* to be freed with free */
    uint32_t count;
    bool has_timeout;
    uint64_t timeout_ms;
};

/* Parses "id ... [TIMEOUT ms]", the words after the command's name. False: the error is in `reply`
 * and there is nothing to free. */
bool job_ids_parse(const struct argument *arguments, uint32_t count, bool may_have_timeout,
                   struct job_ids *ret_ids, struct buffer *reply);

#endif
