/* test_job_table.c - the table of jobs in memory, with random operations against a plain array. */
#include "queue/job_table.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define IDS 6000u

static struct job *make(uint64_t id)
{
    struct job *job = job_new(NULL, 0);
    cr_assert_not_null(job);
    job->id = id;
    return job;
}

Test(job_table, finds_what_was_added_and_not_removed)
{
    struct job_table table;
    cr_assert_eq(job_table_init(&table), 0);
    static struct job *model[IDS];
    size_t count = 0;
    srandom(1);
    for (int step = 0; step < 60000; step++) {
        uint64_t index = (uint64_t)random() % IDS;
        uint64_t id = (UINT64_C(7) << 40) + index;
        cr_assert_eq(job_table_find(&table, id), model[index]);
        if (!model[index]) {
            model[index] = make(id);
            job_table_add(&table, model[index]);
            count++;
        } else if (random() % 3 == 0) {
            job_table_remove(&table, model[index]);
            cr_assert_not(model[index]->in_table);
            job_free(model[index]);
            model[index] = NULL;
            count--;
        }
        cr_assert_eq(table.count, count);
    }
    cr_assert_geq(table.bucket_count, table.count);
    cr_assert_null(job_table_find(&table, 1));
    job_table_free(&table);
    cr_assert_eq(table.count, 0);
}
