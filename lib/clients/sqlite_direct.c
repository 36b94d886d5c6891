/* sqlite_direct.c - see sqlite_direct.h. */
#include "clients/sqlite_direct.h"

#include "clients/sqlite_file.h"
#include "clients/sqlite_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t block_start(uint64_t offset)
{
    return offset - offset % DIRECT_BLOCK;
}

static uint64_t block_end(uint64_t offset)
{
    return block_start(offset + DIRECT_BLOCK - 1);
}

static void give_up(struct sqlite_direct *direct)
{
    direct->unsupported = true;
    direct->known_end = direct->known_from = 0;
    free(direct->mirror);
    direct->mirror = NULL;
}

/* A second descriptor, since O_DIRECT of the first would hold for every reader of it. */
static bool open_direct(struct sqlite_file *file)
{
    struct sqlite_direct *direct = &file->direct;
    if (direct->fd > 0 || direct->unsupported)
        return !direct->unsupported;
    int fd = file->path ? sqlite_io_open(file->path, O_RDWR | O_DIRECT, 0) : -EOPNOTSUPP;
    struct sqlite_io_stat ours;
    struct sqlite_io_stat opened;
    if (fd > STDERR_FILENO && sqlite_io_stat(file->fd, &ours) == 0 &&
        sqlite_io_stat(fd, &opened) == 0 && ours.inode == opened.inode &&
        ours.device == opened.device) {
        direct->fd = fd;
        return true;
    }
    if (fd >= 0)
        sqlite_io_close(fd);
    give_up(direct);
    return false;
}

/* Begins the mirror at the extent's block, if what lies before it in the block can be read. */
static bool begin_mirror(struct sqlite_file *file, uint64_t offset)
{
    struct sqlite_direct *direct = &file->direct;
    uint64_t start = block_start(offset);
    size_t head = (size_t)(offset - start);
    direct->known_from = direct->known_end = start;
    return head == 0 ||
           sqlite_io_read(file->fd, direct->mirror + start, head, start) == (long)head;
}

void sqlite_direct_keep(struct sqlite_file *file, const struct gather_extent *extent)
{
    struct sqlite_direct *direct = &file->direct;
    uint64_t end = extent->offset + extent->size;
    if (file->kind != FILE_WAL || direct->unsupported)
        return;
    if (!direct->mirror && open_direct(file))
        direct->mirror = aligned_alloc(DIRECT_BLOCK, DIRECT_MIRROR_BYTES);
    bool continues = extent->offset >= direct->known_from && extent->offset <= direct->known_end;
    if (!direct->mirror || end > DIRECT_MIRROR_BYTES ||
        (!continues && !begin_mirror(file, extent->offset))) {
        direct->known_end = direct->known_from = 0;
        return;
    }
    memcpy(direct->mirror + extent->offset, extent->data, extent->size);
    memset(direct->mirror + end, 0, (size_t)(block_end(end) - end));
    direct->known_end = end;
}

int sqlite_direct_write(struct sqlite_file *file, const struct gather_extent *extent)
{
    struct sqlite_direct *direct = &file->direct;
    uint64_t start = block_start(extent->offset);
    uint64_t end = block_end(extent->offset + extent->size);
    if (direct->known_end != extent->offset + extent->size || end > direct->filled_end)
        return -EOPNOTSUPP;
    int result = sqlite_io_write(direct->fd, direct->mirror + start, (size_t)(end - start), start,
                                 true);
    if (result != -EINVAL)
        return result;
    give_up(direct); /* larger blocks; or the rest of a short write is not aligned */
    return -EOPNOTSUPP;
}

bool sqlite_direct_read(const struct sqlite_file *file, void *buffer, size_t size, uint64_t offset)
{
    const struct sqlite_direct *direct = &file->direct;
    if (offset < direct->known_from || offset + size > direct->known_end)
        return false;
    memcpy(buffer, direct->mirror + offset, size);
    return true;
}

void sqlite_direct_forget(struct sqlite_file *file)
{
    struct sqlite_direct *direct = &file->direct;
    direct->known_end = direct->known_from = 0;
    if (direct->mirror) /* only a hint: without it the memory stays */
        (void)!madvise(direct->mirror, DIRECT_MIRROR_BYTES, MADV_FREE);
}

void sqlite_direct_close(struct sqlite_file *file)
{
    struct sqlite_direct *direct = &file->direct;
    if (direct->fd > 0)
        sqlite_io_close(direct->fd);
    free(direct->mirror);
    *direct = (struct sqlite_direct){0};
}
