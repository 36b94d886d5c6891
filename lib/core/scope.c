/* scope.c - deadlines, cancellation and shields; see await/scope.h. */
#include "core/scheduler.h"

#include <await/scope.h>

static void enter(struct aw_scope *scope, uint64_t deadline_ns, bool shield)
{
    struct aw_task *task = aw_current();
    core_assert(task); /* a scope outside aw_run */
    *scope = (struct aw_scope){
        .outer = task->scope, .task = task, .deadline_ns = deadline_ns, .shield = shield};
    task->scope = scope;
}

void aw_scope_enter(struct aw_scope *scope, uint64_t deadline_ns)
{
    enter(scope, deadline_ns, false);
}

void aw_shield_enter(struct aw_scope *scope, uint64_t deadline_ns)
{
    enter(scope, deadline_ns, true);
}

void aw_scope_leave(struct aw_scope *scope)
{
    core_assert(scope->task == aw_current() && scope->task->scope == scope);
    scope->task->scope = scope->outer;
}

void aw_scope_cancel(struct aw_scope *scope)
{
    scope->cancelled = true;
    task_interrupt(scope->task);
}

void aw_scope_set_deadline(struct aw_scope *scope, uint64_t deadline_ns)
{
    scope->deadline_ns = deadline_ns;
}

int aw_interrupted(void)
{
    struct aw_task *task = aw_current();
    return task ? task_interruption(task) : 0;
}

bool aw_scope_expired(const struct aw_scope *scope)
{
    if (scope->cancelled)
        return true;
    return scope->deadline_ns != AW_NEVER && scheduler_here()->now_ns() >= scope->deadline_ns;
}
