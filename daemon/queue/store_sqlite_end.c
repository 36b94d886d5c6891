/* store_sqlite_end.c - what the end of a job means for itself and others.
 *
 * In the transaction that ends it, its KEY is free again, the next job of its SERIAL may go, and
 * those AFTER it are released (store_sqlite_graph.c). Jobs that end as a consequence stand in the
 * change's list, which is worked off in order by store_finish_ended; nothing recurses. */
#include "queue/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void store_change_discard(struct store_change *change)
{
    while (change->woken) {
        struct job *job = change->woken;
        change->woken = job->next;
        job_free(job);
    }
    while (change->ended) {
        struct ended_job *ended = change->ended;
        change->ended = ended->next;
        free(ended);
    }
}

int store_head(struct store *store, uint64_t id, struct job_head *ret_head,
               struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_HEAD);
    store_bind_number(statement, 1, id);
    int result = store_one(store, STATEMENT_HEAD, "looking at a job", reterr);
    if (result <= 0)
        return result;
    uint32_t lane = (uint32_t)sqlite3_column_int64(statement, 1);
    *ret_head = (struct job_head){
        .state = (enum job_state)sqlite3_column_int(statement, 0),
        .lane = store->lane_by_id(store->context, lane),
        .flags = (uint8_t)sqlite3_column_int(statement, 2),
        .keep_ms = (uint64_t)sqlite3_column_int64(statement, 3),
        .payload_size = (size_t)sqlite3_column_int64(statement, 4),
    };
    result = store_one_end(store, STATEMENT_HEAD, "looking at a job", reterr);
    if (result == 0 && !ret_head->lane)
        result = aw_error_set(reterr, -EBADMSG, "queue: a job without a queue");
    return result < 0 ? result : 1;
}

/* --- becoming ready ---------------------------------------------------------------------- */

static int load_woken(struct store *store, struct store_change *change, uint64_t id,
                      struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_READ_JOB);
    store_bind_number(statement, 1, id);
    int result = store_one(store, STATEMENT_READ_JOB, "reading a released job", reterr);
    if (result <= 0)
        return result;
    int failed = 0;
    struct job *job = store_row_job(store, statement, &failed);
    result = store_one_end(store, STATEMENT_READ_JOB, "reading a released job", reterr);
    if (!job)
        return aw_error_set(reterr, failed, "queue: reading a released job: %s",
                            aw_error_text(failed));
    job->next = change->woken;
    change->woken = job;
    store->wake_left--;
    store->wake_bytes_left -= job->payload_size < store->wake_bytes_left ? job->payload_size
                                                                         : store->wake_bytes_left;
    return result;
}

/* A blocked job that waits for nobody any more. What memory has no room for now is due at once, and
 * comes with CHANGE_WAKE. */
static int let_go(struct store *store, struct store_change *change, uint64_t id, uint64_t due_ms,
                  const struct job_head *head, struct aw_error *reterr)
{
    bool wakes = store->wake_left > 0 && store->wake_bytes_left > 0;
    enum job_state state = due_ms > change->now_ms || !wakes ? JOB_SCHEDULED : JOB_READY;
    uint64_t at_ms = due_ms > change->now_ms ? due_ms : change->now_ms;
    sqlite3_stmt *statement = store_statement(store, STATEMENT_UNBLOCK);
    store_bind_number(statement, 1, id);
    store_bind_number(statement, 2, state);
    if (state == JOB_SCHEDULED)
        store_bind_number(statement, 3, at_ms);
    else
        (void)sqlite3_bind_null(statement, 3);
    int result = store_run(store, STATEMENT_UNBLOCK, "releasing a job", reterr);
    if (result < 0)
        return result;
    store_count(store, head->lane, JOB_BLOCKED, state, head->payload_size);
    if (state == JOB_READY)
        return load_woken(store, change, id, reterr);
    if (change->scheduled_ms == 0 || at_ms < change->scheduled_ms)
        change->scheduled_ms = at_ms ? at_ms : 1;
    return 0;
}

