/* sqlite_gather.h - writes of one file that wait in memory until xSync.
 *
 * An awaited write costs a turn of the loop, and SQLite writes a WAL frame in two small pieces:
 * gathered, a whole transaction becomes one write. The gathered bytes form extents: sorted by
 * offset, never overlapping. Whoever reads the file lays them over what the file holds
 * (gather_overlay).
 *
 * Pure memory, no I/O. All-zero is an empty gather. */
#ifndef CLIENTS_SQLITE_GATHER_H
#define CLIENTS_SQLITE_GATHER_H

#include <await/base.h>

struct gather_extent {
    uint64_t offset;
    size_t size;
    size_t capacity;
    char *data;
};

struct gather {
    struct gather_extent *extents;
    unsigned count;
    unsigned capacity;
    size_t size_bytes;   /* of all extents together */
    size_t first_bytes;  /* memory a new extent begins with; 0: just what it needs */
    char *spare;         /* memory kept from the last clear for the next extent */
    size_t spare_bytes;
};

/* Adds or overwrites bytes. 0 or -ENOMEM: then a prefix of the data may be in, which is harmless as
 * long as the caller reports the failure, since SQLite writes those bytes again. */
AW_MUST_CHECK int gather_write(struct gather *gather, const void *data, size_t size,
                               uint64_t offset);

/* Copies what is gathered inside [offset, offset + size) over the buffer. */
void gather_overlay(const struct gather *gather, void *buffer, size_t size, uint64_t offset);

/* Whether the whole stretch is gathered, so that the file need not be read. */
bool gather_covers(const struct gather *gather, size_t size, uint64_t offset);

/* Where the last gathered byte ends; 0 when empty. */
uint64_t gather_end(const struct gather *gather);

/* Forgets what lies at or beyond `size`. */
void gather_truncate(struct gather *gather, uint64_t size);

/* Forgets everything; keeps one piece of memory for the next extent. */
void gather_clear(struct gather *gather);
void gather_free(struct gather *gather);

#endif
