/* stack.c - see stack.h. Guards by MADV_GUARD_INSTALL (Linux 6.13: costs no mapping of its own),
 * those of a slab in one process_madvise where the kernel can (6.15), else by mprotect. That splits
 * the mapping; the kernel's limit on mappings (vm.max_map_count) then bounds how many stacks there
 * can be, and stack_take says -ENOMEM there. */
#include "core/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#ifndef PIDFD_SELF_PROCESS
#define PIDFD_SELF_PROCESS (-10001)
#endif

/* Slabs grow with the pool, so that few tasks take little and many take few calls. */
#define SLAB_STACKS 16u
#ifdef SANITIZE_THREAD
#define SLAB_STACKS_MAX SLAB_STACKS /* TSan has room for some thousands of stacks */
#else
#define SLAB_STACKS_MAX 64u
#endif
#define SLABS_SMALL 4u
/* A stack whose page this far below its top was touched gives its memory back when it is returned.
 */
#define DEEP_BYTES (32u * 1024)
#define DEEP_LOOKS 16u

struct stack_slab {
    struct stack_slab *next;
    char *memory;
    uint32_t count;
    struct stack stacks[];
};

void stack_pool_init(struct stack_pool *pool, size_t stack_size_bytes)
{
    memset(pool, 0, sizeof *pool);
    pool->page_size = (size_t)sysconf(_SC_PAGESIZE);
    size_t rounded = (stack_size_bytes + pool->page_size - 1) & ~(pool->page_size - 1);
    pool->stack_size = rounded + pool->page_size;
}

void stack_pool_destroy(struct stack_pool *pool)
{
    while (pool->slabs) {
        struct stack_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        for (unsigned i = 0; i < slab->count; i++)
            sanitize_stack_destroyed(&slab->stacks[i].sanitize);
        (void)munmap(slab->memory, pool->stack_size * slab->count);
        free(slab);
    }
    pool->warm = NULL;
    pool->cold = NULL;
    pool->warm_count = 0;
    pool->warm_least = 0;
}

static int install_guard(struct stack_pool *pool, void *page)
{
    if (!pool->guard_by_mprotect) {
        if (madvise(page, pool->page_size, MADV_GUARD_INSTALL) == 0)
            return 0;
        pool->guard_by_mprotect = true;
    }
    return mprotect(page, pool->page_size, PROT_NONE) == 0 ? 0 : -ENOMEM;
}

/* All guards in one call. A kernel or a filter of calls that does not know it is asked once. */
static bool install_guards_together(struct stack_pool *pool, const struct stack_slab *slab)
{
    struct iovec pages[SLAB_STACKS_MAX];
    if (pool->guard_one_by_one || pool->guard_by_mprotect || sanitize_on_valgrind())
        return false;
    for (uint32_t i = 0; i < slab->count; i++)
        pages[i] = (struct iovec){slab->memory + i * pool->stack_size, pool->page_size};
    ssize_t done = process_madvise(PIDFD_SELF_PROCESS, pages, slab->count, MADV_GUARD_INSTALL, 0);
    pool->guard_one_by_one = done != (ssize_t)(slab->count * pool->page_size);
    return !pool->guard_one_by_one;
}

static int install_guards(struct stack_pool *pool, const struct stack_slab *slab)
{
    int result = 0;
    if (!install_guards_together(pool, slab))
        for (uint32_t i = 0; i < slab->count && result == 0; i++)
            result = install_guard(pool, slab->memory + i * pool->stack_size);
    return result;
}

/* Memory of `count` stacks with their guards; NULL when the system gives no more. */
static struct stack_slab *map_slab(struct stack_pool *pool, uint32_t count)
{
    size_t size = pool->stack_size * count;
    struct stack_slab *slab = calloc(1, sizeof *slab + count * sizeof slab->stacks[0]);
    if (!slab)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) {
        free(slab);
        return NULL;
    }
    /* a huge page under a stack would make a 4 KiB task cost 2 MiB */
    (void)madvise(memory, size, MADV_NOHUGEPAGE);
    slab->memory = memory;
    slab->count = count;
    if (install_guards(pool, slab) < 0) {
        (void)munmap(memory, size);
        free(slab);
        return NULL;
    }
    return slab;
}

