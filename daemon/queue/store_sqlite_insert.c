/* store_sqlite_insert.c - jobs with extras: KEY, SERIAL, EXPIRE, AFTER and BIND when they are
 * inserted. Everything is looked at inside the transaction, in the order of the changes, so two
 * clients that want the same key, or the end of a job and an insertion AFTER it, cannot miss each
 * other. */
#include "queue/store_sqlite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void bind_key(sqlite3_stmt *statement, int index, const struct argument *key)
{
    if (key->data)
        (void)sqlite3_bind_blob(statement, index, key->data, (int)key->size, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, index);
}

/* The live job that has the key, 0: none. */
static int look_for_key(struct store *store, const struct argument *key, uint64_t *ret_id,
                        struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_KEY_OWNER);
    bind_key(statement, 1, key);
    int result = store_one(store, STATEMENT_KEY_OWNER, "looking for a KEY", reterr);
    *ret_id = result > 0 ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    return result > 0 ? store_one_end(store, STATEMENT_KEY_OWNER, "looking for a KEY", reterr)
                      : result;
}

/* What another batch may have left behind. */
static void forget_answer(struct job_extras *extras)
{
    extras->existing_id = 0;
    if (!extras->no_room)
        extras->refusal.code[0] = '\0';
}

/* Whether a live job has the serial key. */
static int look_for_serial(struct store *store, const struct argument *serial, bool *ret_found,
                           struct aw_error *reterr)
{
    bind_key(store_statement(store, STATEMENT_SERIAL_FIRST), 1, serial);
    int result = store_one(store, STATEMENT_SERIAL_FIRST, "looking for a SERIAL", reterr);
    *ret_found = result > 0;
    return result > 0 ? store_one_end(store, STATEMENT_SERIAL_FIRST, "looking for a SERIAL", reterr)
                      : result;
}

static int write_extra(struct store *store, const struct job *job, uint32_t blockers,
                       struct aw_error *reterr)
{
    const struct job_extras *extras = job->extras;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_EXTRA_INSERT);
    store_bind_number(statement, 1, job->id);
    bind_key(statement, 2, &extras->key);
    bind_key(statement, 3, &extras->serial);
    store_bind_time(statement, 4, job->expire_ms);
    store_bind_number(statement, 5, extras->onfail);
    store_bind_number(statement, 6, blockers);
    store_bind_time(statement, 7, job->due_ms);
    return store_run(store, STATEMENT_EXTRA_INSERT, "storing a job's options", reterr);
}

static int cancel_orphan(struct store *store, struct store_change *change,
                         const struct parents_seen *seen, struct aw_error *reterr)
{
    char message[ENDED_MESSAGE_SIZE];
    (void)snprintf(message, sizeof message, "job %" PRIu64 " is %s", seen->failed_id,
                   job_state_name(seen->failed_state));
    int result = store_end_job(store, change, change->job->id, JOB_CANCELLED, "DEPENDENCY",
                               message, reterr);
    return result == 0 ? store_finish_ended(store, change, reterr) : result;
}

/* The job row, its extras, dependencies and binds. */
static int write_all(struct store *store, struct store_change *change,
                     const struct parents_seen *seen, bool behind, struct aw_error *reterr)
{
    struct job *job = change->job;
    bool orphan = seen->failed_id && job->extras->onfail == ONFAIL_CANCEL;
    uint32_t blockers = seen->waiting + (behind ? 1 : 0);
    /* values that are there already are put in as those of a job that is released */
    bool at_once = blockers == 0 && !orphan && (job->flags & JOB_HAS_BIND);
    job->state = blockers > 0 || orphan || at_once ? JOB_BLOCKED
                 : job->due_ms                     ? JOB_SCHEDULED
                                                   : JOB_READY;
    int result = store_write_job(store, job, reterr);
    if (result == 0)
        result = write_extra(store, job, blockers + (at_once ? 1 : 0), reterr);
    if (result == 0 && (job->flags & JOB_HAS_AFTER) && !orphan)
        result = store_parents_write(store, job, reterr);
    if (result == 0 && orphan)
        result = cancel_orphan(store, change, seen, reterr);
    if (result == 0 && at_once)
        result = store_unblock(store, change, job->id, reterr);
    return result == 0 ? store_finish_ended(store, change, reterr) : result;
}

