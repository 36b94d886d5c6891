/* store_sqlite_graph.c - AFTER: which jobs wait for which, and their release.
 *
 * A row in `dependency` is a job that waits for one that has not ended. At its end the children are
 * gone through, one by one: each loses its row and a blocker, or is cancelled. Only so many in a
 * transaction: what is left is found through the job's row in `ending`, which survives a crash and
 * is worked off by CHANGE_RELEASE. A cancelled child is an end of its own (store_sqlite_end.c).
 * Only jobs that exist can be named, and none can be changed later, so there are no cycles. */
#include "queue/store_sqlite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int store_look_for_dependencies(struct store *store, struct aw_error *reterr)
{
    int result = store_one(store, STATEMENT_ANY_DEPENDENCY, "looking for dependencies", reterr);
    if (result <= 0)
        return result;
    store->has_dependencies =
        sqlite3_column_int(store_statement(store, STATEMENT_ANY_DEPENDENCY), 0) != 0;
    return store_one_end(store, STATEMENT_ANY_DEPENDENCY, "looking for dependencies", reterr);
}

/* --- insertion -------------------------------------------------------------------------------- */

static bool is_failed(enum job_state state)
{
    return job_state_is_final(state) && state != JOB_DONE;
}

/* Of one parent: the binds that name it. They are sorted as the parents are. */
static int look_at_binds(struct store *store, const struct job *job, uint32_t *bind,
                         uint64_t parent, const struct job_head *head, bool write,
                         bool *ret_refused, struct aw_error *reterr)
{
    const struct job_extras *extras = job->extras;
    int result = 0;
    for (; *bind < extras->bind_count && extras->binds[*bind].job_id == parent && result == 0 &&
           !*ret_refused;
         ++*bind)
        result = store_bind_new(store, job, &extras->binds[*bind], head->state, head->lane, write,
                                ret_refused, reterr);
    return result;
}

int store_parents_look(struct store *store, const struct job *job, struct parents_seen *ret_seen,
                       struct aw_error *reterr)
{
    struct job_extras *extras = job->extras;
    uint32_t bind = 0;
    int result = 0;
    *ret_seen = (struct parents_seen){.waiting = 0};
    for (uint32_t i = 0; i < extras->parent_count && result == 0 && !ret_seen->refused; i++) {
        uint64_t parent = extras->parents[i];
        struct job_head head;
        result = store_head(store, parent, &head, reterr);
        if (result < 0)
            return result;
        if (result == 0) {
            ret_seen->refused = true;
            (void)aw_error_set_code(&extras->refusal, -ENOENT, "NOJOB",
                                    "no job %" PRIu64 "; AFTER and BIND need jobs that exist",
                                    parent);
            return 0;
        }
        if (!job_state_is_final(head.state))
            ret_seen->waiting++;
        if (is_failed(head.state) && !ret_seen->failed_id) {
            ret_seen->failed_id = parent;
            ret_seen->failed_state = head.state;
        }
        /* a job that is cancelled at once needs no values */
        if (ret_seen->failed_id && extras->onfail == ONFAIL_CANCEL)
            result = 0;
        else
            result = look_at_binds(store, job, &bind, parent, &head, false, &ret_seen->refused,
                                   reterr);
    }
    return result;
}

int store_parents_write(struct store *store, const struct job *job, struct aw_error *reterr)
{
    const struct job_extras *extras = job->extras;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_PARENT_INSERT);
    uint32_t bind = 0;
    int result = 0;
    for (uint32_t i = 0; i < extras->parent_count && result == 0; i++) {
        uint64_t parent = extras->parents[i];
        struct job_head head = {.state = JOB_DONE};
        bool refused = false;
        store_bind_number(statement, 1, parent);
        store_bind_number(statement, 2, job->id);
        result = store_run(store, STATEMENT_PARENT_INSERT, "storing a dependency", reterr);
        if (result == 0 && extras->bind_count > 0)
            result = store_head(store, parent, &head, reterr);
        if (result > 0)
            result = look_at_binds(store, job, &bind, parent, &head, true, &refused, reterr);
    }
    store->has_dependencies = true;
    return result;
}

/* --- release -------------------------------------------------------------------------------- */

static int release_child(struct store *store, struct store_change *change, uint64_t child,
                         enum onfail onfail, const struct ending *parent,
                         struct aw_error *reterr)
{
    char message[ENDED_MESSAGE_SIZE] = "";
    if (parent->state != JOB_DONE && onfail == ONFAIL_CANCEL) {
        (void)snprintf(message, sizeof message, "job %" PRIu64 " is %s", parent->id,
                       job_state_name(parent->state));
        return store_end_job(store, change, child, JOB_CANCELLED, "DEPENDENCY", message, reterr);
    }
    int result = store_binds_take(store, child, parent, message, reterr);
    if (result == 0 && message[0])
        return store_end_job(store, change, child, JOB_DEAD, "BIND", message, reterr);
    return result == 0 ? store_unblock(store, change, child, reterr) : result;
}

