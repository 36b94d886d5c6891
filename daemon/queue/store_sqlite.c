/* store_sqlite.c - opens, recovers and closes queue.db; see store.h for the promises.
 *
 * Recovery, at every start and before anything is accepted: the WAL is moved into the database and
 * emptied, so that frames which were only in the page cache when a sync failed are written and
 * synced again (tech: a failed fsync is an unknown outcome). A small file is checked whole; a large
 * one would take minutes, and SQLite reports damage when it meets it. */
#include "queue/store_sqlite.h"

#include "queue/opening.h"
#include "queue/store_copy.h"
#include "queue/store_schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_WHOLE_BYTES (64 * 1024 * 1024)
#define WAL_CHECKPOINT_BYTES (16u * 1024 * 1024)

sqlite3_stmt *store_statement(struct store *store, enum statement which)
{
    if (!store->statements[which])
        store->prepare_code = sqlite3_prepare_v3(
            aw_sqlite_handle(store->database), store_statement_texts[which], -1,
            SQLITE_PREPARE_PERSISTENT, &store->statements[which], NULL);
    return store->statements[which];
}

int store_result(struct store *store, int code, const char *what, struct aw_error *reterr)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return 0;
    if (code == SQLITE_MISUSE && store->prepare_code != SQLITE_OK)
        code = store->prepare_code; /* there was no statement to be stepped */
    struct aw_error error;
    int result = aw_sqlite_error(store->database, code, &error);
    return aw_error_set_code(reterr, result, error.code, "queue: %s: %s (%s)", what, error.message,
                             error.code);
}

int store_run(struct store *store, enum statement which, const char *what, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, which);
    int code = sqlite3_step(statement);
    int result = store_result(store, code, what, reterr);
    (void)sqlite3_reset(statement);
    return result;
}

int store_one(struct store *store, enum statement which, const char *what, struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, which);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    int result = store_result(store, code, what, reterr);
    (void)sqlite3_reset(statement);
    return result;
}

int store_one_end(struct store *store, enum statement which, const char *what,
                  struct aw_error *reterr)
{
    sqlite3_stmt *statement = store_statement(store, which);
    int result = store_result(store, sqlite3_step(statement), what, reterr);
    (void)sqlite3_reset(statement);
    return result;
}

/* The one number a query gives. */
static int read_number(struct store *store, const char *sql, int64_t *ret_number,
                       struct aw_error *reterr)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(aw_sqlite_handle(store->database), sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return store_result(store, code, sql, reterr);
    code = sqlite3_step(statement);
    int result = store_result(store, code, sql, reterr);
    if (code == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return result;
}

/* One transaction, so that a crash in the middle leaves the file as it was. */
static int migrate(struct store *store, int from, struct aw_error *reterr)
{
    char versions[128];
    (void)snprintf(versions, sizeof versions,
                   "PRAGMA application_id = %d; PRAGMA user_version = %d;", STORE_APPLICATION_ID,
                   STORE_SCHEMA_VERSION);
    int result = aw_sqlite_execute(store->database, "BEGIN IMMEDIATE;", reterr);
    for (int version = from; version < STORE_SCHEMA_VERSION && result == 0; version++)
        result = aw_sqlite_execute(store->database, store_migrations[version], reterr);
    if (result == 0)
        result = aw_sqlite_execute(store->database, versions, reterr);
    if (result == 0)
        result = aw_sqlite_execute(store->database, "COMMIT;", reterr);
    return result;
}

/* Whose file it is and which version. */
static int check_schema(struct store *store, const char *path, struct aw_error *reterr)
{
    int64_t version;
    int64_t application;
    int64_t tables;
    int result = read_number(store, "PRAGMA user_version", &version, reterr);
    if (result == 0)
        result = read_number(store, "PRAGMA application_id", &application, reterr);
    if (result == 0)
        result = read_number(store, "SELECT count(*) FROM sqlite_schema", &tables, reterr);
    if (result < 0)
        return result;
    if (tables == 0 && version == 0)
        return migrate(store, 0, reterr);
    if (application != STORE_APPLICATION_ID)
        return aw_error_set(reterr, -EINVAL,
                            "queue: %s is not a queue of awaitd but some other SQLite database; "
                            "move it away or set another state folder",
                            path);
    if (version > STORE_SCHEMA_VERSION)
        return aw_error_set(reterr, -EINVAL,
                            "queue: %s has schema version %" PRId64
                            ", this awaitd knows up to %d; run the newer awaitd that wrote it",
                            path, version, STORE_SCHEMA_VERSION);
    if (version == STORE_SCHEMA_VERSION)
        return 0;
    opening_step("bringing queue.db from schema version %" PRId64 " to %d", version,
                 STORE_SCHEMA_VERSION);
    return migrate(store, (int)version, reterr);
}

static int damaged(const char *path, const char *how, struct aw_error *reterr)
{
    return aw_error_set(reterr, -EBADMSG,
                        "queue: %s is damaged: %s; restore a backup, or save what can be read "
                        "with: sqlite3 queue.db .recover",
                        path, how);
}

static int check_whole(struct store *store, const char *path, struct aw_error *reterr)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(aw_sqlite_handle(store->database), "PRAGMA quick_check(1)", -1,
                                  &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int result = store_result(store, code, "quick_check", reterr);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (!text || strcmp(text, "ok") != 0)
            result = damaged(path, text ? text : "unreadable", reterr);
    }
    (void)sqlite3_finalize(statement);
    return result;
}

