/* with.c - context managers; see await/with.h.
 *
 * States of a block: new -> entered -> done. aw_with_end is the ordinary way from entered to done;
 * aw_with_leave, which the compiler calls when the block's variable goes away, finds `entered` only
 * when the body was left by return or goto. */
#include "core/with.h"

#include "core/scheduler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WITH_NEW, WITH_ENTERED, WITH_DONE };

struct aw_with aw_with(const struct aw_manager *manager, void *object)
{
    return (struct aw_with){.manager = manager, .object = object};
}

struct aw_with with_own(const struct aw_manager *manager)
{
    return (struct aw_with){.manager = manager};
}

/* Not stored: the block is copied by value until it has come to rest in its variable. */
static void *object_of(struct aw_with *with)
{
    return with->object ? with->object : &with->own;
}

void task_keep_error(int error)
{
    struct aw_task *task = aw_current();
    if (task && error < 0 && task->kept_error == 0)
        task->kept_error = error;
}

bool aw_with_begin(struct aw_with *with, int *result)
{
    if (with->state != WITH_NEW)
        return false;
    with->result = result;
    int entered = aw_current() ? 0 : -EPERM;
    if (entered == 0 && with->manager->enter)
        entered = with->manager->enter(object_of(with));
    if (entered < 0) {
        with->state = WITH_DONE;
        *result = entered;
        return false;
    }
    with->state = WITH_ENTERED;
    with->body = true;
    *result = 0;
    return true;
}

static int leave(struct aw_with *with, int outcome)
{
    const struct aw_manager *manager = with->manager;
    with->state = WITH_DONE;
    if (manager->exit_is_immediate)
        return manager->exit(object_of(with), outcome);
    uint64_t timeout_ms = manager->exit_timeout_ms ? manager->exit_timeout_ms : AW_EXIT_TIMEOUT_MS;
    struct aw_scope shield;
    aw_shield_enter(&shield, aw_after_ms(timeout_ms));
    int left = manager->exit(object_of(with), outcome);
    aw_scope_leave(&shield);
    return left;
}

void aw_with_end(struct aw_with *with)
{
    int left = leave(with, *with->result);
    if (left < 0 && *with->result >= 0)
        *with->result = left;
}

void aw_with_leave(struct aw_with *with)
{
    if (with->state != WITH_ENTERED)
        return;
    bool failed = *with->result < 0;
    int left = leave(with, failed ? *with->result : -ECANCELED);
    if (left < 0 && !failed)
        task_keep_error(left);
}

/* --- lock and semaphore ----------------------------------------------------------------------- */
static int lock_enter(void *lock)
{
    return aw_lock_acquire(lock);
}

static int lock_exit(void *lock, int outcome)
{
    (void)outcome;
    aw_lock_release(lock);
    return 0;
}

struct aw_with aw_with_lock(struct aw_lock *lock)
{
    static const struct aw_manager manager = {
        .enter = lock_enter, .exit = lock_exit, .exit_is_immediate = true};
    return aw_with(&manager, lock);
}

static int semaphore_enter(void *semaphore)
{
    return aw_semaphore_acquire(semaphore);
}

static int semaphore_exit(void *semaphore, int outcome)
{
    (void)outcome;
    aw_semaphore_release(semaphore);
    return 0;
}

struct aw_with aw_with_semaphore(struct aw_semaphore *semaphore)
{
    static const struct aw_manager manager = {
        .enter = semaphore_enter, .exit = semaphore_exit, .exit_is_immediate = true};
    return aw_with(&manager, semaphore);
}

/* --- scopes ----------------------------------------------------------------------------------- */
static int scope_enter(void *scope)
{
    aw_scope_enter(scope, ((struct aw_scope *)scope)->deadline_ns);
    return 0;
}

static int shield_enter(void *scope)
{
    aw_shield_enter(scope, ((struct aw_scope *)scope)->deadline_ns);
    return 0;
}

static int scope_exit(void *scope, int outcome)
{
    (void)outcome;
    aw_scope_leave(scope);
    return 0;
}

struct aw_with aw_with_deadline(uint64_t deadline_ns)
{
    static const struct aw_manager manager = {
        .enter = scope_enter, .exit = scope_exit, .exit_is_immediate = true};
    struct aw_with with = with_own(&manager);
    with.own.scope.deadline_ns = deadline_ns;
    return with;
}

struct aw_with aw_with_timeout(uint64_t duration_ms)
{
    return aw_with_deadline(aw_after_ms(duration_ms));
}

struct aw_with aw_with_shield(uint64_t deadline_ns)
{
    static const struct aw_manager manager = {
        .enter = shield_enter, .exit = scope_exit, .exit_is_immediate = true};
    struct aw_with with = with_own(&manager);
    with.own.scope.deadline_ns = deadline_ns;
    return with;
}

/* --- timer ------------------------------------------------------------------------------------ */
static int timer_enter(void *own)
{
    struct aw_with *with = with_of_own(own);
    with->own.timer.began_ns = aw_now_ns();
    return 0;
}

static int timer_exit(void *own, int outcome)
{
    struct aw_with *with = with_of_own(own);
    (void)outcome;
    *with->own.timer.ret_elapsed_ns = aw_now_ns() - with->own.timer.began_ns;
    return 0;
}

struct aw_with aw_with_timer(uint64_t *ret_elapsed_ns)
{
    static const struct aw_manager manager = {
        .enter = timer_enter, .exit = timer_exit, .exit_is_immediate = true};
    struct aw_with with = with_own(&manager);
    with.own.timer.ret_elapsed_ns = ret_elapsed_ns;
    return with;
}

/* --- single variables ------------------------------------------------------------------------- */
void aw_cleanup_free(void *pointer)
{
    void *memory;
    memcpy(&memory, pointer, sizeof memory);
    free(memory);
}

void aw_cleanup_task(struct aw_task **task)
{
    if (!*task)
        return;
    aw_cancel(*task);
    AW_IGNORE(aw_await(*task));
    *task = NULL;
}
