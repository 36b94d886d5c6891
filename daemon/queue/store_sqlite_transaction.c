/* store_sqlite_transaction.c - a batch begins, keeps the lanes' counts and the ceiling of ids true,
 * and is committed or rolled back; what is in it: store_sqlite_write.c. */
#include "queue/store_sqlite.h"

#include <string.h>

static bool is_live(enum job_state state)
{
    return state < JOB_STATES && !job_state_is_final(state);
}

void store_count(struct store *store, struct lane *lane, enum job_state from, enum job_state to,
                 size_t payload_size)
{
    if (from < JOB_STATES)
        lane->changes[from]--;
    if (to < JOB_STATES)
        lane->changes[to]++;
    if (is_live(from) != is_live(to))
        lane->bytes_change += is_live(to) ? (int64_t)payload_size : -(int64_t)payload_size;
    if (lane->touched)
        return;
    lane->touched = true;
    lane->next_touched = store->touched;
    store->touched = lane;
}

int store_begin(struct store *store, struct aw_error *reterr)
{
    store->id_ceiling_next = store->id_ceiling;
    store->insert_count = 0;
    store->deleted.count = 0;
    store->kept.count = 0;
    store->release_left = RELEASE_CHILDREN;
    store->wake_left = WAKE_RELEASED;
    store->wake_bytes_left = WAKE_RELEASED_BYTES;
    return store_run(store, STATEMENT_BEGIN, "BEGIN", reterr);
}

static int insert_lane(struct store *store, const struct lane *lane, const char *queue,
                       struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_LANE_INSERT);
    store_bind_number(statement, 1, lane->id);
    (void)sqlite3_bind_text(statement, 2, queue, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 3, lane->target_name, -1, SQLITE_STATIC);
    return store_run(store, STATEMENT_LANE_INSERT, "storing a queue", reterr);
}

static int write_counts(struct store *store, struct aw_error *reterr)
{
    for (struct lane *lane = store->touched; lane; lane = lane->next_touched) {
        int result = 0;
        if (!lane->stored)
            result = insert_lane(store, lane, lane_queue_name(lane), reterr);
        sqlite3_stmt *statement = store_statement(store, STATEMENT_LANE_COUNTS);
        store_bind_number(statement, 1, lane->id);
        for (int state = 0; state < JOB_STATES; state++)
            (void)sqlite3_bind_int64(statement, 2 + state,
                                     lane->counts[state] + lane->changes[state]);
        (void)sqlite3_bind_int64(statement, 2 + JOB_STATES, lane->bytes + lane->bytes_change);
        if (result == 0)
            result = store_run(store, STATEMENT_LANE_COUNTS, "storing the counts", reterr);
        if (result < 0)
            return result;
    }
    return 0;
}

/* The transaction is over: its counts are true, or never were. */
static void end_transaction(struct store *store, bool committed)
{
    while (store->touched) {
        struct lane *lane = store->touched;
        store->touched = lane->next_touched;
        for (int state = 0; state < JOB_STATES; state++) {
            if (committed)
                lane->counts[state] += lane->changes[state];
            lane->changes[state] = 0;
        }
        if (committed)
            lane->bytes += lane->bytes_change;
        lane->bytes_change = 0;
        lane->stored = lane->stored || committed;
        lane->touched = false;
    }
    if (committed)
        store->id_ceiling = store->id_ceiling_next;
}

static int write_ceiling(struct store *store, struct aw_error *reterr)
{
    if (store->id_ceiling_next == store->id_ceiling)
        return 0;
    store_bind_number(store_statement(store, STATEMENT_CEILING), 1, store->id_ceiling_next);
    return store_run(store, STATEMENT_CEILING, "raising the ceiling of ids", reterr);
}

int store_commit(struct store *store, struct aw_error *reterr)
{
    int result = store_write_gathered(store, reterr);
    if (result == 0)
        result = write_counts(store, reterr);
    if (result == 0)
        result = write_ceiling(store, reterr);
    if (result == 0)
        result = store_run(store, STATEMENT_COMMIT, "COMMIT", reterr);
    if (result < 0)
        return result;
    store->statistics.commits++;
    end_transaction(store, true);
    return 0;
}

int store_roll_back(struct store *store, struct aw_error *reterr)
{
    end_transaction(store, false);
    store->has_dependencies = true; /* perhaps: the next end finds out */
    /* SQLite may have rolled back by itself: then there is nothing left to do */
    if (sqlite3_get_autocommit(aw_sqlite_handle(store->database)))
        return 0;
    return store_run(store, STATEMENT_ROLL_BACK, "ROLLBACK", reterr);
}