int store_unblock(struct store *store, struct store_change *change, uint64_t id,
                  struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_EXTRA_UNBLOCK);
    store_bind_number(statement, 1, id);
    int result = store_one(store, STATEMENT_EXTRA_UNBLOCK, "releasing a job", reterr);
    if (result <= 0)
        return result;
    int64_t blockers = sqlite3_column_int64(statement, 0);
    uint64_t due_ms = (uint64_t)sqlite3_column_int64(statement, 1);
    result = store_one_end(store, STATEMENT_EXTRA_UNBLOCK, "releasing a job", reterr);
    struct job_head head = {.state = JOB_DONE};
    if (result == 0 && blockers == 0)
        result = store_head(store, id, &head, reterr);
    if (result <= 0 || head.state != JOB_BLOCKED)
        return result < 0 ? result : 0;
    char message[ENDED_MESSAGE_SIZE] = "";
    if (head.flags & JOB_HAS_BIND) {
        size_t size = head.payload_size;
        result = store_binds_apply(store, id, &size, message, reterr);
        head.lane->bytes_change += (int64_t)size - (int64_t)head.payload_size;
        head.payload_size = size;
    }
    if (result < 0)
        return result;
    if (message[0])
        return store_end_job(store, change, id, JOB_DEAD, "BIND", message, reterr);
    return let_go(store, change, id, due_ms, &head, reterr);
}

/* --- ending ------------------------------------------------------------------------------- */

static int end_row(struct store *store, const struct ended_job *ended, uint64_t now_ms,
                   struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_END);
    store_bind_number(statement, 1, ended->id);
    store_bind_number(statement, 2, ended->state);
    store_bind_number(statement, 3, ended->purge_ms);
    store_bind_number(statement, 4, now_ms);
    store_bind_text(statement, 5, ended->code);
    store_bind_text(statement, 6, ended->message);
    return store_run(store, STATEMENT_END, "ending a job", reterr);
}

void store_unwake(struct store_change *change, uint64_t id)
{
    struct job **place = &change->woken;
    while (*place && (*place)->id != id)
        place = &(*place)->next;
    struct job *job = *place;
    if (!job)
        return;
    *place = job->next;
    job_free(job);
}

int store_end_job(struct store *store, struct store_change *change, uint64_t id,
                  enum job_state state, const char *code, const char *message,
                  struct aw_error *reterr)
{
    struct job_head head;
    int result = store_head(store, id, &head, reterr);
    if (result <= 0 || job_state_is_final(head.state))
        return result < 0 ? result : 0;
    struct ended_job *ended = calloc(1, sizeof *ended);
    if (!ended)
        return aw_error_set(reterr, -ENOMEM, "queue: no memory for the end of a job");
    uint64_t keep_ms = head.keep_ms;
    if (state == JOB_DEAD && lane_keep_dead_ms(head.lane) > keep_ms)
        keep_ms = lane_keep_dead_ms(head.lane);
    *ended = (struct ended_job){.id = id,
                                .lane = head.lane,
                                .purge_ms = change->now_ms + keep_ms,
                                .state = state,
                                .flags = head.flags,
                                .code = code};
    (void)snprintf(ended->message, sizeof ended->message, "%s", message);
    if (change->ended_last)
        change->ended_last->next = ended;
    else
        change->ended = ended;
    change->ended_last = ended;
    store_count(store, head.lane, head.state, state, head.payload_size);
    store_unwake(change, id);
    return end_row(store, ended, change->now_ms, reterr);
}

/* The next job of its serial key waits for one job less, if this one was the first. */
static int free_serial(struct store *store, struct store_change *change,
                       const struct argument *serial, int64_t position, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_SERIAL_FIRST);
    (void)sqlite3_bind_blob(statement, 1, serial->data, (int)serial->size, SQLITE_STATIC);
    int result = store_one(store, STATEMENT_SERIAL_FIRST, "the next of a SERIAL", reterr);
    if (result <= 0)
        return result;
    uint64_t next = (uint64_t)sqlite3_column_int64(statement, 0);
    bool was_first = sqlite3_column_int64(statement, 1) > position;
    result = store_one_end(store, STATEMENT_SERIAL_FIRST, "the next of a SERIAL", reterr);
    return result == 0 && was_first ? store_unblock(store, change, next, reterr) : result;
}

