/* backup.c - BACKUP: a copy of the queue, as it is at one moment, while jobs go on.
 *
 * In WAL mode the database file changes only at a checkpoint, and the WAL only grows. So
 * checkpoints are held back, the file is copied by the caller's own task while commits go on, and
 * then the WAL, whose last piece is copied between two batches: file and WAL together are the queue
 * at that moment. Opening the copy merges the two into one file, which gets its name last. */
#include "queue/broker_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PIECE_BYTES (1024u * 1024)
#define WAL_HEADER_BYTES 32u
#define BACKUP_PATH_MAX 4000u /* bytes */

struct backup {
    struct store_read read;
    struct broker *broker;
    char source[4096];     /* queue.db */
    char source_wal[4104];
    char part[4096];       /* the copy while it is made */
    char part_wal[4104];
    unsigned char wal_header[WAL_HEADER_BYTES]; /* of what has been copied */
    uint64_t wal_copied;
    char *piece;
    struct aw_error error;
    int result;
};

static int failed(struct backup *backup, int result, const char *what, const char *path)
{
    return aw_error_set(&backup->error, result, "backup: cannot %s %s: %s", what, path,
                        aw_error_text(result));
}

/* Copies the bytes from `offset` up to the end of the file as it is now. */
static int copy_from(struct backup *backup, const char *from, const char *to, uint64_t *offset)
{
    int source = aw_open(from, O_RDONLY | O_CLOEXEC, 0);
    if (source < 0)
        return source == -ENOENT ? 0 : failed(backup, source, "read", from);
    int target = aw_open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int got = target < 0 ? failed(backup, target, "create", to) : 1;
    while (got > 0) {
        got = aw_read(source, backup->piece, PIECE_BYTES, *offset);
        if (got < 0)
            (void)failed(backup, got, "read", from);
        if (got <= 0)
            break;
        int written = aw_write_all(target, backup->piece, (size_t)got, *offset);
        if (written < 0)
            got = failed(backup, written, "write", to);
        *offset += (uint64_t)(got > 0 ? got : 0);
    }
    if (target >= 0 && got == 0)
        got = aw_sync(target, false);
    if (target >= 0)
        (void)aw_close(target);
    (void)aw_close(source);
    return got;
}

static int read_wal_header(struct backup *backup, unsigned char header[WAL_HEADER_BYTES])
{
    memset(header, 0, WAL_HEADER_BYTES);
    int source = aw_open(backup->source_wal, O_RDONLY | O_CLOEXEC, 0);
    if (source < 0)
        return source == -ENOENT ? 0 : failed(backup, source, "read", backup->source_wal);
    int got = aw_read(source, header, WAL_HEADER_BYTES, 0);
    (void)aw_close(source);
    return got < 0 ? failed(backup, got, "read", backup->source_wal) : 0;
}

/* The WAL so far. One that has begun anew since is copied from its beginning. */
static int copy_wal(struct backup *backup)
{
    unsigned char header[WAL_HEADER_BYTES];
    int result = read_wal_header(backup, header);
    if (result < 0)
        return result;
    if (memcmp(header, backup->wal_header, sizeof header) != 0)
        backup->wal_copied = 0;
    memcpy(backup->wal_header, header, sizeof header);
    /* the file is longer than its frames, and more of them come while it is copied: what lies
     * behind those that are committed now is copied again */
    struct store_statistics statistics;
    store_statistics(backup->broker->store, &statistics);
    result = copy_from(backup, backup->source_wal, backup->part_wal, &backup->wal_copied);
    if (statistics.wal_bytes < backup->wal_copied)
        backup->wal_copied = statistics.wal_bytes;
    return result;
}

/* In the committer's task: between two batches, with no checkpoint under way. */
static void hold(struct store_read *read, struct store *store)
{
    struct backup *backup = read->context;
    backup->result = store_maintain(store, true, &backup->error);
    store_hold_checkpoints(store, true);
}

static void copy_last_piece(struct store_read *read, struct store *store)
{
    struct backup *backup = read->context;
    (void)store;
    backup->result = copy_wal(backup);
}

static void release(struct store_read *read, struct store *store)
{
    (void)read;
    store_hold_checkpoints(store, false);
}

static int in_committer(struct backup *backup, void (*perform)(struct store_read *, struct store *))
{
    backup->read = (struct store_read){.perform = perform, .context = backup};
    committer_read(&backup->broker->committer, &backup->read);
    return backup->result;
}

static int copy_all(struct backup *backup)
{
    uint64_t copied = 0;
    int result = in_committer(backup, hold);
    if (result == 0)
        result = copy_from(backup, backup->source, backup->part, &copied);
    if (result == 0)
        result = copy_wal(backup);
    if (result == 0)
        result = aw_interrupted();
    if (result == 0)
        result = in_committer(backup, copy_last_piece);
    backup->result = 0;
    AW_IGNORE(in_committer(backup, release));
    return result;
}

static int give_name(struct backup *backup, const char *path)
{
    int result = store_merge_copy(backup->part, &backup->error);
    if (result < 0)
        return result;
    result = aw_rename(backup->part, path);
    if (result == 0)
        result = aw_sync_directory_of(path);
    return result < 0 ? failed(backup, result, "name", path) : 0;
}

static int check_path(struct broker *broker, const char *path, struct aw_error *reterr)
{
    struct stat status;
    if (path[0] != '/' || strlen(path) > BACKUP_PATH_MAX)
        return aw_error_set(reterr, -EINVAL,
                            "backup: the path must be absolute and of at most %u bytes",
                            BACKUP_PATH_MAX);
    int result = aw_stat(path, &status);
    if (result == 0)
        return aw_error_set(reterr, -EEXIST,
                            "backup: %s exists; name a file that does not, awaitd overwrites none",
                            path);
    if (result != -ENOENT)
        return aw_error_set(reterr, result, "backup: cannot create %s: %s", path,
                            aw_error_text(result));
    if (broker->backup_runs)
        return aw_error_set_code(reterr, -EBUSY, "UNAVAILABLE", "another backup is being made");
    return 0;
}

int broker_backup(struct broker *broker, const char *path, struct aw_error *reterr)
{
    int result = check_path(broker, path, reterr);
    if (result < 0)
        return result;
    struct backup *backup = calloc(1, sizeof *backup);
    if (backup)
        backup->piece = malloc(PIECE_BYTES);
    if (!backup || !backup->piece) {
        free(backup);
        return aw_error_set(reterr, -ENOMEM, "backup: out of memory");
    }
    broker->backup_runs = true;
    backup->broker = broker;
    (void)snprintf(backup->source, sizeof backup->source, "%s/queue.db",
                   broker->configuration->state);
    (void)snprintf(backup->source_wal, sizeof backup->source_wal, "%s-wal", backup->source);
    (void)snprintf(backup->part, sizeof backup->part, "%s.part", path);
    (void)snprintf(backup->part_wal, sizeof backup->part_wal, "%s-wal", backup->part);
    /* what an earlier attempt left when its daemon died */
    AW_IGNORE(aw_unlink(backup->part));
    AW_IGNORE(aw_unlink(backup->part_wal));
    result = copy_all(backup);
    if (result == 0)
        result = give_name(backup, path);
    if (result < 0) {
        struct aw_scope shield;
        aw_shield_enter(&shield, AW_NEVER);
        AW_IGNORE(aw_unlink(backup->part));
        AW_IGNORE(aw_unlink(backup->part_wal));
        aw_scope_leave(&shield);
        *reterr = backup->error;
    }
    broker->backup_runs = false;
    free(backup->piece);
    free(backup);
    return result;
}
