/* sqlite_database.c - opening, closing and checkpointing a connection; see await/sqlite.h. */
#include "clients/sqlite_database.h"

#include "clients/sqlite_vfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_TIMEOUT_DEFAULT_MS 5000u
#define WAL_FRAME_HEADER 24u

static void note_failure(void *context)
{
    struct aw_sqlite *database = context;
    database->failed = true;
    if (database->on_failure)
        database->on_failure(database->on_failure_context);
}

static int open_handle(struct aw_sqlite *database, const char *path, struct aw_error *reterr)
{
    int flags = SQLITE_OPEN_NOMUTEX;
    if (database->flags & AW_SQLITE_READ_ONLY)
        flags |= SQLITE_OPEN_READONLY;
    else
        flags |= SQLITE_OPEN_READWRITE;
    if (database->flags & AW_SQLITE_CREATE)
        flags |= SQLITE_OPEN_CREATE;

    int result = sqlite3_open_v2(path, &database->handle, flags, SQLITE_VFS_NAME);
    if (!database->handle)
        return aw_error_set_code(reterr, -ENOMEM, "SQLITE_NOMEM", "cannot open %s: out of memory",
                                 path);
    if (result != SQLITE_OK)
        return aw_sqlite_error(database, result, reterr);
    sqlite3_extended_result_codes(database->handle, 1);

    sqlite3_file *file = NULL;
    sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (!file || file->pMethods != &sqlite_file_methods)
        return aw_error_set(reterr, -EINVAL, "cannot open '%s': it does not name a file", path);
    database->file = sqlite_file_of(file);
    database->file->on_failure = note_failure;
    database->file->on_failure_context = database;
    return 0;
}

/* Runs a statement that answers with one value: keeps it, or compares it with a text. It is run to
 * its end: PRAGMA journal_mode=WAL answers "wal" before it commits, and that may still fail. */
static int ask(struct aw_sqlite *database, const char *sql, const char *expected,
               int64_t *ret_number, struct aw_error *reterr)
{
    sqlite3_stmt *statement = NULL;
    database->trusted = true;
    int result = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    int number = aw_sqlite_error(database, result, reterr);
    if (number == 0 && ret_number)
        *ret_number = sqlite3_column_int64(statement, 0);
    if (number == 0 && expected) {
        const char *answer = (const char *)sqlite3_column_text(statement, 0);
        if (!answer || sqlite3_stricmp(answer, expected) != 0)
            number = aw_error_set(reterr, -EBUSY, "%s gave %s", sql, answer ? answer : "nothing");
    }
    if (number == 0 && result == SQLITE_ROW)
        number = aw_sqlite_error(database, sqlite3_step(statement), reterr);
    sqlite3_finalize(statement);
    database->trusted = false;
    return number;
}

static int configure(struct aw_sqlite *database, struct aw_error *reterr)
{
    bool untrusted = database->flags & AW_SQLITE_UNTRUSTED;
    bool exclusive = database->flags & AW_SQLITE_EXCLUSIVE;
    int result = aw_sqlite_execute(database, "PRAGMA mmap_size=0", reterr);
    if (result == 0)
        result = aw_sqlite_execute(database,
                                   untrusted ? "PRAGMA temp_store=FILE"
                                             : "PRAGMA temp_store=MEMORY; PRAGMA cache_spill=OFF",
                                   reterr);
    /* Before the WAL is touched: only then does its index stay in private memory. */
    if (result == 0 && exclusive)
        result = aw_sqlite_execute(database, "PRAGMA locking_mode=EXCLUSIVE", reterr);
    if (result == 0 && !(database->flags & AW_SQLITE_READ_ONLY))
        result = ask(database, "PRAGMA journal_mode=WAL", "wal", NULL, reterr);
    if (result == 0)
        result = aw_sqlite_execute(database, "PRAGMA synchronous=FULL", reterr);
    if (result == 0 && exclusive && !(database->flags & AW_SQLITE_READ_ONLY))
        result = aw_sqlite_execute(database,
                                   "BEGIN IMMEDIATE; SELECT count(*) FROM sqlite_schema; COMMIT",
                                   reterr);
    int64_t page_size = 0;
    if (result == 0)
        result = ask(database, "PRAGMA page_size", NULL, &page_size, reterr);
    if (result == 0)
        result = ask(database, "SELECT count(*) FROM sqlite_schema", NULL, NULL, reterr);
    database->page_size = (uint32_t)page_size;
    return result;
}