static int end_extra(struct store *store, struct store_change *change,
                     const struct ending *ending, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_EXTRA_END);
    store_bind_number(statement, 1, ending->id);
    int result = store_one(store, STATEMENT_EXTRA_END, "ending a job", reterr);
    if (result <= 0)
        return result;
    char bytes[KEY_SIZE_MAX];
    struct argument serial = {.data = bytes};
    int size = sqlite3_column_bytes(statement, 0);
    if (size > 0 && size <= KEY_SIZE_MAX) {
        serial.size = (uint32_t)size;
        memcpy(bytes, sqlite3_column_blob(statement, 0), serial.size);
    }
    int64_t position = sqlite3_column_int64(statement, 1);
    result = store_one_end(store, STATEMENT_EXTRA_END, "ending a job", reterr);
    if (result == 0 && (ending->flags & JOB_HAS_AFTER)) {
        store_bind_number(store_statement(store, STATEMENT_PARENTS_FORGET), 1, ending->id);
        result = store_run(store, STATEMENT_PARENTS_FORGET, "ending a job", reterr);
    }
    if (result == 0 && serial.size > 0)
        result = free_serial(store, change, &serial, position, reterr);
    return result;
}

static int draw_consequences(struct store *store, struct store_change *change,
                             const struct ending *ending, struct aw_error *reterr)
{
    int result = 0;
    if (ending->flags & JOB_EXTRA_FLAGS)
        result = end_extra(store, change, ending, reterr);
    if (result == 0 && store->has_dependencies)
        result = store_release_children(store, change, ending, reterr);
    return result;
}

int store_finish_ended(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    int result = 0;
    struct ended_job *ended = change->ended;
    while (ended && ended->finished)
        ended = ended->next;
    for (; ended && result == 0; ended = ended->next) {
        struct ending ending = {.id = ended->id, .state = ended->state, .flags = ended->flags};
        ended->finished = true;
        result = draw_consequences(store, change, &ending, reterr);
    }
    return result;
}

int store_job_ended(struct store *store, struct store_change *change,
                    const struct ending *ending, struct aw_error *reterr)
{
    int result = draw_consequences(store, change, ending, reterr);
    return result == 0 ? store_finish_ended(store, change, reterr) : result;
}

/* --- expiring ------------------------------------------------------------------------------- */

void store_on_expire(struct store *store, bool (*may_expire)(void *context, uint64_t id))
{
    store->may_expire = may_expire;
}

static int expire_one(struct store *store, struct store_change *change, uint64_t id,
                      struct aw_error *reterr)
{
    if (!store->may_expire || store->may_expire(store->context, id)) {
        change->changed++;
        return store_end_job(store, change, id, JOB_DEAD, "EXPIRED", EXPIRED_MESSAGE, reterr);
    }
    store_bind_number(store_statement(store, STATEMENT_EXPIRE_NEVER), 1, id);
    return store_run(store, STATEMENT_EXPIRE_NEVER, "looking for expired jobs", reterr);
}

int store_expire(struct store *store, struct store_change *change, struct aw_error *reterr)
{
    int result = 0;
    for (uint32_t i = 0; i < change->limit && result == 0; i++) {
        sqlite3_stmt *statement = store_statement(store, STATEMENT_EXPIRED);
        store_bind_number(statement, 1, change->now_ms);
        result = store_one(store, STATEMENT_EXPIRED, "looking for expired jobs", reterr);
        if (result <= 0)
            break;
        uint64_t id = (uint64_t)sqlite3_column_int64(statement, 0);
        result = store_one_end(store, STATEMENT_EXPIRED, "looking for expired jobs", reterr);
        if (result == 0)
            result = expire_one(store, change, id, reterr);
        /* each by itself: it leaves the index with that */
        if (result == 0)
            result = store_finish_ended(store, change, reterr);
    }
    change->applied = result == 0;
    return result;
}
