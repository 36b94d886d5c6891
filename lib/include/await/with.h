/* with.h - context managers: something is entered before a block and left after it, whatever
 * happens in between. What asyncio spells `async with`.
 *
 *     int result;
 *     AW_WITH(result, aw_with_lock(&lock)) {
 *         result = change_it();              suspends, fails, is cancelled: the lock is released
 *     }
 *     return result;
 *
 * `result` is an int variable of the caller; it is how the body, enter and exit tell each other
 * what happened. Enter and exit may suspend.
 *
 *   enter fails     the body and exit do not run; result is enter's error. Enter is interrupted
 *                   like any other code; when it fails it leaves nothing behind.
 *   enter succeeds  result becomes 0 and the body runs.
 *   body completes  by its end, `break` or `continue`: exit learns result, then, if exit failed and
 *                   result is not negative, result becomes exit's error. A body that failed says so
 *                   by a negative result; its error outranks exit's.
 *   body is left    by `return` or `goto`: exit runs on the way out and learns result if that is
 *                   negative, else -ECANCELED: a body that was left has not completed, and a
 *                   transaction rolls back. `return x` has evaluated x by then, so that exit's
 *                   error can no longer be returned; it is not lost: if this task's function would
 *                   succeed, the task's result is that error. Use `break` where exit's error is for
 *                   the code after the block. Do not `goto` into a body.
 *   cancellation    a body that is cancelled sees -ECANCELED from its calls like all code, and
 *                   ends. Exit then runs, as always, under a shield: it may suspend, and nothing
 *                   from outside interrupts it but its own deadline (exit_timeout_ms), after which
 *                   its suspension points return -ETIME.
 *
 * Blocks nest, also in one function and with one result variable; they are left innermost first.
 * A block is a loop for the compiler: a `break` or `continue` meant for a loop around it ends only
 * the block. */
#ifndef AWAIT_WITH_H
#define AWAIT_WITH_H

#include <await/base.h>
#include <await/scope.h>
#include <await/sync.h>
#include <await/task.h>
#include <sys/types.h>

#define AW_EXIT_TIMEOUT_MS 5000u /* of an exit whose manager does not say */

/* A kind of context manager. `object` is what aw_with got. */
struct aw_manager {
    /* 0 or positive: entered. Negative: not, and nothing is left behind. NULL: always entered. */
    int (*enter)(void *object);
    /* Undoes enter, or completes it. `outcome` is negative when the body failed or was left. */
    int (*exit)(void *object, int outcome);
    uint64_t exit_timeout_ms; /* 0: AW_EXIT_TIMEOUT_MS; AW_NEVER: as long as it takes */
    bool exit_is_immediate;   /* exit never suspends: it runs without a shield */
};

struct aw_with { /* private: a block's state, in the frame of the function around it */
    const struct aw_manager *manager;
    void *object;
    int *result;
    union {
        struct aw_scope scope;
        struct {
            uint64_t *ret_elapsed_ns;
            uint64_t began_ns;
        } timer;
        struct {
            int *ret_fd;
            const char *path;
            int flags;
            mode_t mode;
        } file;
    } own; /* what managers without an object of the caller's work on */
    uint8_t state;
    bool body;
};

/* A block under any manager; both must outlive it. `object` may not be NULL. The result is for
 * AW_WITH alone; nothing has been entered yet. Never suspends. */
AW_API struct aw_with aw_with(const struct aw_manager *manager, void *object);

/* Holds the lock, or one of the semaphore's places. */
AW_API struct aw_with aw_with_lock(struct aw_lock *lock);
AW_API struct aw_with aw_with_semaphore(struct aw_semaphore *semaphore);

/* A deadline for the body (scope.h): its calls return -ETIME from then on. */
AW_API struct aw_with aw_with_deadline(uint64_t deadline_ns);
AW_API struct aw_with aw_with_timeout(uint64_t duration_ms);

/* A shield for the body: only its own deadline interrupts it. Give it one. */
AW_API struct aw_with aw_with_shield(uint64_t deadline_ns);

/* Stores how long the body took, in ns, also when it failed or was left. */
AW_API struct aw_with aw_with_timer(uint64_t *ret_elapsed_ns);

/* An open file (aw_open): its descriptor is in *ret_fd during the body and -1 after it. `path`,
 * `flags` and `mode` are aw_open's, as are enter's errors; exit's are aw_close's. `path` must
 * outlive enter. */
AW_API struct aw_with aw_with_file(int *ret_fd, const char *path, int flags, mode_t mode);

/* Private: the parts of AW_WITH. */
AW_API AW_SUSPENDS bool aw_with_begin(struct aw_with *with, int *result);
AW_API AW_SUSPENDS void aw_with_end(struct aw_with *with);
AW_API AW_SUSPENDS void aw_with_leave(struct aw_with *with);

#define AW_WITH_PASTE(left, right) left##right
#define AW_WITH_NAME(number) AW_WITH_PASTE(aw_with_block_, number)

/* The outer loop enters, exits and ends; the inner one runs the body once and catches its break. */
#define AW_WITH_NAMED(with, variable, block) \
    for (struct aw_with with __attribute__((cleanup(aw_with_leave))) = (block); \
         aw_with_begin(&with, &(variable)); aw_with_end(&with)) \
        for (; with.body; with.body = false)

#define AW_WITH(result, block) AW_WITH_NAMED(AW_WITH_NAME(__COUNTER__), result, block)

/* --- cleanup of single variables ----------------------------------------------------------------
 *
 *     AW_CLEANUP(aw_cleanup_free) char *text = NULL;
 *     AW_CLEANUP(aw_cleanup_close) int fd = -1;
 *
 * The function gets the variable's address when it goes out of scope, however that happens.
 * Initialise the variable where it is declared. */
#define AW_CLEANUP(function) __attribute__((cleanup(function)))

/* free(3) of a pointer variable of any type; give it the variable's address. */
AW_API void aw_cleanup_free(void *pointer);

/* Closes the descriptor unless it is negative, also when the task is cancelled. An error of the
 * close becomes the task's result if its function would succeed. */
AW_API AW_SUSPENDS void aw_cleanup_close(int *fd);

/* Cancels and awaits the task unless it is NULL; its result is dropped. Also when the caller is
 * cancelled. */
AW_API AW_SUSPENDS void aw_cleanup_task(struct aw_task **task);

#endif