static int recover(struct store *store, const char *path, struct aw_error *reterr)
{
    opening_step("moving what queue.db-wal holds into queue.db");
    int result = aw_sqlite_checkpoint(store->database, true, reterr);
    int64_t pages;
    int64_t page_size;
    if (result == 0)
        result = read_number(store, "PRAGMA page_count", &pages, reterr);
    if (result == 0)
        result = read_number(store, "PRAGMA page_size", &page_size, reterr);
    if (result < 0 || pages * page_size > CHECK_WHOLE_BYTES)
        return result;
    opening_step("checking queue.db (%" PRId64 " KiB)", pages * page_size / 1024);
    return check_whole(store, path, reterr);
}

/* The store's name, given once. A queue.db of an earlier awaitd gets its own now. */
static int load_name(struct store *store, struct aw_error *reterr)
{
    static const char table[] =
        "CREATE TABLE IF NOT EXISTS identity (id INTEGER PRIMARY KEY CHECK (id = 1), "
        "name TEXT NOT NULL) STRICT";
    unsigned char bytes[16];
    aw_random_bytes(bytes, sizeof bytes);
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* version 4, random */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    char sql[128] = "INSERT OR IGNORE INTO identity VALUES (1, '";
    size_t at = strlen(sql);
    for (size_t i = 0; i < sizeof bytes; i++)
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%s%02x",
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    (void)snprintf(sql + at, sizeof sql - at, "')");
    int result = aw_sqlite_execute(store->database, table, reterr);
    if (result == 0)
        result = aw_sqlite_execute(store->database, sql, reterr);
    sqlite3_stmt *statement = NULL;
    if (result < 0)
        return result;
    int code = sqlite3_prepare_v2(aw_sqlite_handle(store->database), "SELECT name FROM identity",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    result = store_result(store, code, "reading the store's name", reterr);
    if (code == SQLITE_ROW)
        (void)snprintf(store->name, sizeof store->name, "%s",
                       (const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    return result;
}

const char *store_name(const struct store *store)
{
    return store->name;
}

/* Whether this file has all that the statements name. They are kept from their first use on: all of
 * them would be half a megabyte, and most daemons use a third. */
static int try_statements(struct store *store, struct aw_error *reterr)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v3(aw_sqlite_handle(store->database), store_statement_texts[i],
                                      -1, 0, &statement, NULL);
        (void)sqlite3_finalize(statement);
        if (code != SQLITE_OK)
            return store_result(store, code, store_statement_texts[i], reterr);
    }
    int64_t ceiling = 0;
    int result = read_number(store, "SELECT job FROM ceiling", &ceiling, reterr);
    store->id_ceiling = (uint64_t)ceiling;
    return result;
}

static int load_lanes(struct store *store, store_lane_finder lane_found, void *context,
                      struct aw_error *reterr)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(
        aw_sqlite_handle(store->database),
        "SELECT id, queue, target, scheduled, blocked, ready, running, done, dead, cancelled, "
        "uncertain, bytes FROM lane",
        -1, &statement, NULL);
    if (code != SQLITE_OK)
        return store_result(store, code, "reading the lanes", reterr);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct lane *lane = lane_found(context, (const char *)sqlite3_column_text(statement, 1),
                                       (const char *)sqlite3_column_text(statement, 2),
                                       (uint32_t)sqlite3_column_int64(statement, 0));
        if (!lane) {
            (void)sqlite3_finalize(statement);
            return aw_error_set(reterr, -ENOMEM, "queue: no memory for the lanes");
        }
        for (int state = 0; state < JOB_STATES; state++)
            lane->counts[state] = sqlite3_column_int64(statement, 3 + state);
        lane->bytes = sqlite3_column_int64(statement, 3 + JOB_STATES);
        lane->stored = true;
    }
    int result = store_result(store, code, "reading the lanes", reterr);
    (void)sqlite3_finalize(statement);
    return result;
}

