/* sqlite_memory.c - see sqlite_memory.h. */
#include "clients/sqlite_memory.h"

#include "core/scheduler.h"

#include <await/task.h>
#include <sqlite3.h>

/* What must be left for the functions between two allocations, the way back up, and the VFS. */
#define STACK_MARGIN_BYTES ((size_t)64 << 10)

static sqlite3_mem_methods plain;
static bool was_short;

static bool stack_is_short(void)
{
    const struct aw_task *task = aw_current();
    if (!task || !task->stack)
        return false;
    size_t margin = task->stack->size / 4;
    if (margin > STACK_MARGIN_BYTES)
        margin = STACK_MARGIN_BYTES;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t bottom = (uintptr_t)task->stack->bottom;
    if (here < bottom || here - bottom > margin)
        return false; /* below it: not on this stack at all */
    was_short = true;
    return true;
}

static void *allocate(int size)
{
    return stack_is_short() ? NULL : plain.xMalloc(size);
}

static void *reallocate(void *memory, int size)
{
    return stack_is_short() ? NULL : plain.xRealloc(memory, size);
}

int sqlite_memory_install(void)
{
    int result = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain);
    if (result != SQLITE_OK)
        return result;
    sqlite3_mem_methods guarded = plain;
    guarded.xMalloc = allocate;
    guarded.xRealloc = reallocate;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &guarded);
}

bool sqlite_memory_stack_was_short(void)
{
    bool answer = was_short;
    was_short = false;
    return answer;
}
