/* store_sqlite_steer.c - RETRY, DELETE and PROMOTE in the store. What state a job is in is read and
 * checked in the same transaction, so a change that came first is never undone.
 *
 * A waiting job that is deleted is cancelled first: what follows for those that wait for it is
 * then the same. */
#include "queue/store_sqlite.h"

#include "queue/job_id.h"

#include <errno.h>

struct look {
    bool found;
    enum job_state state;
    unsigned flags;
    struct lane *lane;
    size_t payload_size;
};

static int look_at(struct store *store, uint64_t id, struct look *ret_look,
                   struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_LOOK);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)id);
    int code = sqlite3_step(statement);
    *ret_look = (struct look){0};
    if (code == SQLITE_ROW)
        *ret_look = (struct look){
            .found = true,
            .state = (enum job_state)sqlite3_column_int(statement, 0),
            .flags = (unsigned)sqlite3_column_int(statement, 1),
            .lane = store->lane_by_id(store->context, (uint32_t)sqlite3_column_int64(statement, 2)),
            .payload_size = (size_t)sqlite3_column_int64(statement, 3),
        };
    int result = store_result(store, code, "looking at a job", reterr);
    (void)sqlite3_reset(statement);
    return result;
}

/* Steps a statement that makes at most one job ready (or blocked) and gives its row; *ret_job stays
 * NULL when it found none in the state it starts from. */
static int make_live(struct store *store, enum statement which, enum job_state from,
                     enum job_state to, struct job **ret_job, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, which);
    int error = 0;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_job = store_row_job(store, statement, &error);
        code = sqlite3_step(statement);
    }
    int result = store_result(store, code, "making a job ready", reterr);
    (void)sqlite3_reset(statement);
    if (result == 0 && error < 0)
        result = aw_error_set(reterr, error, "queue: making a job ready: %s",
                              aw_error_text(error));
    if (*ret_job && result == 0)
        store_count(store, (*ret_job)->lane, from, to, (*ret_job)->payload_size);
    return result;
}

/* Whether the query about the job, by its id, gives a row. */
static int ask(struct store *store, enum statement which, uint64_t id, bool *ret_yes,
               struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, which);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)id);
    int code = sqlite3_step(statement);
    *ret_yes = code == SQLITE_ROW;
    int result = store_result(store, code, "looking at a job that is to be retried", reterr);
    (void)sqlite3_reset(statement);
    return result;
}

/* A finished job is live again, at the end of its serial line, if nobody has its key and all its
 * values are there. What it was AFTER has ended. */
static int revive_extra(struct store *store, uint64_t id, unsigned flags, uint64_t position,
                        bool *ret_may, bool *ret_blocked, struct aw_error *reterr)
{
    bool held = false;
    bool lacks = false;
    bool ahead = false;
    int result = 0;
    if (flags & JOB_HAS_KEY)
        result = ask(store, STATEMENT_KEY_HELD, id, &held, reterr);
    if (flags & JOB_HAS_BIND && result == 0)
        result = ask(store, STATEMENT_BIND_LACKING, id, &lacks, reterr);
    *ret_may = !held && !lacks;
    if (flags & JOB_HAS_SERIAL && result == 0)
        result = ask(store, STATEMENT_SERIAL_AHEAD, id, &ahead, reterr);
    /* its values may not have been put in yet: that is done when it is released */
    int blockers = (ahead ? 1 : 0) + (flags & JOB_HAS_BIND ? 1 : 0);
    *ret_blocked = blockers > 0;
    if (result < 0 || !*ret_may)
        return result;
    if (position > store->id_ceiling_next) /* no job may ever get it */
        store->id_ceiling_next = job_id_ceiling(job_id_time_ms(position) + 1000);
    sqlite3_stmt *statement = store_statement(store, STATEMENT_REVIVE_EXTRA);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)id);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)position);
    (void)sqlite3_bind_int(statement, 3, blockers);
    return store_run(store, STATEMENT_REVIVE_EXTRA, "retrying a job", reterr);
}

