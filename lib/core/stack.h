/* stack.h - the pool of coroutine stacks.
 *
 * A stack is a stretch of virtual memory with a guard page at its bottom; only pages that were
 * touched cost memory. Stacks come from slabs (one mmap for many), are kept for reuse, last in
 * first out, and go back to the system when the pool is destroyed. Up to STACKS_WARM free ones keep
 * their memory; the others give theirs back at once, and so does one that was used deeply.
 *
 * A stack must not be returned by the code that stands on it. */
#ifndef CORE_STACK_H
#define CORE_STACK_H

#include "core/sanitize.h"

#include <await/base.h>

#define STACKS_WARM 128u

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
    bool guard_by_mprotect;
};

/* `stack_size_bytes` without the guard; rounded up to pages. */
void stack_pool_init(struct stack_pool *pool, size_t stack_size_bytes);

/* All stacks must have been returned. */
void stack_pool_destroy(struct stack_pool *pool);

/* -ENOMEM when the system gives no more. */
AW_MUST_CHECK int stack_take(struct stack_pool *pool, struct stack **ret_stack);
void stack_return(struct stack_pool *pool, struct stack *stack);

#endif
