/* store_sqlite_gather.c - what most jobs need of the store, many at a time: new jobs without
 * extras, and the ends of jobs that did not fail.
 *
 * A transaction gathers both, and writes up to GATHER_JOBS by one statement: opening the table with
 * all its indexes costs more than a row. */
#include "queue/store_sqlite.h"

#include "queue/job_id.h"

/* The ceiling of ids is raised this far above the first id that meets it: one more write a second.
 * It follows the ids, not the clock: both may be far apart after the clock was set back. */
#define CEILING_AHEAD_MS 1000u

static int write_inserts(struct store *store, struct aw_error *reterr)
{
    int result = 0;
    if (store->insert_count > 0)
        result = store_run(store, STATEMENT_INSERT_NEW, "storing jobs", reterr);
    store->insert_count = 0;
    return result;
}

int store_forget_others(struct store *store, uint64_t id, struct aw_error *reterr)
{
    static const enum statement which[] = {STATEMENT_EXTRA_FORGET, STATEMENT_BINDS_FORGET,
                                           STATEMENT_PARENTS_FORGET, STATEMENT_ATTEMPTS_FORGET};
    int result = 0;
    for (size_t i = 0; i < sizeof which / sizeof which[0] && result == 0; i++) {
        store_bind_number(store_statement(store, which[i]), 1, id);
        result = store_run(store, which[i], "deleting what belongs to a job", reterr);
    }
    return result;
}

static int write_deleted(struct store *store, struct aw_error *reterr)
{
    struct gathered_ends *ends = &store->deleted;
    if (ends->count == 0)
        return 0;
    ends->with_others = 0;
    int result = store_run(store, STATEMENT_DELETE_ENDED_JOBS, "deleting finished jobs", reterr);
    for (uint32_t i = 0; i < ends->count && result == 0; i++) {
        const struct job *job = ends->changes[i]->job;
        if (ends->changes[i]->applied)
            store_count(store, job->lane, JOB_READY, JOB_STATES, job->payload_size);
        if (ends->with_others & UINT64_C(1) << i)
            result = store_forget_others(store, job->id, reterr);
    }
    ends->count = 0;
    return result;
}

static int write_kept(struct store *store, struct aw_error *reterr)
{
    struct gathered_ends *ends = &store->kept;
    if (ends->count == 0)
        return 0;
    int result = store_run(store, STATEMENT_FINISH_KEPT, "storing results", reterr);
    for (uint32_t i = 0; i < ends->count && result == 0; i++) {
        const struct job *job = ends->changes[i]->job;
        if (ends->changes[i]->applied)
            store_count(store, job->lane, JOB_READY, ends->changes[i]->state, job->payload_size);
    }
    ends->count = 0;
    return result;
}

int store_write_gathered(struct store *store, struct aw_error *reterr)
{
    int result = write_inserts(store, reterr);
    if (result == 0)
        result = write_deleted(store, reterr);
    return result == 0 ? write_kept(store, reterr) : result;
}

static void count_insert(struct store *store, const struct job *job)
{
    store_count(store, job->lane, JOB_STATES, (enum job_state)job->state, job->payload_size);
    if (job->id > store->id_ceiling_next)
        store->id_ceiling_next = job_id_ceiling(job_id_time_ms(job->id) + CEILING_AHEAD_MS);
}

int store_gather_insert(struct store *store, const struct job *job, struct aw_error *reterr)
{
    count_insert(store, job);
    store->inserts[store->insert_count++] = job;
    return store->insert_count == GATHER_JOBS ? write_inserts(store, reterr) : 0;
}

int store_gather_end(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    struct gathered_ends *ends = change->purge_ms ? &store->kept : &store->deleted;
    /* in the order of their ids, as they mostly come */
    uint32_t place = ends->count++;
    for (; place > 0 && ends->changes[place - 1]->job->id > change->job->id; place--)
        ends->changes[place] = ends->changes[place - 1];
    ends->changes[place] = change;
    if (ends->count < GATHER_JOBS)
        return 0;
    return change->purge_ms ? write_kept(store, reterr) : write_deleted(store, reterr);
}

int store_write_job(struct store *store, const struct job *job, struct aw_error *reterr)
{
    int result = store_gather_insert(store, job, reterr);
    return result == 0 ? write_inserts(store, reterr) : result;
}

int store_delete(struct store *store, enum statement which, bool *ret_deleted,
                 struct aw_error *reterr)
{
    static const char what[] = "deleting a job";
    int result = store_one(store, which, what, reterr);
    *ret_deleted = result > 0;
    if (result <= 0)
        return result;
    sqlite3_stmt *statement = store_statement(store, which);
    uint64_t id = (uint64_t)sqlite3_column_int64(statement, 0);
    bool has_others = sqlite3_column_int(statement, 1) != 0;
    result = store_one_end(store, which, what, reterr);
    return result == 0 && has_others ? store_forget_others(store, id, reterr) : result;
}