/* "cannot open <path>: <what SQLite said>" around the error as it is. */
static int explain(const char *path, int number, struct aw_error *reterr)
{
    if (!reterr)
        return number;
    struct aw_error inner = *reterr;
    const char *help = number == -EBUSY ? " (another process or connection uses it)" : "";
    return aw_error_set_code(reterr, number, inner.code, "cannot open %s: %s%s", path,
                             inner.message, help);
}

int aw_sqlite_open(struct aw_sqlite **ret_database, const char *path,
                   const struct aw_sqlite_options *options, struct aw_error *reterr)
{
    static const struct aw_sqlite_options defaults;
    if (!options)
        options = &defaults;
    if (!path || !path[0])
        return aw_error_set(reterr, -EINVAL, "cannot open a database without a path");
    int result = sqlite_vfs_register(reterr);
    if (result < 0)
        return result;

    struct aw_error local;
    if (!reterr)
        reterr = &local;
    struct aw_sqlite *database = calloc(1, sizeof(*database));
    if (!database)
        return aw_error_set(reterr, -ENOMEM, "cannot open %s: out of memory", path);
    database->flags = options->flags;
    database->busy_timeout_ms =
        options->busy_timeout_ms ? options->busy_timeout_ms : BUSY_TIMEOUT_DEFAULT_MS;

    result = open_handle(database, path, reterr);
    if (result == 0) {
        sqlite_limits_install(database, options->length_max);
        result = aw_sqlite_error(database, sqlite_wait_install(database), reterr);
    }
    if (result == 0)
        result = configure(database, reterr);
    if (result < 0) {
        aw_sqlite_close(database);
        return explain(path, result, reterr);
    }
    database->on_failure = options->on_failure;
    database->on_failure_context = options->context;
    *ret_database = database;
    return 0;
}

int aw_sqlite_close(struct aw_sqlite *database)
{
    if (!database)
        return 0;
    sqlite_statements_free(database);
    database->trusted = true;
    int result = 0;
    if (sqlite3_close(database->handle) == SQLITE_BUSY) {
        /* A statement of the owner's is left: the connection goes away with it, silent by then. */
        if (database->file)
            database->file->on_failure = NULL;
        sqlite3_progress_handler(database->handle, 0, NULL, NULL);
        sqlite3_busy_handler(database->handle, NULL, NULL);
        sqlite3_set_authorizer(database->handle, NULL, NULL);
        sqlite3_wal_hook(database->handle, NULL, NULL);
        sqlite3_close_v2(database->handle);
        result = -EBUSY;
    } else if (database->failed) {
        result = -EIO;
    }
    free(database);
    return result;
}

sqlite3 *aw_sqlite_handle(const struct aw_sqlite *database)
{
    return database->handle;
}

bool aw_sqlite_failed(const struct aw_sqlite *database)
{
    return database->failed;
}

int aw_sqlite_execute(struct aw_sqlite *database, const char *sql, struct aw_error *reterr)
{
    bool trusted = database->trusted;
    database->trusted = true;
    int result = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
    database->trusted = trusted;
    return aw_sqlite_error(database, result, reterr);
}

int aw_sqlite_checkpoint(struct aw_sqlite *database, bool truncate, struct aw_error *reterr)
{
    int frames = 0;
    int moved = 0;
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int result = sqlite3_wal_checkpoint_v2(database->handle, "main", mode, &frames, &moved);
    if (result == SQLITE_OK)
        database->wal_frames = frames > moved ? (uint32_t)frames : 0;
    return aw_sqlite_error(database, result, reterr);
}

uint64_t aw_sqlite_sync_ns(const struct aw_sqlite *database)
{
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) ||
        !file || file->pMethods != &sqlite_file_methods)
        return 0;
    const struct sqlite_file *wal = sqlite_file_of(file)->wal;
    return wal ? wal->sync_ns : 0;
}

uint64_t aw_sqlite_wal_size(const struct aw_sqlite *database)
{
    return (uint64_t)database->wal_frames * (database->page_size + WAL_FRAME_HEADER);
}
