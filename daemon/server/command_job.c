/* command_job.c - JOB and JOBS: looking at jobs. */
#include "server/command.h"

#include "protocol/value.h"
#include "server/connection.h"
#include "server/job_filter.h"
#include "server/job_ids.h"
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>

void command_job(struct connection *connection, struct argument *arguments, uint32_t count,
                 struct buffer *reply)
{
    struct job_ids ids;
    if (!job_ids_parse(arguments + 1, count - 1, false, &ids, reply))
        return;
    uint64_t id = ids.ids[0];
    free(ids.ids);
    int result = broker_describe(connection->server->broker, id, reply);
    if (result >= 0)
        return;
    buffer_clear(reply);
    if (result == -ENOENT)
        value_error(reply, "NOJOB", "no job %llu", (unsigned long long)id);
    else
        job_failure_answer(result, reply);
}

void command_jobs(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    struct job_filter filter;
    if (!job_filter_parse(JOB_FILTER_LIST, "JOBS", arguments + 1, count - 1, &filter, reply))
        return;
    int result = broker_list(connection->server->broker, &filter, reply);
    if (result < 0) {
        buffer_clear(reply);
        job_failure_answer(result, reply);
    }
}
