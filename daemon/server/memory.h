/* memory.h - how much memory the process has, as the kernel sees it. */
#ifndef SERVER_MEMORY_H
#define SERVER_MEMORY_H

#include <await/base.h>

/* Resident bytes, or 0 when /proc cannot tell. */
AW_SUSPENDS uint64_t memory_resident_bytes(void);

#endif
