/* sqlite_limits.c - what SQL of users may do and how much it may take.
 *
 * A user's statement runs in a transaction that is not the user's, on a connection that the next
 * job will use, on a coroutine's stack. So: no transaction control, nothing that outlives the
 * statement outside the database (ATTACH, temporary objects, settings), no files, and limits on
 * what makes SQLite recurse. */
#include "clients/sqlite_database.h"

#include <stdio.h>
#include <string.h>

#define LENGTH_MAX_DEFAULT (64u << 20)

struct limit {
    int id;
    int value;
};

static const struct limit stack_limits[] = {
    { SQLITE_LIMIT_EXPR_DEPTH, 100 },
    { SQLITE_LIMIT_WORKER_THREADS, 0 },
};

static const struct limit user_limits[] = {
    { SQLITE_LIMIT_SQL_LENGTH, 1 << 20 },
    { SQLITE_LIMIT_COMPOUND_SELECT, 50 },
    { SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 500 },
    { SQLITE_LIMIT_FUNCTION_ARG, 100 },
    { SQLITE_LIMIT_TRIGGER_DEPTH, 100 },
    { SQLITE_LIMIT_VDBE_OP, 5000000 },
    { SQLITE_LIMIT_ATTACHED, 1 }, /* VACUUM needs one */
};

enum pragma_use { PRAGMA_ANY, PRAGMA_READ };

struct pragma_rule {
    const char *name;
    enum pragma_use use;
};

static const struct pragma_rule pragma_rules[] = {
    { "table_info", PRAGMA_ANY }, { "table_xinfo", PRAGMA_ANY }, { "table_list", PRAGMA_ANY },
    { "index_list", PRAGMA_ANY }, { "index_info", PRAGMA_ANY }, { "index_xinfo", PRAGMA_ANY },
    { "foreign_key_list", PRAGMA_ANY }, { "foreign_key_check", PRAGMA_ANY },
    { "integrity_check", PRAGMA_ANY }, { "quick_check", PRAGMA_ANY }, { "optimize", PRAGMA_ANY },
    { "incremental_vacuum", PRAGMA_ANY }, { "user_version", PRAGMA_ANY },
    { "application_id", PRAGMA_ANY }, { "database_list", PRAGMA_READ },
    { "collation_list", PRAGMA_READ }, { "function_list", PRAGMA_READ },
    { "pragma_list", PRAGMA_READ }, { "module_list", PRAGMA_READ },
    { "compile_options", PRAGMA_READ }, { "page_count", PRAGMA_READ },
    { "page_size", PRAGMA_READ }, { "freelist_count", PRAGMA_READ },
    { "data_version", PRAGMA_READ }, { "schema_version", PRAGMA_READ },
    { "encoding", PRAGMA_READ }, { "auto_vacuum", PRAGMA_READ }, { "journal_mode", PRAGMA_READ },
    { "synchronous", PRAGMA_READ }, { "foreign_keys", PRAGMA_READ },
    { "cache_size", PRAGMA_READ }, { "busy_timeout", PRAGMA_READ },
};

static int refuse(struct aw_sqlite *database, const char *what, const char *why)
{
    snprintf(database->refusal, sizeof(database->refusal), "%s is not allowed here: %s", what, why);
    return SQLITE_DENY;
}

static int check_pragma(struct aw_sqlite *database, const char *name, const char *argument)
{
    for (size_t i = 0; i < sizeof(pragma_rules) / sizeof(pragma_rules[0]); i++) {
        if (sqlite3_stricmp(pragma_rules[i].name, name) != 0)
            continue;
        if (pragma_rules[i].use == PRAGMA_ANY || !argument)
            return SQLITE_OK;
        break;
    }
    char what[64];
    snprintf(what, sizeof(what), "PRAGMA %.40s", name);
    return refuse(database, what, "it would change the connection, which other jobs share");
}

/* VACUUM runs SQL of its own: it begins a transaction and attaches a nameless database to build the
 * new file in; a user may do neither. */
static bool vacuum_runs(struct aw_sqlite *database)
{
    sqlite3_stmt *statement = NULL;
    while ((statement = sqlite3_next_stmt(database->handle, statement))) {
        const char *cursor = sqlite3_sql(statement);
        if (!cursor || !sqlite3_stmt_busy(statement))
            continue;
        size_t length;
        const char *word = aw_sqlite_next_word(&cursor, cursor + strlen(cursor), &length);
        if (length == 6 && sqlite3_strnicmp(word, "VACUUM", 6) == 0)
            return true;
    }
    return false;
}

static int authorize(void *context, int action, const char *first, const char *second,
                     const char *schema, const char *trigger)
{
    (void)trigger;
    struct aw_sqlite *database = context;
    if (database->trusted)
        return SQLITE_OK;
    static const char transaction_reason[] = "each job already runs in a transaction of its own";
    static const char attach_reason[] = "a job uses only its target's database";
    static const char temporary_reason[] = "it would outlive the job, on a shared connection";

    switch (action) {
    case SQLITE_TRANSACTION:
        if (database->session || vacuum_runs(database))
            return SQLITE_OK;
        return refuse(database, first, transaction_reason);
    case SQLITE_SAVEPOINT:
        if (database->session)
            return SQLITE_OK;
        return refuse(database, "SAVEPOINT", transaction_reason);
    case SQLITE_ATTACH:
        if (first && !first[0] && vacuum_runs(database))
            return SQLITE_OK;
        return refuse(database, "ATTACH or VACUUM INTO", attach_reason);
    case SQLITE_DETACH:
        return refuse(database, "DETACH", attach_reason);
    case SQLITE_PRAGMA:
        return check_pragma(database, first, second);
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW:
        return refuse(database, "a temporary object", temporary_reason);
    case SQLITE_CREATE_VTABLE:
        if (schema && sqlite3_stricmp(schema, "temp") == 0)
            return refuse(database, "a temporary object", temporary_reason);
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        if (second && (sqlite3_stricmp(second, "load_extension") == 0 ||
                       sqlite3_stricmp(second, "fts3_tokenizer") == 0))
            return refuse(database, second, "it runs foreign code");
        return SQLITE_OK;
    default:
        return SQLITE_OK;
    }
}

static void apply(struct aw_sqlite *database, const struct limit *limits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sqlite3_limit(database->handle, limits[i].id, limits[i].value);
}

void sqlite_limits_install(struct aw_sqlite *database, uint32_t length_max)
{
    sqlite3 *handle = database->handle;
    if (length_max == 0)
        length_max = LENGTH_MAX_DEFAULT;
    int length = length_max < INT32_MAX ? (int)length_max : INT32_MAX;
    sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, length);
    apply(database, stack_limits, sizeof(stack_limits) / sizeof(stack_limits[0]));

    sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (!(database->flags & AW_SQLITE_UNTRUSTED))
        return;
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    apply(database, user_limits, sizeof(user_limits) / sizeof(user_limits[0]));
    sqlite3_set_authorizer(handle, authorize, database);
}
