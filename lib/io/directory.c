/* directory.c - see await/directory.h. The thread of the pool has the listing to itself until it is
 * done; the loop's thread only waits for it meanwhile. */
#include <await/directory.h>

#include "ring/system_file.h"

#include <await/offload.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX_DEFAULT 65536u
#define ENTRIES_START 64u

struct listing {
    const char *path;
    size_t entries_max;
    size_t capacity;
    struct aw_directory directory;
};

static int grow(struct listing *listing)
{
    size_t capacity = listing->capacity ? listing->capacity * 2 : ENTRIES_START;
    struct aw_directory_entry *grown =
        reallocarray(listing->directory.entries, capacity, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    listing->directory.entries = grown;
    listing->capacity = capacity;
    return 0;
}

static int add(void *argument, const char *name, unsigned char type)
{
    struct listing *listing = argument;
    struct aw_directory *directory = &listing->directory;
    if (directory->count == listing->entries_max)
        return -EOVERFLOW;
    if (directory->count == listing->capacity && grow(listing) < 0)
        return -ENOMEM;
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    struct aw_directory_entry *entry = &directory->entries[directory->count++];
    entry->name = copy;
    entry->type = type;
    return 0;
}

static int compare(const void *left, const void *right)
{
    const struct aw_directory_entry *first = left;
    const struct aw_directory_entry *second = right;
    return strcmp(first->name, second->name);
}

static int list_on_thread(void *argument)
{
    struct listing *listing = argument;
    int result = system_list_directory(listing->path, add, listing);
    if (result == 0 && listing->directory.count > 1)
        qsort(listing->directory.entries, listing->directory.count,
              sizeof listing->directory.entries[0], compare);
    return result;
}

int aw_directory_list(const char *path, size_t entries_max, struct aw_directory *ret_directory)
{
    struct listing listing = {
        .path = path,
        .entries_max = entries_max > 0 ? entries_max : ENTRIES_MAX_DEFAULT,
    };
    int result = aw_to_thread(list_on_thread, &listing);
    if (result < 0) {
        aw_directory_free(&listing.directory);
        return result;
    }
    *ret_directory = listing.directory;
    return 0;
}

void aw_directory_free(struct aw_directory *directory)
{
    for (size_t i = 0; i < directory->count; i++)
        free(directory->entries[i].name);
    free(directory->entries);
    *directory = (struct aw_directory){0};
}
