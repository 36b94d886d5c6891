/* directory.h - what a directory holds, listed off the loop. */
#ifndef AWAIT_DIRECTORY_H
#define AWAIT_DIRECTORY_H

#include <await/base.h>

struct aw_directory_entry {
    char *name;
    unsigned char type; /* DT_REG, DT_DIR, DT_LNK ... of <dirent.h>; DT_UNKNOWN: aw_stat tells */
};

struct aw_directory {
    struct aw_directory_entry *entries; /* sorted by the bytes of their names */
    size_t count;
};

/* Lists the directory without "." and "..". -EOVERFLOW: it has more than entries_max (0: 65,536)
 * entries; -ENOENT, -ENOTDIR, -EACCES, -ENOMEM and what else open(2) says. An interrupted call
 * returns once the thread has finished with it. 0: the list is the caller's, for aw_directory_free.
 */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_directory_list(const char *path, size_t entries_max,
                                                       struct aw_directory *ret_directory);

/* Frees the list. Never suspends. */
AW_API void aw_directory_free(struct aw_directory *directory);

#endif
