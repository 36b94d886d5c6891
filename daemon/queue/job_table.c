/* job_table.c - see job_table.h. */
#include "queue/job_table.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS_MIN 1024u

int job_table_init(struct job_table *table)
{
    table->buckets = calloc(BUCKETS_MIN, sizeof *table->buckets);
    table->bucket_count = table->buckets ? BUCKETS_MIN : 0;
    table->count = 0;
    return table->buckets ? 0 : -ENOMEM;
}

void job_table_free(struct job_table *table)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i]) {
            struct job *job = table->buckets[i];
            table->buckets[i] = job->table_next;
            job_free(job);
        }
    }
    free(table->buckets);
    *table = (struct job_table){0};
}

static struct job **bucket(const struct job_table *table, uint64_t id)
{
    /* Fibonacci hashing: ids are dense in their low bits and slow in their high ones */
    uint64_t hash = id * UINT64_C(0x9e3779b97f4a7c15);
    return &table->buckets[(hash >> 32) & (table->bucket_count - 1)];
}

static void grow(struct job_table *table)
{
    struct job_table larger = {.bucket_count = table->bucket_count * 2, .count = table->count};
    larger.buckets = calloc(larger.bucket_count, sizeof *larger.buckets);
    if (!larger.buckets)
        return;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct job *job = table->buckets[i];
        while (job) {
            struct job *next = job->table_next;
            struct job **place = bucket(&larger, job->id);
            job->table_next = *place;
            *place = job;
            job = next;
        }
    }
    free(table->buckets);
    *table = larger;
}

void job_table_add(struct job_table *table, struct job *job)
{
    if (table->count >= table->bucket_count)
        grow(table);
    struct job **place = bucket(table, job->id);
    job->table_next = *place;
    *place = job;
    job->in_table = true;
    table->count++;
}

void job_table_remove(struct job_table *table, struct job *job)
{
    struct job **place = bucket(table, job->id);
    while (*place != job)
        place = &(*place)->table_next;
    *place = job->table_next;
    job->in_table = false;
    table->count--;
}

struct job *job_table_find(const struct job_table *table, uint64_t id)
{
    struct job *job = *bucket(table, id);
    while (job && job->id != id)
        job = job->table_next;
    return job;
}
