/* stack.h - the pool of coroutine stacks.
 *
 * A stack is a stretch of virtual memory with a guard page at its bottom; only pages that were
 * touched cost memory. Stacks come from slabs (one mmap for many), are kept for reuse, last in
 * first out, and go back to the system when the pool is destroyed.
 *
 * A free stack is WARM (keeps its memory) or COLD. Giving memory back costs a system call, a flush
 * of the processors' address caches and, at the next use, page faults: more than many a task's
 * work. So it is done for many at once, and only for those that are not needed: the ones that
 * nobody took from one stack_pool_age to the next, down to STACKS_WARM, and whatever is above
 * STACKS_WARM_MAX. One that was used deeply gives its memory back at once.
 *
 * A stack must not be returned by the code that stands on it. */
#ifndef CORE_STACK_H
#define CORE_STACK_H

#include "core/sanitize.h"

#include <await/base.h>

#define STACKS_WARM 128u
#define STACKS_WARM_MAX 2048u
#define STACKS_TRIM 512u /* above STACKS_WARM_MAX so many are made cold together */

struct stack {
    struct stack *next;
    void *bottom; /* lowest usable byte, above the guard */
    size_t size;
    struct sanitize_stack sanitize;
};

struct stack_slab;

struct stack_pool {
    struct stack *warm;
    struct stack *cold;
    struct stack_slab *slabs;
    size_t stack_size; /* with the guard */
    size_t page_size;
    uint32_t warm_count;
    uint32_t warm_least; /* of warm_count since the last stack_pool_age */
    uint32_t return_count;
    uint32_t slab_count;
    bool guard_one_by_one;
    bool guard_by_mprotect;
};

/* `stack_size_bytes` without the guard; rounded up to pages. */
void stack_pool_init(struct stack_pool *pool, size_t stack_size_bytes);

/* All stacks must have been returned. */
void stack_pool_destroy(struct stack_pool *pool);

/* -ENOMEM when the system gives no more. */
AW_MUST_CHECK int stack_take(struct stack_pool *pool, struct stack **ret_stack);
void stack_return(struct stack_pool *pool, struct stack *stack);

/* To be called now and then: makes the free stacks cold that were not used since the last call. */
void stack_pool_age(struct stack_pool *pool);

/* Whether stack_pool_age may still have something to do, although nothing else happens. */
static inline bool stack_pool_has_surplus(const struct stack_pool *pool)
{
    return pool->warm_count > STACKS_WARM;
}

#endif