/* The first of the parent's children: 1 and it is released, 0: there are no more. */
static int release_next(struct store *store, struct store_change *change,
                        const struct ending *parent, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_CHILD);
    store_bind_number(statement, 1, parent->id);
    int result = store_one(store, STATEMENT_CHILD, "releasing jobs", reterr);
    if (result <= 0)
        return result;
    uint64_t child = (uint64_t)sqlite3_column_int64(statement, 0);
    bool live = sqlite3_column_int(statement, 1) != 0;
    enum onfail onfail = (enum onfail)sqlite3_column_int(statement, 2);
    result = store_one_end(store, STATEMENT_CHILD, "releasing jobs", reterr);
    statement = store_statement(store, STATEMENT_CHILD_RELEASED);
    store_bind_number(statement, 1, parent->id);
    store_bind_number(statement, 2, child);
    if (result == 0)
        result = store_run(store, STATEMENT_CHILD_RELEASED, "releasing jobs", reterr);
    if (result == 0 && live)
        result = release_child(store, change, child, onfail, parent, reterr);
    return result < 0 ? result : 1;
}

/* Children until the transaction has done enough: 1, some are left. */
static int release_some(struct store *store, struct store_change *change,
                        const struct ending *parent, struct aw_error *reterr)
{
    for (; store->release_left > 0; store->release_left--) {
        int result = release_next(store, change, parent, reterr);
        if (result <= 0)
            return result;
    }
    store_bind_number(store_statement(store, STATEMENT_CHILD), 1, parent->id);
    int result = store_one(store, STATEMENT_CHILD, "releasing jobs", reterr);
    if (result > 0)
        (void)sqlite3_reset(store_statement(store, STATEMENT_CHILD));
    return result;
}

static int values_wanted(struct store *store, uint64_t parent, bool *ret_wanted,
                         struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_BIND_WANTED);
    store_bind_number(statement, 1, parent);
    int result = store_one(store, STATEMENT_BIND_WANTED, "looking for values", reterr);
    *ret_wanted = result > 0 && sqlite3_column_int(statement, 0) != 0;
    return result > 0 ? store_one_end(store, STATEMENT_BIND_WANTED, "looking for values", reterr)
                      : result;
}

/* The rest is for later, also after a crash; the result may not be kept as long as that. */
static int note_ending(struct store *store, const struct ending *parent, struct aw_error *reterr)
{
    bool wanted = false;
    int result = 0;
    if (parent->result)
        result = values_wanted(store, parent->id, &wanted, reterr);
    sqlite3_stmt *statement = store_statement(store, STATEMENT_ENDING_INSERT);
    store_bind_number(statement, 1, parent->id);
    store_bind_number(statement, 2, parent->state);
    store_bind_number(statement, 3, parent->has_header);
    if (wanted)
        (void)sqlite3_bind_blob64(statement, 4, parent->result, parent->result_size,
                                  SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, 4);
    return result == 0 ? store_run(store, STATEMENT_ENDING_INSERT, "noting a release", reterr)
                       : result;
}

int store_release_children(struct store *store, struct store_change *change,
                           const struct ending *ending, struct aw_error *reterr)
{
    uint32_t before = store->release_left;
    int result = release_some(store, change, ending, reterr);
    if (result > 0) {
        change->unfinished = true;
        return note_ending(store, ending, reterr);
    }
    if (result == 0 && store->release_left < before)
        result = store_look_for_dependencies(store, reterr);
    return result;
}

int store_release_pending(struct store *store, bool *ret_pending, struct aw_error *reterr)
{
    int result = store_one(store, STATEMENT_ENDING_FIRST, "looking for releases", reterr);
    *ret_pending = result > 0;
    if (result > 0)
        (void)sqlite3_reset(store_statement(store, STATEMENT_ENDING_FIRST));
    return result < 0 ? result : 0;
}

/* The first that was noted: 1 when it is worked off, 0 when there is none, or not all of it was
 * possible. Its row is read until then: the result is not copied. */
static int release_first(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_ENDING_FIRST);
    int result = store_one(store, STATEMENT_ENDING_FIRST, "looking for releases", reterr);
    if (result <= 0)
        return result;
    struct ending parent = {
        .id = (uint64_t)sqlite3_column_int64(statement, 0),
        .state = (enum job_state)sqlite3_column_int(statement, 1),
        .has_header = sqlite3_column_int(statement, 2) != 0,
        .result = sqlite3_column_blob(statement, 3),
        .result_size = (size_t)sqlite3_column_bytes(statement, 3),
    };
    result = release_some(store, change, &parent, reterr);
    (void)sqlite3_reset(statement);
    if (result != 0) {
        change->unfinished = true;
        return result < 0 ? result : 0;
    }
    store_bind_number(store_statement(store, STATEMENT_ENDING_DELETE), 1, parent.id);
    result = store_run(store, STATEMENT_ENDING_DELETE, "releasing jobs", reterr);
    return result < 0 ? result : 1;
}

int store_release(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    store->release_left += RELEASE_CHILDREN;
    int result;
    do {
        result = release_first(store, change, reterr);
        /* those that were cancelled may have children of their own */
        if (result >= 0) {
            int finished = store_finish_ended(store, change, reterr);
            result = finished < 0 ? finished : result;
        }
    } while (result > 0);
    if (result == 0)
        result = store_look_for_dependencies(store, reterr);
    change->applied = result == 0;
    return result;
}
