/* sqlite_direct.h - durable writes of a WAL that go past the page cache.
 *
 * A buffered durable write blocks, so the ring gives it to a worker thread: two more switches and
 * twice the processor time a commit. A direct one (O_DIRECT) is handed to the device and completes
 * by itself. It takes whole blocks and a WAL does not, so the WAL's bytes stay in memory too, the
 * `mirror`: the block in which the last write ended is written again with what follows, byte for
 * byte the same. Readers, a checkpoint above all, are served from the mirror, since the page cache
 * does not hold what was written past it. After a checkpoint the kernel may take the memory back.
 *
 * Behind the last byte the block is filled up with zeros. That is right because nothing that lies
 * behind a synced write of a WAL is alive: SQLite appends commits, and begins a WAL anew only when
 * all its frames are in the database and synced there.
 *
 * Only while nobody else can use the file, and while all of it that was written before is synced:
 * a direct write does not sync what others left in the page cache. Whoever writes to the file in
 * another way calls sqlite_direct_keep or sqlite_direct_forget. */
#ifndef CLIENTS_SQLITE_DIRECT_H
#define CLIENTS_SQLITE_DIRECT_H

#include <await/base.h>

struct sqlite_file;
struct gather_extent;

#define DIRECT_BLOCK ((size_t)4096)
/* What lies beyond in a larger WAL is written through the page cache. */
#define DIRECT_MIRROR_BYTES ((size_t)24 << 20)

struct sqlite_direct {
    int fd;              /* of its own, opened for the first write; 0: none yet */
    bool unsupported;    /* by the file system or the device */
    uint64_t filled_end; /* below it a write does not change the file's size */
    char *mirror;        /* what the file holds in [known_from, known_end), at the same offsets */
    uint64_t known_from; /* at the start of a block */
    uint64_t known_end;
};

/* Takes the extent into the mirror, because it is about to be written. */
AW_SUSPENDS void sqlite_direct_keep(struct sqlite_file *file, const struct gather_extent *extent);

/* Writes the extent, which was kept, durably. 0; -EOPNOTSUPP when it must be written in another way
 * (anything of it may be in the file by then); or what makes the outcome unknown. */
AW_MUST_CHECK AW_SUSPENDS int sqlite_direct_write(struct sqlite_file *file,
                                                  const struct gather_extent *extent);

/* Whether the mirror could serve it. */
AW_MUST_CHECK bool sqlite_direct_read(const struct sqlite_file *file, void *buffer, size_t size,
                                      uint64_t offset);

/* The mirror is not what the file holds, or no longer needed. */
void sqlite_direct_forget(struct sqlite_file *file);

AW_SUSPENDS void sqlite_direct_close(struct sqlite_file *file);

#endif
