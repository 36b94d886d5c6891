/* spares.h - memory of one size that is taken and given back all the time, many at once: by the
 * commit. malloc's own caches hold 7 of a size, and the rest costs it merging and splitting. */
#ifndef QUEUE_SPARES_H
#define QUEUE_SPARES_H

#include <await.h>

struct spares {
    struct spare *first;
    uint32_t count;
};

/* As malloc does; `size` is the same at every call. */
void *spares_take(struct spares *spares, size_t size);
/* As free does, unless fewer than `count_max` are kept. */
void spares_give(struct spares *spares, void *memory, uint32_t count_max);
/* Frees those that nobody has. */
void spares_free(struct spares *spares);

#endif
