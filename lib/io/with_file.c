/* with_file.c - files as context managers and cleanup of descriptors; see await/with.h. */
#include "core/with.h"

#include <await/file.h>

static int file_enter(void *own)
{
    struct aw_with *with = with_of_own(own);
    int fd = aw_open(with->own.file.path, with->own.file.flags, with->own.file.mode);
    if (fd >= 0)
        *with->own.file.ret_fd = fd;
    return fd;
}

static int file_exit(void *own, int outcome)
{
    int *fd = with_of_own(own)->own.file.ret_fd;
    (void)outcome;
    int result = aw_close(*fd);
    *fd = -1;
    return result;
}

struct aw_with aw_with_file(int *ret_fd, const char *path, int flags, mode_t mode)
{
    static const struct aw_manager manager = {.enter = file_enter, .exit = file_exit};
    struct aw_with with = with_own(&manager);
    with.own.file.ret_fd = ret_fd;
    with.own.file.path = path;
    with.own.file.flags = flags;
    with.own.file.mode = mode;
    return with;
}

void aw_cleanup_close(int *fd)
{
    if (*fd < 0)
        return;
    task_keep_error(aw_close(*fd));
    *fd = -1;
}
