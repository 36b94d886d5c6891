/* job_extras.h - what few jobs are submitted with: KEY, SERIAL, EXPIRE, AFTER, ONFAIL, BIND.
 *
 * Belongs to its job, from SUBMIT until the insertion is committed or refused. The store answers in
 * it why a job was not inserted:
 *   existing_id   a live job has its key: that is the job its client gets
 *   refusal       code[0]: an error for the client; a job it names is unknown, or has no such value
 * With no_room only existing_id is wanted: the limit of its queue refuses a new job, as `refusal`
 * says from the beginning.
 * The store looks at each again in each batch, so these are true for the batch that was committed.
 */
#ifndef QUEUE_JOB_EXTRAS_H
#define QUEUE_JOB_EXTRAS_H

#include "protocol/submit_options.h"
#include "queue/job.h"

struct job_extras {
    struct argument key;    /* data NULL: none, as the next one; inside this allocation */
    struct argument serial;
    uint64_t *parents;      /* of AFTER and BIND, each once, ascending */
    uint32_t parent_count;
    struct submit_bind *binds; /* by job id */
    uint32_t bind_count;
    enum onfail onfail;
    size_t size_bytes; /* of this allocation */

    bool no_room;
    uint64_t existing_id;
    struct aw_error refusal;
};

/* How many jobs one may wait for, by AFTER and BIND together. */
#define PARENTS_MAX ((uint32_t)AFTER_MAX)

/* Gives the job its extras and flags, if the options ask for any. 0; -EINVAL with the message in
 * *reterr; -ENOMEM. */
AW_MUST_CHECK int job_extras_add(struct job *job, const struct submit_options *options,
                                 uint64_t now_ms, struct aw_error *reterr);

/* The memory they take. */
static inline size_t job_extras_size_bytes(const struct job *job)
{
    return job->extras ? job->extras->size_bytes : 0;
}

/* Restores the order of parents and binds, each parent once. */
void job_extras_sort(struct job_extras *extras);

/* Frees them early: the job is stored. */
void job_extras_drop(struct job *job);

#endif
