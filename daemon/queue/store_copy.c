/* store_copy.c - see store_copy.h. The application id is in bytes 68 to 71 of the first page, most
 * significant first (sqlite.org/fileformat2.html 1.3); without a WAL they are what SQLite reads. */
#include "queue/store_copy.h"

#include "queue/store_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#define APPLICATION_ID_OFFSET 68u
#define COPY_APPLICATION_ID 0x6177636fu /* "awco" */

static int failed(int result, const char *what, const char *path, struct aw_error *reterr)
{
    return aw_error_set(reterr, result, "queue: cannot %s %s: %s", what, path,
                        aw_error_text(result));
}

static int write_id(const char *path, uint32_t id, struct aw_error *reterr)
{
    unsigned char bytes[4] = {(unsigned char)(id >> 24), (unsigned char)(id >> 16),
                              (unsigned char)(id >> 8), (unsigned char)id};
    int file = aw_open(path, O_WRONLY | O_CLOEXEC, 0);
    if (file < 0)
        return failed(file, "open", path, reterr);
    int result = aw_write_all(file, bytes, sizeof bytes, APPLICATION_ID_OFFSET);
    if (result >= 0)
        result = aw_sync(file, false);
    int closed = aw_close(file);
    if (result >= 0)
        result = closed;
    return result < 0 ? failed(result, "write to", path, reterr) : 0;
}

/* 1 when the file at `path` carries the mark. */
static int is_copy(const char *path, struct aw_error *reterr)
{
    unsigned char bytes[4];
    int file = aw_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (file == -ENOENT)
        return 0;
    if (file < 0)
        return failed(file, "open", path, reterr);
    int got = aw_read(file, bytes, sizeof bytes, APPLICATION_ID_OFFSET);
    (void)aw_close(file);
    if (got < 0)
        return failed(got, "read", path, reterr);
    uint32_t id = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
                  bytes[3];
    return got == sizeof bytes && id == COPY_APPLICATION_ID;
}

int store_copy_mark(const char *path, struct aw_error *reterr)
{
    return write_id(path, COPY_APPLICATION_ID, reterr);
}

int store_copy_accept(const char *path, struct aw_error *reterr)
{
    char wal[4104];
    struct stat status;
    int result = is_copy(path, reterr);
    if (result <= 0)
        return result;
    (void)snprintf(wal, sizeof wal, "%s-wal", path);
    result = aw_stat(wal, &status);
    if (result < 0 && result != -ENOENT)
        return failed(result, "look at", wal, reterr);
    if (result == 0 && status.st_size > 0)
        return aw_error_set(reterr, -EINVAL,
                            "queue: %s is a backup put in the place of another queue, whose "
                            "queue.db-wal still lies beside it and would damage it: move that "
                            "away, then start again",
                            path);
    return write_id(path, STORE_APPLICATION_ID, reterr);
}
