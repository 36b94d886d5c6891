/* condition.c - see await/condition.h. */
#include "core/park.h"

#include <await/condition.h>

#include <errno.h>

void aw_condition_init(struct aw_condition *condition)
{
    *condition = (struct aw_condition){0};
}

/* A caller that came back without the lock could not undo what it was doing. */
static void take_back(struct aw_lock *lock)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    AW_IGNORE(aw_lock_acquire(lock)); /* under the shield, by a task that does not hold it: 0 */
    aw_scope_leave(&shield);
}

int aw_condition_wait_until(struct aw_condition *condition, struct aw_lock *lock,
                            uint64_t deadline_ns)
{
    if (!aw_current() || lock->owner != aw_current())
        return -EPERM;
    int interruption = aw_interrupted();
    if (interruption < 0)
        return interruption;
    aw_lock_release(lock);
    int result = wait_list_park_until(&condition->waiters, "condition", deadline_ns);
    take_back(lock);
    return result;
}

int aw_condition_wait(struct aw_condition *condition, struct aw_lock *lock)
{
    return aw_condition_wait_until(condition, lock, AW_NEVER);
}

int aw_condition_wait_for(struct aw_condition *condition, struct aw_lock *lock,
                          bool (*predicate)(void *argument), void *argument)
{
    if (!aw_current() || lock->owner != aw_current())
        return -EPERM;
    int result = 0;
    while (result == 0 && !predicate(argument))
        result = aw_condition_wait(condition, lock);
    return result;
}

uint32_t aw_condition_notify(struct aw_condition *condition, uint32_t count)
{
    uint32_t woken = 0;
    while (woken < count && wait_list_grant_one(&condition->waiters))
        woken++;
    return woken;
}

uint32_t aw_condition_notify_all(struct aw_condition *condition)
{
    return aw_condition_notify(condition, UINT32_MAX);
}