static int open_database(struct store *store, const char *path, struct aw_error *reterr)
{
    struct aw_sqlite_options options = {.flags = AW_SQLITE_CREATE | AW_SQLITE_EXCLUSIVE,
                                        .busy_timeout_ms = 1000,
                                        .length_max = 1000000000};
    struct aw_error error = {0};
    int result = aw_sqlite_open(&store->database, path, &options, &error);
    if (result == -EBUSY)
        return aw_error_set(reterr, result,
                            "queue: %s is locked by another process: is another awaitd running on "
                            "this state folder, or a sqlite3 command? Stop it or set another "
                            "[daemon] state",
                            path);
    if (result < 0)
        return aw_error_set_code(reterr, result, error.code, "queue: cannot open %s: %s", path,
                                 error.message);
    return 0;
}

int store_open(struct store **ret_store, const char *folder, store_lane_finder lane_found,
               struct lane *(*lane_by_id)(void *context, uint32_t id), void *context,
               struct aw_error *reterr)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/queue.db", folder) >= sizeof path)
        return aw_error_set(reterr, -ENAMETOOLONG, "queue: the state folder's name is too long");
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return aw_error_set(reterr, -ENOMEM, "queue: no memory for the store");
    store->lane_by_id = lane_by_id;
    store->context = context;
    int result = store_copy_accept(path, reterr);
    if (result == 0)
        result = open_database(store, path, reterr);
    /* deleted jobs are overwritten where that costs no writes of its own */
    if (result == 0)
        result = aw_sqlite_execute(store->database, "PRAGMA secure_delete=FAST", reterr);
    if (result == 0)
        result = recover(store, path, reterr);
    if (result == 0)
        result = check_schema(store, path, reterr);
    if (result == 0) {
        opening_step("reading the queues");
        result = load_name(store, reterr);
    }
    if (result == 0)
        result = store_make_tables(store, reterr);
    if (result == 0)
        result = try_statements(store, reterr);
    if (result == 0)
        result = load_lanes(store, lane_found, context, reterr);
    if (result == 0)
        result = store_look_for_dependencies(store, reterr);
    if (result < 0) {
        /* SQLite may meet the damage before quick_check does, and names no file */
        if (result == -EBADMSG && reterr && !strstr(reterr->message, path)) {
            struct aw_error error = *reterr;
            (void)damaged(path, error.message, reterr);
        }
        store_close(store);
        return result;
    }
    *ret_store = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    if (store->database)
        aw_sqlite_close(store->database);
    free(store);
}

uint64_t store_id_ceiling(const struct store *store)
{
    return store->id_ceiling;
}

int store_maintain(struct store *store, bool force, struct aw_error *reterr)
{
    uint64_t size = aw_sqlite_wal_size(store->database);
    if (store->checkpoints_held || (!force && size < WAL_CHECKPOINT_BYTES))
        return 0;
    store->statistics.checkpoints++;
    return aw_sqlite_checkpoint(store->database, false, reterr);
}

void store_hold_checkpoints(struct store *store, bool held)
{
    store->checkpoints_held = held;
}

int store_merge_copy(const char *path, struct aw_error *reterr)
{
    struct store copy = {0};
    int result = open_database(&copy, path, reterr);
    if (result == 0)
        result = recover(&copy, path, reterr);
    if (result == 0)
        result = check_schema(&copy, path, reterr);
    if (copy.database) {
        int closed = aw_sqlite_close(copy.database);
        if (result == 0 && closed < 0)
            result = aw_error_set(reterr, closed, "queue: closing %s: %s", path,
                                  aw_error_text(closed));
    }
    return result == 0 ? store_copy_mark(path, reterr) : result;
}

void store_statistics(const struct store *store, struct store_statistics *ret_statistics)
{
    *ret_statistics = store->statistics;
    ret_statistics->wal_bytes = aw_sqlite_wal_size(store->database);
    ret_statistics->sync_ns = aw_sqlite_sync_ns(store->database);
}
