/* spares.c - see spares.h. */
#include "queue/spares.h"

#include <stdlib.h>

/* AddressSanitizer must see every use after the end. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEES_USE_AFTER_END 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(SEES_USE_AFTER_END)
#define KEEPS_NONE true
#else
#define KEEPS_NONE false
#endif

struct spare {
    struct spare *next;
};

void *spares_take(struct spares *spares, size_t size)
{
    struct spare *spare = spares->first;
    if (!spare)
        return malloc(size);
    spares->first = spare->next;
    spares->count--;
    return spare;
}

void spares_give(struct spares *spares, void *memory, uint32_t count_max)
{
    struct spare *spare = memory;
    if (!spare || KEEPS_NONE || spares->count >= count_max) {
        free(spare);
        return;
    }
    spare->next = spares->first;
    spares->first = spare;
    spares->count++;
}

void spares_free(struct spares *spares)
{
    while (spares->first) {
        struct spare *spare = spares->first;
        spares->first = spare->next;
        free(spare);
    }
    spares->count = 0;
}