static int retry(struct store *store, struct store_change *change, const struct look *look,
                 uint64_t position, struct job **ret_job, bool *ret_changed,
                 struct aw_error *reterr)
{
    uint64_t id = change->id;
    bool may = true;
    bool blocked = false;
    int result = 0;
    if (look->state != JOB_DEAD && look->state != JOB_CANCELLED && look->state != JOB_UNCERTAIN)
        return 0;
    if (look->flags & JOB_EXTRA_FLAGS)
        result = revive_extra(store, id, look->flags, position, &may, &blocked, reterr);
    if (result < 0 || !may)
        return result;
    enum job_state to = blocked ? JOB_BLOCKED : JOB_READY;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_REVIVE);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)id);
    (void)sqlite3_bind_int(statement, 2, (int)look->state);
    (void)sqlite3_bind_int(statement, 3, (int)to);
    result = make_live(store, STATEMENT_REVIVE, look->state, to, ret_job, reterr);
    *ret_changed = *ret_job;
    if (blocked) { /* it comes into memory when it is released */
        job_free(*ret_job);
        *ret_job = NULL;
    }
    if (result == 0 && blocked && (look->flags & JOB_HAS_BIND))
        result = store_unblock(store, change, id, reterr);
    return result == 0 ? store_finish_ended(store, change, reterr) : result;
}

static int promote(struct store *store, uint64_t id, const struct look *look, struct job **ret_job,
                   struct aw_error *reterr)
{
    if (look->state != JOB_SCHEDULED)
        return 0;
    (void)sqlite3_bind_int64(store_statement(store, STATEMENT_PROMOTE), 1, (int64_t)id);
    return make_live(store, STATEMENT_PROMOTE, JOB_SCHEDULED, JOB_READY, ret_job, reterr);
}

static int delete(struct store *store, struct store_change *change, const struct look *look,
                  bool *ret_changed, struct aw_error *reterr)
{
    enum job_state state = look->state;
    int result = 0;
    if (!job_state_is_final(state)) {
        change->applied = false;
        result = store_cancel(store, change, reterr);
        if (result < 0 || !change->applied)
            return result;
        store_unwake(change, change->id);
        state = JOB_CANCELLED;
    }
    sqlite3_stmt *statement = store_statement(store, STATEMENT_DELETE_FINISHED);
    (void)sqlite3_bind_int64(statement, 1, (int64_t)change->id);
    (void)sqlite3_bind_int(statement, 2, (int)state);
    result = store_delete(store, STATEMENT_DELETE_FINISHED, ret_changed, reterr);
    if (*ret_changed && look->lane)
        store_count(store, look->lane, state, JOB_STATES, look->payload_size);
    return result;
}

/* One of the jobs. What is ready now goes to *ret_job. */
static int steer_one(struct store *store, struct store_change *change, uint32_t index,
                     struct job **ret_job, struct aw_error *reterr)
{
    struct store_steering *steering = change->steering;
    struct look look;
    bool changed = false;
    change->id = steering->ids[index];
    int result = look_at(store, change->id, &look, reterr);
    if (result < 0 || !look.found)
        return result;
    switch (steering->action) {
    case STEER_RETRY:
        result = retry(store, change, &look, steering->positions[index], ret_job, &changed,
                       reterr);
        break;
    case STEER_DELETE:
        result = delete(store, change, &look, &changed, reterr);
        break;
    case STEER_PROMOTE:
        result = promote(store, change->id, &look, ret_job, reterr);
        break;
    }
    steering->changed[index] = changed || *ret_job;
    steering->waited[index] = changed && !job_state_is_final(look.state) ? look.lane : NULL;
    change->changed += steering->changed[index] ? 1 : 0;
    return result;
}

int store_steer(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    struct store_steering *steering = change->steering;
    uint64_t bytes = 0;
    int result = 0;
    steering->processed = 0;
    for (uint32_t i = 0; i < steering->count; i++)
        steering->changed[i] = false;
    while (steering->processed < steering->count && bytes < change->bytes_max && result == 0) {
        struct job *job = NULL;
        result = steer_one(store, change, steering->processed++, &job, reterr);
        if (job) {
            job->next = change->woken;
            change->woken = job;
            bytes += job_size_bytes(job);
        }
    }
    change->applied = result == 0;
    return result;
}
