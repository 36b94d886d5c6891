/* offload.h - the pool's insides that are not public; see await/offload.h.
 *
 * One pool a loop, made at the first call and torn down by the loop's end: offload.c registers that with
 * the runtime by itself. */
#ifndef IO_OFFLOAD_H
#define IO_OFFLOAD_H

#include <await/offload.h>

/* Threads that the pool of this loop has started, 0 without a pool. For tests and statistics. */
uint32_t offload_thread_count(void);

#endif
