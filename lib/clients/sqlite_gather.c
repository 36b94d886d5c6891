/* sqlite_gather.c - see sqlite_gather.h. */
#include "clients/sqlite_gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_BYTES_MAX ((size_t)1 << 20)

static uint64_t extent_end(const struct gather_extent *extent)
{
    return extent->offset + extent->size;
}

/* The index of the first extent that begins after `offset`. */
static unsigned upper_bound(const struct gather *gather, uint64_t offset)
{
    unsigned low = 0;
    unsigned high = gather->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (gather->extents[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static char *extent_memory(struct gather *gather, size_t size, size_t *ret_capacity)
{
    if (gather->spare && gather->spare_bytes >= size) {
        char *memory = gather->spare;
        *ret_capacity = gather->spare_bytes;
        gather->spare = NULL;
        gather->spare_bytes = 0;
        return memory;
    }
    *ret_capacity = size > gather->first_bytes ? size : gather->first_bytes;
    return malloc(*ret_capacity);
}

static int insert_extent(struct gather *gather, unsigned index, const char *data, size_t size,
                         uint64_t offset)
{
    if (gather->count == gather->capacity) {
        unsigned capacity = gather->capacity ? gather->capacity * 2 : 8;
        struct gather_extent *extents =
            realloc(gather->extents, (size_t)capacity * sizeof(*extents));
        if (!extents)
            return -ENOMEM;
        gather->extents = extents;
        gather->capacity = capacity;
    }

    struct gather_extent extent = { .offset = offset, .size = size };
    extent.data = extent_memory(gather, size, &extent.capacity);
    if (!extent.data)
        return -ENOMEM;
    memcpy(extent.data, data, size);

    memmove(gather->extents + index + 1, gather->extents + index,
            (gather->count - index) * sizeof(*gather->extents));
    gather->extents[index] = extent;
    gather->count++;
    gather->size_bytes += size;
    return 0;
}

static int append_to_extent(struct gather *gather, struct gather_extent *extent, const char *data,
                            size_t size)
{
    if (extent->capacity - extent->size < size) {
        size_t capacity = extent->capacity * 2;
        if (capacity < extent->size + size)
            capacity = extent->size + size;
        char *memory = realloc(extent->data, capacity);
        if (!memory)
            return -ENOMEM;
        extent->data = memory;
        extent->capacity = capacity;
    }
    memcpy(extent->data + extent->size, data, size);
    extent->size += size;
    gather->size_bytes += size;
    return 0;
}

int gather_write(struct gather *gather, const void *data, size_t size, uint64_t offset)
{
    const char *from = data;
    while (size > 0) {
        unsigned next = upper_bound(gather, offset);
        struct gather_extent *before = next > 0 ? &gather->extents[next - 1] : NULL;

        size_t step = size;
        if (before && extent_end(before) > offset) {
            size_t inside = (size_t)(offset - before->offset);
            if (step > before->size - inside)
                step = before->size - inside;
            memcpy(before->data + inside, from, step);
        } else {
            if (next < gather->count && gather->extents[next].offset - offset < step)
                step = (size_t)(gather->extents[next].offset - offset);
            int result = before && extent_end(before) == offset
                             ? append_to_extent(gather, before, from, step)
                             : insert_extent(gather, next, from, step, offset);
            if (result < 0)
                return result;
        }
        from += step;
        offset += step;
        size -= step;
    }
    return 0;
}

void gather_overlay(const struct gather *gather, void *buffer, size_t size, uint64_t offset)
{
    unsigned index = upper_bound(gather, offset);
    if (index > 0)
        index--;
    uint64_t end = offset + size;
    for (; index < gather->count && gather->extents[index].offset < end; index++) {
        const struct gather_extent *extent = &gather->extents[index];
        uint64_t from = extent->offset > offset ? extent->offset : offset;
        uint64_t until = extent_end(extent) < end ? extent_end(extent) : end;
        if (from < until)
            memcpy((char *)buffer + (from - offset), extent->data + (from - extent->offset),
                   (size_t)(until - from));
    }
}

bool gather_covers(const struct gather *gather, size_t size, uint64_t offset)
{
    uint64_t end = offset + size;
    while (offset < end) {
        unsigned next = upper_bound(gather, offset);
        if (next == 0 || extent_end(&gather->extents[next - 1]) <= offset)
            return false;
        offset = extent_end(&gather->extents[next - 1]);
    }
    return true;
}

uint64_t gather_end(const struct gather *gather)
{
    return gather->count > 0 ? extent_end(&gather->extents[gather->count - 1]) : 0;
}

void gather_truncate(struct gather *gather, uint64_t size)
{
    while (gather->count > 0) {
        struct gather_extent *last = &gather->extents[gather->count - 1];
        if (extent_end(last) <= size)
            return;
        if (last->offset < size) {
            gather->size_bytes -= (size_t)(extent_end(last) - size);
            last->size = (size_t)(size - last->offset);
            return;
        }
        gather->size_bytes -= last->size;
        free(last->data);
        gather->count--;
    }
}

void gather_clear(struct gather *gather)
{
    for (unsigned i = 0; i < gather->count; i++) {
        struct gather_extent *extent = &gather->extents[i];
        if (!gather->spare && gather->first_bytes > 0 && extent->capacity <= SPARE_BYTES_MAX) {
            gather->spare = extent->data;
            gather->spare_bytes = extent->capacity;
        } else {
            free(extent->data);
        }
    }
    gather->count = 0;
    gather->size_bytes = 0;
}

void gather_free(struct gather *gather)
{
    gather_clear(gather);
    free(gather->extents);
    free(gather->spare);
    *gather = (struct gather){ 0 };
}
