/* sqlite_error.c - SQLite's result codes as names and as errnos. */
#include "clients/sqlite_database.h"
#include "clients/sqlite_memory.h"

#include <await/scope.h>
#include <errno.h>

struct code_name {
    int code;
    const char *name;
};

#define NAME(code) { code, #code }
static const struct code_name names[] = {
    NAME(SQLITE_OK), NAME(SQLITE_ERROR), NAME(SQLITE_INTERNAL), NAME(SQLITE_PERM),
    NAME(SQLITE_ABORT), NAME(SQLITE_BUSY), NAME(SQLITE_LOCKED), NAME(SQLITE_NOMEM),
    NAME(SQLITE_READONLY), NAME(SQLITE_INTERRUPT), NAME(SQLITE_IOERR), NAME(SQLITE_CORRUPT),
    NAME(SQLITE_NOTFOUND), NAME(SQLITE_FULL), NAME(SQLITE_CANTOPEN), NAME(SQLITE_PROTOCOL),
    NAME(SQLITE_EMPTY), NAME(SQLITE_SCHEMA), NAME(SQLITE_TOOBIG), NAME(SQLITE_CONSTRAINT),
    NAME(SQLITE_MISMATCH), NAME(SQLITE_MISUSE), NAME(SQLITE_NOLFS), NAME(SQLITE_AUTH),
    NAME(SQLITE_FORMAT), NAME(SQLITE_RANGE), NAME(SQLITE_NOTADB), NAME(SQLITE_ROW),
    NAME(SQLITE_DONE), NAME(SQLITE_ERROR_MISSING_COLLSEQ), NAME(SQLITE_ERROR_RETRY),
    NAME(SQLITE_ERROR_SNAPSHOT), NAME(SQLITE_IOERR_READ), NAME(SQLITE_IOERR_SHORT_READ),
    NAME(SQLITE_IOERR_WRITE), NAME(SQLITE_IOERR_FSYNC), NAME(SQLITE_IOERR_DIR_FSYNC),
    NAME(SQLITE_IOERR_TRUNCATE), NAME(SQLITE_IOERR_FSTAT), NAME(SQLITE_IOERR_UNLOCK),
    NAME(SQLITE_IOERR_RDLOCK), NAME(SQLITE_IOERR_DELETE), NAME(SQLITE_IOERR_NOMEM),
    NAME(SQLITE_IOERR_ACCESS), NAME(SQLITE_IOERR_CHECKRESERVEDLOCK), NAME(SQLITE_IOERR_LOCK),
    NAME(SQLITE_IOERR_CLOSE), NAME(SQLITE_IOERR_SHMOPEN), NAME(SQLITE_IOERR_SHMSIZE),
    NAME(SQLITE_IOERR_SHMLOCK), NAME(SQLITE_IOERR_SHMMAP), NAME(SQLITE_IOERR_SEEK),
    NAME(SQLITE_IOERR_DELETE_NOENT), NAME(SQLITE_IOERR_GETTEMPPATH), NAME(SQLITE_IOERR_CORRUPTFS),
    NAME(SQLITE_IOERR_DATA), NAME(SQLITE_LOCKED_SHAREDCACHE), NAME(SQLITE_LOCKED_VTAB),
    NAME(SQLITE_BUSY_RECOVERY), NAME(SQLITE_BUSY_SNAPSHOT), NAME(SQLITE_BUSY_TIMEOUT),
    NAME(SQLITE_CANTOPEN_NOTEMPDIR), NAME(SQLITE_CANTOPEN_ISDIR), NAME(SQLITE_CANTOPEN_FULLPATH),
    NAME(SQLITE_CANTOPEN_SYMLINK), NAME(SQLITE_CORRUPT_VTAB), NAME(SQLITE_CORRUPT_SEQUENCE),
    NAME(SQLITE_CORRUPT_INDEX), NAME(SQLITE_READONLY_RECOVERY), NAME(SQLITE_READONLY_CANTLOCK),
    NAME(SQLITE_READONLY_ROLLBACK), NAME(SQLITE_READONLY_DBMOVED), NAME(SQLITE_READONLY_CANTINIT),
    NAME(SQLITE_READONLY_DIRECTORY), NAME(SQLITE_ABORT_ROLLBACK), NAME(SQLITE_CONSTRAINT_CHECK),
    NAME(SQLITE_CONSTRAINT_COMMITHOOK), NAME(SQLITE_CONSTRAINT_FOREIGNKEY),
    NAME(SQLITE_CONSTRAINT_FUNCTION), NAME(SQLITE_CONSTRAINT_NOTNULL),
    NAME(SQLITE_CONSTRAINT_PRIMARYKEY), NAME(SQLITE_CONSTRAINT_TRIGGER),
    NAME(SQLITE_CONSTRAINT_UNIQUE), NAME(SQLITE_CONSTRAINT_VTAB), NAME(SQLITE_CONSTRAINT_ROWID),
    NAME(SQLITE_CONSTRAINT_PINNED), NAME(SQLITE_CONSTRAINT_DATATYPE), NAME(SQLITE_AUTH_USER),
};
#undef NAME

const char *aw_sqlite_code_name(int extended_result_code)
{
    const char *primary = "SQLITE_UNKNOWN";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].code == extended_result_code)
            return names[i].name;
        if (names[i].code == (extended_result_code & 0xff))
            primary = names[i].name; /* a newer SQLite's detail */
    }
    return primary;
}

static int errno_of(int result_code)
{
    switch (result_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return -EBUSY;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_IOERR:
        return result_code == SQLITE_IOERR_NOMEM ? -ENOMEM : -EIO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CANTOPEN:
        return -ENOENT;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EPERM;
    case SQLITE_TOOBIG:
        return -E2BIG;
    case SQLITE_INTERRUPT:
    case SQLITE_ABORT:
        return -ECANCELED;
    default:
        return -EINVAL;
    }
}

int aw_sqlite_error(struct aw_sqlite *database, int result_code, struct aw_error *reterr)
{
    int primary = result_code & 0xff;
    if (primary == SQLITE_OK || primary == SQLITE_ROW || primary == SQLITE_DONE)
        return 0;

    int extended = sqlite3_extended_errcode(database->handle);
    if ((extended & 0xff) != primary)
        extended = result_code;
    int number = errno_of(extended);
    if (primary == SQLITE_INTERRUPT || primary == SQLITE_BUSY) {
        int interrupted = aw_interrupted(); /* it ended the wait, not the other's lock */
        if (interrupted < 0)
            number = interrupted;
    }
    if (database->failed)
        number = -EUCLEAN;
    if ((primary == SQLITE_NOMEM || number == -ENOMEM) && sqlite_memory_stack_was_short())
        return aw_error_set_code(reterr, -E2BIG, "SQLITE_TOOBIG",
                                 "the statement nests too deeply (its WITH clauses, views or "
                                 "subqueries)");
    if (primary == SQLITE_CANTOPEN) {
        int cause = sqlite3_system_errno(database->handle);
        if (cause > 0)
            return aw_error_set_code(reterr, -cause, aw_sqlite_code_name(extended), "%s: %s",
                                     sqlite3_errmsg(database->handle), aw_error_text(cause));
    }
    /* An authorizer's refusal reaches us as "not authorized"; say what and why instead. */
    const char *message = primary == SQLITE_AUTH && database->refusal[0]
                              ? database->refusal
                              : sqlite3_errmsg(database->handle);
    return aw_error_set_code(reterr, number, aw_sqlite_code_name(extended), "%s", message);
}
