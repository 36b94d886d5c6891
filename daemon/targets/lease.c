/* lease.c - see lease.h. The lease's task first, then what its owner calls. */
#include "targets/lease.h"

#include <errno.h>
#include <stdlib.h>

/* --- the lease's task ------------------------------------------------------------------ */

static unsigned long long timeout_of(const struct lease *lease)
{
    return (unsigned long long)lease->timeout_ms;
}

/* The number, the word and the rest of what every later command on the lease is answered. */
static void say_why(struct lease *lease, int number, const struct aw_error *error)
{
    const char *name = lease->target->settings.name;
    if (number == -ETIME)
        aw_error_set_code(&lease->why, number, "TIMEOUT", "lease on %s ended after %llu ms", name,
                          timeout_of(lease));
    else if (number == -ECANCELED)
        aw_error_set_code(&lease->why, number, "UNAVAILABLE",
                          "lease on %s ended: the client or awaitd is going", name);
    else
        aw_error_set_code(&lease->why, number, "UNAVAILABLE", "lease on %s ended: %s", name,
                          error->message);
}

static void say_not_granted(struct lease *lease, int number, const struct aw_error *error)
{
    const struct target *target = lease->target;
    if (number == -ETIME)
        aw_error_set_code(&lease->why, number, "TIMEOUT",
                          "no connection of %s became free for a lease within %llu ms (it has %u "
                          "for leases)",
                          target->settings.name, timeout_of(lease), target->settings.leases);
    else
        aw_error_set_code(&lease->why, number, "UNAVAILABLE", "target %s: %s",
                          target->settings.name,
                          number == -ECANCELED ? "awaitd is stopping" : error->message);
}

static int enter(struct lease *lease)
{
    struct target *target = lease->target;
    struct aw_error error = {0};
    struct aw_scope scope;
    aw_scope_enter(&scope, aw_after_ms(lease->timeout_ms));
    int result = aw_semaphore_acquire(&target->leases);
    if (result == 0) {
        if (!target->up)
            result = aw_error_set(&error, -ENOTCONN, "%s", target->down_reason);
        else
            result = target->type->enter(target, &lease->wanted, &lease->session, &error);
        if (result < 0)
            aw_semaphore_release(&target->leases);
    }
    aw_scope_leave(&scope);
    if (result < 0)
        say_not_granted(lease, result, &error);
    return result;
}

static void run_one(struct lease *lease)
{
    struct aw_scope scope;
    aw_scope_enter(&scope, AW_NEVER);
    lease->running = &scope;
    lease->result = lease->target->type->execute_in(lease->target, lease->session,
                                                    lease->execution, lease->outcome,
                                                    &lease->refusal);
    lease->running = NULL;
    aw_scope_leave(&scope);
    lease->execution = NULL;
    aw_event_set(&lease->news);
}

/* Until it is to end: 0 (asked to), -ETIME, -ECANCELED, -ECONNRESET (*reterr says why). */
static int serve(struct lease *lease, struct aw_error *reterr)
{
    const struct target_type *type = lease->target->type;
    int result = 0;
    while (result == 0 && !lease->exit_wanted) {
        if (!type->is_alive(lease->target, lease->session, reterr))
            return -ECONNRESET;
        aw_event_clear(&lease->wanted);
        if (lease->execution)
            run_one(lease);
        else
            result = aw_event_wait(&lease->wanted);
        if (result == 0)
            result = aw_interrupted();
    }
    return result;
}

static void leave(struct lease *lease)
{
    struct aw_scope shield; /* each step of an exit has its own end */
    aw_shield_enter(&shield, AW_NEVER);
    lease->rolled_back = lease->target->type->exit(lease->target, lease->session);
    aw_scope_leave(&shield);
    lease->session = NULL;
    lease->target->leases_held--;
    aw_semaphore_release(&lease->target->leases);
}

static int hold(void *argument)
{
    struct lease *lease = argument;
    aw_task_set_name(NULL, "lease");
    if (enter(lease) == 0) {
        lease->target->leases_held++;
        lease->state = LEASE_HELD;
        aw_event_set(&lease->news);
        struct aw_error error = {0};
        struct aw_scope scope;
        aw_scope_enter(&scope, aw_after_ms(lease->timeout_ms));
        int result = serve(lease, &error);
        aw_scope_leave(&scope);
        leave(lease);
        lease->why = (struct aw_error){0};
        if (result < 0)
            say_why(lease, result, &error);
    }
    lease->state = LEASE_ENDED;
    aw_event_set(&lease->news);
    return 0;
}

