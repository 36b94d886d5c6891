/* once.c - see await/once.h. After a failure the first waiter becomes the runner at once, so that a
 * newcomer cannot overtake it. */
#include "core/park.h"

#include <await/once.h>

#include <errno.h>

void aw_once_init(struct aw_once *once)
{
    *once = (struct aw_once){0};
}

bool aw_once_done(const struct aw_once *once)
{
    return once->done;
}

int aw_once_run(struct aw_once *once, aw_function function, void *argument)
{
    struct aw_task *self = aw_current();
    if (!once->done && once->runner) {
        if (once->runner == self)
            return -EDEADLK;
        int waited = wait_list_park(&once->waiters, "once");
        if (waited < 0)
            return waited;
    }
    if (once->done)
        return once->result;
    once->runner = self;
    int result = function(argument);
    once->runner = NULL;
    if (result < 0) {
        once->runner = wait_list_grant_one(&once->waiters);
        return result;
    }
    once->done = true;
    once->result = result;
    wait_list_grant_all(&once->waiters);
    return result;
}
