/* scope.h - deadlines, cancellation and shields, for a stretch of one task's code.
 *
 *     struct aw_scope scope;
 *     aw_scope_enter(&scope, aw_after_ms(500));
 *     result = aw_redis_command(...);            -ETIME once the 500 ms are over
 *     aw_scope_leave(&scope);
 *
 * Level-triggered: once a scope is cancelled or its deadline has passed, *every* suspension point
 * inside it returns -ECANCELED or -ETIME without suspending, until the scope is left. Cancellation
 * outranks a deadline. Data outranks both: an operation that had completed delivers its result.
 *
 * Scopes nest strictly, belong to the task that entered them and live on its stack; leave each one,
 * innermost first, before the function that declared it returns. aw_cancel cancels a task's
 * outermost scope. A shield keeps what comes from outside away from the code inside it (a ROLLBACK,
 * a last write); give it a deadline, since a shield without one can wait for ever. */
#ifndef AWAIT_SCOPE_H
#define AWAIT_SCOPE_H

#include <await/base.h>
#include <await/clock.h>

struct aw_task;

struct aw_scope { /* private */
    struct aw_scope *outer;
    struct aw_task *task;
    uint64_t deadline_ns;
    bool cancelled;
    bool shield;
};

/* Enters a scope with a deadline (AW_NEVER: none). */
AW_API void aw_scope_enter(struct aw_scope *scope, uint64_t deadline_ns);

/* Enters a shield: cancellation and deadlines of the scopes outside do not reach into it. */
AW_API void aw_shield_enter(struct aw_scope *scope, uint64_t deadline_ns);

/* Leaves the innermost scope, which must be `scope` (anything else aborts: the stack of scopes
 * would point into dead frames). */
AW_API void aw_scope_leave(struct aw_scope *scope);

/* Cancels the code inside the scope; for use from another task of the same loop. */
AW_API void aw_scope_cancel(struct aw_scope *scope);

/* Moves the deadline; takes effect at the next suspension point. Only for the task's own scopes. */
AW_API void aw_scope_set_deadline(struct aw_scope *scope, uint64_t deadline_ns);

/* Whether a suspension point here would be interrupted: 0, -ECANCELED or -ETIME. Never suspends. */
AW_API int aw_interrupted(void);

/* Whether it was this scope, not one outside it, that is cancelled or past its deadline: tells "my
 * timeout" from "somebody else's". */
AW_API bool aw_scope_expired(const struct aw_scope *scope);

#endif
