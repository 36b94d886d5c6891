/* system_file.h - calls on files and directories that wait and have no ring operation: only threads
 * of the offload pool make them. Results as in system.h. */
#ifndef RING_SYSTEM_FILE_H
#define RING_SYSTEM_FILE_H

#include <await/base.h>
#include <sys/types.h>

/* Calls entry(argument, name, type) for each name but . and .., in the order of the file system;
 * type is DT_* of readdir(3), DT_UNKNOWN where it does not tell. Ends at the first result below 0,
 * which it returns. */
typedef int (*system_entry)(void *argument, const char *name, unsigned char type);
AW_MUST_CHECK int system_list_directory(const char *path, system_entry entry, void *argument);

/* copy_file_range(2) from the same offset to the same offset: the kernel (or the file system, by
 * sharing blocks) moves the bytes. May be short; 0 at the end. Size at most 1 GiB. */
AW_MUST_CHECK int system_copy_range(int from, int to, uint64_t offset, size_t size);

#endif