/* --- its owner ------------------------------------------------------------------------- */

int lease_start(struct lease **ret_lease, struct aw_group *group, struct target *target,
                uint64_t timeout_ms, struct aw_error *reterr)
{
    if (!target->type->enter)
        return aw_error_set_code(reterr, -EOPNOTSUPP, "ERR",
                                 "target %s is of type %s, which has no connections to lease",
                                 target->settings.name, target->type->name);
    if (target->settings.leases == 0)
        return aw_error_set_code(reterr, -EOPNOTSUPP, "ERR",
                                 "target %s gives no leases: set connections to 2 or more, and "
                                 "leases to 1 or more",
                                 target->settings.name);
    struct lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        return aw_error_set_code(reterr, -ENOMEM, "UNAVAILABLE", "no memory for a lease");
    lease->target = target;
    lease->timeout_ms = timeout_ms;
    aw_event_init(&lease->wanted);
    aw_event_init(&lease->news);
    int result = aw_group_spawn(group, hold, lease);
    if (result < 0) {
        free(lease);
        return aw_error_set_code(reterr, result, "UNAVAILABLE", "no task for a lease: %s",
                                 aw_error_text(result));
    }
    *ret_lease = lease;
    return 0;
}

int lease_wait_held(struct lease *lease)
{
    while (lease->state == LEASE_WAITING) {
        aw_event_clear(&lease->news);
        int result = aw_event_wait(&lease->news);
        if (result < 0)
            return result;
    }
    return lease->state == LEASE_HELD ? 0 : lease->why.number;
}

/* The caller of lease_execute was interrupted: takes the statement back or has it stopped. */
static void stop_statement(struct lease *lease)
{
    if (lease->running) {
        aw_scope_cancel(lease->running);
        return;
    }
    outcome_set(lease->outcome, OUTCOME_STOPPED, "CANCELLED", "not executed");
    lease->result = 0;
    lease->execution = NULL;
}

static void wait_answered(struct lease *lease)
{
    while (lease->execution && lease->state != LEASE_ENDED) {
        aw_event_clear(&lease->news);
        if (aw_event_wait(&lease->news) == 0)
            continue;
        stop_statement(lease);
        struct aw_scope shield; /* stopping has its own end, the connection's */
        aw_shield_enter(&shield, AW_NEVER);
        while (lease->execution && lease->state != LEASE_ENDED) {
            aw_event_clear(&lease->news);
            if (aw_event_wait(&lease->news) < 0)
                break;
        }
        aw_scope_leave(&shield);
    }
}

static void wait_ended(struct lease *lease)
{
    struct aw_scope shield;
    aw_shield_enter(&shield, AW_NEVER);
    while (lease->state != LEASE_ENDED) {
        aw_event_clear(&lease->news);
        if (aw_event_wait(&lease->news) < 0)
            break;
    }
    aw_scope_leave(&shield);
}

int lease_execute(struct lease *lease, const struct execution *execution,
                  struct outcome *ret_outcome, struct aw_error *reterr)
{
    *ret_outcome = (struct outcome){0};
    if (lease->state == LEASE_ENDED)
        return lease_explain(lease, reterr);
    lease->outcome = ret_outcome;
    lease->execution = execution;
    aw_event_set(&lease->wanted);
    wait_answered(lease);
    if (lease->execution) { /* it had ended before */
        lease->execution = NULL;
        return lease_explain(lease, reterr);
    }
    if (lease->result < 0) {
        *reterr = lease->refusal;
        return lease->result;
    }
    if (ret_outcome->kind == OUTCOME_STOPPED && aw_interrupted() == 0) {
        wait_ended(lease); /* nobody but the lease itself can have stopped it */
        return lease_explain(lease, reterr);
    }
    return 0;
}

void lease_end(struct lease *lease)
{
    lease->exit_wanted = true;
    aw_event_set(&lease->wanted);
    wait_ended(lease);
}

int lease_explain(const struct lease *lease, struct aw_error *reterr)
{
    if (lease->why.number == 0)
        return 0;
    return aw_error_set_code(reterr, lease->why.number, lease->why.code, "%s%s",
                             lease->why.message,
                             lease->rolled_back ? "; its transaction was rolled back" : "");
}

void lease_free(struct lease *lease)
{
    free(lease);
}