static int add_slab(struct stack_pool *pool)
{
    struct stack_slab *slab =
        map_slab(pool, pool->slab_count < SLABS_SMALL ? SLAB_STACKS : SLAB_STACKS_MAX);
    if (!slab)
        return -ENOMEM;
    for (uint32_t i = slab->count; i-- > 0;) {
        struct stack *stack = &slab->stacks[i];
        stack->bottom = slab->memory + i * pool->stack_size + pool->page_size;
        stack->size = pool->stack_size - pool->page_size;
        sanitize_stack_created(&stack->sanitize, stack->bottom, stack->size);
        stack->next = pool->cold;
        pool->cold = stack;
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->slab_count++;
    return 0;
}

int stack_take(struct stack_pool *pool, struct stack **ret_stack)
{
    if (!pool->warm && !pool->cold) {
        int result = add_slab(pool);
        if (result < 0)
            return result;
    }
    struct stack *stack = pool->warm;
    if (stack) {
        pool->warm = stack->next;
        pool->warm_count--;
        if (pool->warm_count < pool->warm_least)
            pool->warm_least = pool->warm_count;
    } else {
        stack = pool->cold;
        pool->cold = stack->next;
    }
    sanitize_stack_reused(&stack->sanitize);
    *ret_stack = stack;
    return 0;
}

typedef uint64_t wide __attribute__((vector_size(16)));
#define PROBE_WIDES 16u

/* Whether the 256 bytes that begin so far below the top hold anything but zeros, as fresh pages do.
 */
static bool was_written(const struct stack *stack, size_t below_top)
{
    const char *top = (const char *)stack->bottom + stack->size;
    const wide *probe = (const wide *)(const void *)(top - below_top);
    wide seen = {0};
    for (unsigned i = 0; i < PROBE_WIDES; i++)
        seen |= probe[i];
    return (seen[0] | seen[1]) != 0;
}

/* To look at a page that nobody used costs a page fault, as much as most tasks take in all. So the
 * end of the first page, which is there, answers for it; frames may leave gaps, therefore the page
 * far down is looked at every now and then all the same. */
static bool was_used_deeply(struct stack_pool *pool, const struct stack *stack)
{
    if (stack->size <= DEEP_BYTES)
        return false;
    bool look = ++pool->return_count % DEEP_LOOKS == 0 || was_written(stack, pool->page_size);
    return look && was_written(stack, DEEP_BYTES);
}

static struct stack *merge(struct stack *left, struct stack *right)
{
    struct stack *first = NULL;
    struct stack **last = &first;
    while (left && right) {
        struct stack **lower = (uintptr_t)left->bottom < (uintptr_t)right->bottom ? &left : &right;
        *last = *lower;
        last = &(*lower)->next;
        *lower = *last;
    }
    *last = left ? left : right;
    return first;
}

static struct stack *sort_by_address(struct stack *list, uint32_t count)
{
    if (count < 2)
        return list;
    struct stack *middle = list;
    for (uint32_t i = 1; i < count / 2; i++)
        middle = middle->next;
    struct stack *right = middle->next;
    middle->next = NULL;
    return merge(sort_by_address(list, count / 2), sort_by_address(right, count - count / 2));
}

/* Makes those cold that were returned longest ago. Neighbours in memory go in one call, the guards
 * between them included, which outlast it. */
static void trim(struct stack_pool *pool, uint32_t count)
{
    struct stack **cut = &pool->warm;
    for (uint32_t i = count; i < pool->warm_count; i++)
        cut = &(*cut)->next;
    struct stack *first = sort_by_address(*cut, count);
    *cut = NULL;
    pool->warm_count -= count;
    struct stack *stack = first;
    struct stack *last = NULL;
    while (stack) {
        char *begin = stack->bottom;
        do {
            last = stack;
            stack = stack->next;
        } while (stack && (char *)stack->bottom == (char *)last->bottom + pool->stack_size);
        (void)madvise(begin, (size_t)((char *)last->bottom + last->size - begin), MADV_DONTNEED);
    }
    if (last) {
        last->next = pool->cold;
        pool->cold = first;
    }
}

void stack_return(struct stack_pool *pool, struct stack *stack)
{
    sanitize_stack_reused(&stack->sanitize);
    if (was_used_deeply(pool, stack))
        (void)madvise(stack->bottom, stack->size - DEEP_BYTES / 2, MADV_DONTNEED);
    stack->next = pool->warm;
    pool->warm = stack;
    pool->warm_count++;
    if (pool->warm_count >= STACKS_WARM_MAX + STACKS_TRIM)
        trim(pool, STACKS_TRIM);
}

void stack_pool_age(struct stack_pool *pool)
{
    uint32_t unused = pool->warm_least;
    if (unused > 0 && pool->warm_count > STACKS_WARM) {
        uint32_t surplus = pool->warm_count - STACKS_WARM;
        trim(pool, unused < surplus ? unused : surplus);
    }
    pool->warm_least = pool->warm_count;
}
