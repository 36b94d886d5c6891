/* process.h - what a test asks about its own process, and a folder of its own. */
#ifndef SUPPORT_PROCESS_H
#define SUPPORT_PROCESS_H

#include <stddef.h>

/* How many descriptors are open (the one this count itself needs is left out). */
int open_descriptors(void);

/* How many threads the process has, the kernel's io_uring workers left out. */
int running_threads(void);

/* Makes a folder below /tmp and writes its path. Removed by folder_remove with the files in it. */
void folder_make(char *path, size_t size);
void folder_remove(const char *path);

#endif
