/* receipts.c - whether a job is over for good, so that its receipt in the engine may go.
 *
 * Over are jobs that are done and jobs that are no longer stored. Dead, cancelled and uncertain
 * ones can be retried, so they are not. The store's word counts only together with memory's: a
 * job can be cancelled and deleted in the store while its execution has not ended. */
#include "queue/broker_state.h"

#include <errno.h>

#define JOBS_A_READ 256u /* so that the committer is not held up for long */

struct question {
    struct store_read read;
    const uint64_t *ids;
    uint32_t count;
    bool *finished;
    int result;
};

static bool look(void *context, const struct stored_job *job)
{
    bool *finished = context;
    *finished = job->state == JOB_DONE;
    return false;
}

static void perform(struct store_read *read, struct store *store)
{
    struct question *question = read->context;
    struct aw_error error;
    for (uint32_t i = 0; i < question->count && question->result == 0; i++) {
        int result =
            store_read_job(store, question->ids[i], look, &question->finished[i], &error);
        if (result == -ENOENT)
            question->finished[i] = true;
        else
            question->result = result;
    }
}

int receipts_finished(struct target *target, void *context, const uint64_t *ids, uint32_t count,
                      bool *ret_finished)
{
    const struct target_lanes *lanes = context;
    struct broker *broker = lanes->broker;
    (void)target;
    for (uint32_t at = 0; at < count; at += JOBS_A_READ) {
        struct question question = {.ids = ids + at,
                                    .count = count - at < JOBS_A_READ ? count - at : JOBS_A_READ,
                                    .finished = ret_finished + at};
        question.read.perform = perform;
        question.read.context = &question;
        committer_read(&broker->committer, &question.read);
        if (question.result < 0)
            return question.result;
        int result = aw_interrupted();
        if (result < 0)
            return result;
    }
    for (uint32_t i = 0; i < count; i++) /* last: what is over in both does not come back */
        ret_finished[i] = ret_finished[i] && !job_table_find(&broker->jobs, ids[i]);
    return 0;
}
