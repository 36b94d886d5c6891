/* memory.c - see memory.h. */
#include "server/memory.h"

#include <await.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STATM_SIZE_MAX 4096

uint64_t memory_resident_bytes(void)
{
    char *data;
    size_t size;
    if (aw_read_file("/proc/self/statm", STATM_SIZE_MAX, &data, &size) < 0)
        return 0;
    unsigned long long total_pages = 0;
    unsigned long long resident_pages = 0;
    if (sscanf(data, "%llu %llu", &total_pages, &resident_pages) != 2)
        resident_pages = 0;
    free(data);
    return resident_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
