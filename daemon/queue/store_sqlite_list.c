/* store_sqlite_list.c - keys and ids of waiting jobs by lane, from indexes alone. */
#include "queue/store_sqlite.h"

int store_list_ready(struct store *store, const struct lane *lane, struct lane_key after,
                     uint64_t id_max, uint32_t limit, struct lane_key *keys, uint32_t *ret_count,
                     struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_LIST_READY);
    (void)sqlite3_bind_int64(statement, 1, lane->id);
    (void)sqlite3_bind_int64(statement, 2, after.priority);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)after.id);
    (void)sqlite3_bind_int64(statement, 4, limit);
    (void)sqlite3_bind_int64(statement, 5, (int64_t)id_max);
    uint32_t count = 0;
    int code = SQLITE_DONE;
    while (count < limit && (code = sqlite3_step(statement)) == SQLITE_ROW)
        keys[count++] = (struct lane_key){
            .priority = (uint32_t)sqlite3_column_int64(statement, 0),
            .id = (uint64_t)sqlite3_column_int64(statement, 1),
        };
    int result = store_result(store, code, "listing ready jobs", reterr);
    (void)sqlite3_reset(statement);
    *ret_count = count;
    return result;
}

int store_list_held(struct store *store, const struct lane *lane, uint64_t before, uint32_t limit,
                    uint64_t *ids, uint32_t *ret_count, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, STATEMENT_LIST_HELD);
    (void)sqlite3_bind_int64(statement, 1, lane->id);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)before);
    (void)sqlite3_bind_int64(statement, 3, limit);
    uint32_t count = 0;
    int code = SQLITE_DONE;
    while (count < limit && (code = sqlite3_step(statement)) == SQLITE_ROW)
        ids[count++] = (uint64_t)sqlite3_column_int64(statement, 0);
    int result = store_result(store, code, "listing scheduled jobs", reterr);
    (void)sqlite3_reset(statement);
    *ret_count = count;
    return result;
}