int store_insert_with_extras(struct store *store, struct store_change *change,
                             struct aw_error *reterr)
{
    struct job *job = change->job;
    struct job_extras *extras = job->extras;
    struct parents_seen seen = {.waiting = 0};
    bool behind = false;
    int result = 0;
    forget_answer(extras);
    if (extras->key.data)
        result = look_for_key(store, &extras->key, &extras->existing_id, reterr);
    if (result < 0 || extras->existing_id || extras->no_room)
        return result;
    result = store_parents_look(store, job, &seen, reterr);
    if (result < 0 || seen.refused)
        return result;
    if (extras->serial.data)
        result = look_for_serial(store, &extras->serial, &behind, reterr);
    if (result < 0)
        return result;
    change->applied = true;
    return write_all(store, change, &seen, behind, reterr);
}

int store_check_insert(struct store *store, const struct store_change *change, bool *ret_refused,
                       struct aw_error *reterr)
{
    struct job_extras *extras = change->job->extras;
    *ret_refused = false;
    if (!extras)
        return 0;
    struct parents_seen seen = {.waiting = 0};
    uint64_t existing_id = 0;
    int result = 0;
    forget_answer(extras);
    if (extras->key.data)
        result = look_for_key(store, &extras->key, &existing_id, reterr);
    if (result == 0 && !existing_id)
        result = store_parents_look(store, change->job, &seen, reterr);
    *ret_refused = seen.refused || (!existing_id && extras->no_room);
    return result;
}

/* --- what JOB shows ------------------------------------------------------------------------ */

/* The ids of those it is still AFTER, to be freed. */
static int read_parents(struct store *store, uint64_t id, uint64_t **ret_ids, uint32_t *ret_count,
                        struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_PARENTS);
    uint64_t *ids = calloc(PARENTS_MAX, sizeof *ids);
    if (!ids)
        return aw_error_set(reterr, -ENOMEM, "queue: no memory for a job's dependencies");
    uint32_t count = 0;
    int code;
    store_bind_number(statement, 1, id);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW && count < PARENTS_MAX)
        ids[count++] = (uint64_t)sqlite3_column_int64(statement, 0);
    int result = store_result(store, code, "reading a job's dependencies", reterr);
    (void)sqlite3_reset(statement);
    *ret_ids = ids;
    *ret_count = count;
    return result;
}

static struct argument column_key(sqlite3_stmt *statement, int column)
{
    return (struct argument){.data = sqlite3_column_blob(statement, column),
                             .size = (uint32_t)sqlite3_column_bytes(statement, column)};
}

int store_visit_extra(struct store *store, struct stored_job *row, store_visitor visitor,
                      void *context, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_EXTRA_READ);
    struct stored_extra extra = {.expire_ms = 0};
    uint64_t *parents = NULL;
    store_bind_number(statement, 1, row->id);
    int result = store_one(store, STATEMENT_EXTRA_READ, "reading a job's options", reterr);
    if (result > 0) {
        extra = (struct stored_extra){
            .key = column_key(statement, 0),
            .serial = column_key(statement, 1),
            .expire_ms = (uint64_t)sqlite3_column_int64(statement, 2),
            .blockers = (uint32_t)sqlite3_column_int64(statement, 3),
            .onfail_run = sqlite3_column_int(statement, 4) == ONFAIL_RUN,
        };
        row->extra = &extra;
        result = 0;
        if (row->state == JOB_BLOCKED && (row->flags & JOB_HAS_AFTER))
            result = read_parents(store, row->id, &parents, &extra.after_count, reterr);
    }
    extra.after = parents;
    if (result == 0)
        (void)visitor(context, row);
    (void)sqlite3_reset(statement);
    row->extra = NULL;
    free(parents);
    return result;
}
