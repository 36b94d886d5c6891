/* redis_multi.h - Redis: several commands as one unit, and a lease as a context manager.
 *
 *     const struct aw_redis_call calls[] = {
 *         {3, (const char *[]){"INCRBY", "from", "-5"}},
 *         {3, (const char *[]){"INCRBY", "to", "5"}},
 *     };
 *     int result = aw_redis_multi(pool, 2, calls, 0, &reply, &error);
 *
 * Between MULTI and EXEC Redis runs nobody else's commands. The unit travels on a leased connection
 * (redis.h: leased_connections_max), in one go. With WATCH before it, on a lease of the caller's,
 * it runs only if nobody has changed what was read:
 *
 *     struct aw_redis_holder holder = {.pool = pool};
 *     AW_WITH(result, aw_redis_with_lease(&holder)) {
 *         ... WATCH and GET with aw_redis_lease_command(holder.lease, ...)
 *         result = aw_redis_lease_multi(holder.lease, ...);       -EAGAIN: changed; once more
 *     } */
#ifndef AWAIT_REDIS_MULTI_H
#define AWAIT_REDIS_MULTI_H

#include <await/redis.h>
#include <await/sync.h>
#include <await/with.h>

#define AW_REDIS_CALLS_MAX 10000

struct aw_redis_call {
    size_t count; /* of the arguments, the command's name included */
    const char *const *arguments;
    const size_t *sizes; /* NULL: the arguments end with NULs */
};

/* Runs call_count commands, 1 to AW_REDIS_CALLS_MAX, as a unit, on a connection leased for it.
 * `calls` is not kept; reply_size_max bounds all replies together, in bytes (0: the pool's).
 *
 * 0: all ran; *ret_reply is the array of their replies, the caller's to free. A command that fails
 * while it runs (WRONGTYPE) gives an AW_REDIS_ERROR in its place and does not stop the others:
 * Redis rolls nothing back. Otherwise *reterr says why:
 *   -EREMOTEIO   Redis refused one of the commands (unknown, arguments, NOPERM), whose error it is,
 *                or EXEC: none ran
 *   -EBUSY       leased_connections_max are in use: none ran
 *   -EINVAL, -EOPNOTSUPP, -E2BIG, -ENOMEM, -ENOTCONN, -ESHUTDOWN  none ran
 *   -ECANCELED, -ETIME  interrupted; code is WITHDRAWN (none ran) or UNKNOWN
 *   -ECONNRESET  the connection was lost: all ran or none, unknown which
 *   -EMSGSIZE    all ran, but the replies are above a limit and were dropped */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_multi(struct aw_redis_pool *pool, size_t call_count,
                                                    const struct aw_redis_call calls[],
                                                    size_t reply_size_max,
                                                    struct aw_redis_reply **ret_reply,
                                                    struct aw_error *reterr);

/* The same (calls, reply_size_max, errors) on a lease. -EAGAIN: a key under WATCH had been changed,
 * none ran; -ENOTCONN: the lease was lost before. Whatever the result,
 * nothing is under WATCH any more, and no MULTI is open, or the lease is lost. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_lease_multi(
    struct aw_redis_lease *lease, size_t call_count, const struct aw_redis_call calls[],
    size_t reply_size_max, struct aw_redis_reply **ret_reply, struct aw_error *reterr);

struct aw_redis_holder {
    struct aw_redis_pool *pool;   /* must outlive the block */
    struct aw_redis_lease *lease; /* inside the block */
    struct aw_error error;        /* why enter failed */
    struct aw_event changed;      /* private */
};

/* A block with a lease: enter and its errors are aw_redis_lease_enter's, exit is
 * aw_redis_lease_exit, which discards an open MULTI. */
AW_API struct aw_with aw_redis_with_lease(struct aw_redis_holder *holder);

#endif
