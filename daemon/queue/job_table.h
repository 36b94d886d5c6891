/* job_table.h - the jobs that are in memory, by id. A hash table with chains through the jobs
 * themselves: adding cannot fail once job_table_reserve has made room. */
#ifndef QUEUE_JOB_TABLE_H
#define QUEUE_JOB_TABLE_H

#include "queue/job.h"

struct job_table {
    struct job **buckets;
    size_t bucket_count; /* power of two */
    size_t count;
};

AW_MUST_CHECK int job_table_init(struct job_table *table);

/* Frees the table and every job in it. */
void job_table_free(struct job_table *table);

/* Adds the job. A table that cannot grow goes on with longer chains. */
void job_table_add(struct job_table *table, struct job *job);
void job_table_remove(struct job_table *table, struct job *job);
struct job *job_table_find(const struct job_table *table, uint64_t id);

#endif
