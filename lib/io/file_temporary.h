/* file_temporary.h - new files and directories under names nobody else has. */
#ifndef IO_FILE_TEMPORARY_H
#define IO_FILE_TEMPORARY_H

#include <await/base.h>
#include <sys/types.h>

/* Opens a new file at `prefix`, 16 random digits and ".tmp", whose path goes to ret_path. Returns
 * the descriptor. -ENAMETOOLONG, and what openat(2) says. */
AW_MUST_CHECK AW_SUSPENDS int temporary_open(const char *prefix, mode_t mode, char *ret_path,
                                             size_t size);

#endif
