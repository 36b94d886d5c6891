/* with.h - what the managers of other layers share with lib/core/with.c. */
#ifndef CORE_WITH_H
#define CORE_WITH_H

#include <await/with.h>

/* A block whose manager works on with->own: enter and exit get its address as their object. */
struct aw_with with_own(const struct aw_manager *manager);

/* The block such an object belongs to. */
static inline struct aw_with *with_of_own(void *own)
{
    return (struct aw_with *)((char *)own - offsetof(struct aw_with, own));
}

/* An error that nobody is left to hear: it becomes the running task's result if its function
 * succeeds. The first one counts. */
void task_keep_error(int error);

#endif
