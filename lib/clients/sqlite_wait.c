/* sqlite_wait.c - how a connection waits: for another's lock, for other tasks' turn, and in
 * sleep().
 *
 * SQLite calls these in the middle of a statement; each suspends only the task that owns the
 * connection, and ends when that task is cancelled or past its deadline. */
#include "clients/sqlite_database.h"

#include <await/clock.h>
#include <await/scope.h>
#include <await/task.h>
#include <errno.h>

#define BUSY_FIRST_MS 1u
#define BUSY_STEP_MAX_MS 64u
#define PROGRESS_OPCODES 1000
#define RUN_MAX_NS AW_NS_PER_MS
#define SLEEP_MAX_MS INT64_C(86400000)

/* Doubling pauses with jitter, so that several who wait do not try in step. 0 gives up. */
static int on_busy(void *context, int tries)
{
    struct aw_sqlite *database = context;
    if (!aw_current())
        return 0;
    uint64_t now_ns = aw_now_ns();
    if (tries == 0)
        database->busy_since_ns = now_ns;
    uint64_t until_ns = database->busy_since_ns + database->busy_timeout_ms * AW_NS_PER_MS;
    if (now_ns >= until_ns)
        return 0;

    uint64_t step_ms = BUSY_FIRST_MS << (tries < 6 ? tries : 6);
    if (step_ms > BUSY_STEP_MAX_MS)
        step_ms = BUSY_STEP_MAX_MS;
    uint64_t step_ns = step_ms * AW_NS_PER_MS;
    uint64_t wake_ns = now_ns + step_ns / 2 + aw_random_below(step_ns);
    return aw_sleep_until(wake_ns < until_ns ? wake_ns : until_ns) == 0;
}

static int on_progress(void *context)
{
    (void)context;
    if (!aw_current())
        return 0;
    if (aw_running_ns() > RUN_MAX_NS)
        (void)aw_yield();
    return aw_interrupted() < 0;
}

static void sql_sleep(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    struct aw_sqlite *database = sqlite3_user_data(context);
    if (sqlite3_value_type(values[0]) == SQLITE_NULL)
        return;
    int64_t duration_ms = sqlite3_value_int64(values[0]);
    if (duration_ms > SLEEP_MAX_MS) {
        sqlite3_result_error(context, "sleep() takes at most 86400000 ms (a day)", -1);
        return;
    }
    if (duration_ms < 0)
        duration_ms = 0;
    if (!aw_current()) {
        sqlite3_result_error(context, "sleep() works only inside aw_run", -1);
        return;
    }
    database->sleeping = true;
    int result = aw_sleep((uint64_t)duration_ms);
    database->sleeping = false;
    if (result < 0) {
        sqlite3_result_error_code(context, SQLITE_INTERRUPT);
        return;
    }
    sqlite3_result_int64(context, duration_ms);
}

static int on_commit_to_wal(void *context, sqlite3 *handle, const char *name, int frames)
{
    (void)handle;
    (void)name;
    struct aw_sqlite *database = context;
    database->wal_frames = frames > 0 ? (uint32_t)frames : 0;
    return SQLITE_OK;
}

int sqlite_wait_install(struct aw_sqlite *database)
{
    int result = sqlite3_busy_handler(database->handle, on_busy, database);
    if (result != SQLITE_OK)
        return result;
    sqlite3_progress_handler(database->handle, PROGRESS_OPCODES, on_progress, NULL);
    sqlite3_wal_hook(database->handle, on_commit_to_wal, database);
    return sqlite3_create_function(database->handle, "sleep", 1, SQLITE_UTF8, database, sql_sleep,
                                   NULL, NULL);
}
