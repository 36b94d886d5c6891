/* redis.h - commands to a Redis server, from many tasks at once: to one, to the master that
 * sentinels name, or to the nodes of a cluster.
 *
 * A pool holds a few connections and shares them: the commands of all tasks that run in one turn of
 * the loop leave in one write, and replies are given out in order (RESP2). It connects by itself,
 * again and again with backoff (100 ms to 5 s, with jitter), and says when the server goes down or
 * comes up.
 *
 * Commands that change the state of their connection (SELECT, MULTI, SUBSCRIBE ...) are refused,
 * since others share it; commands that block (BLPOP, XREAD with BLOCK ...) get a connection of
 * their own.
 *
 * A command is sent at most once. One that has not been sent can still be taken back; for one that
 * has been, a lost connection or an interrupted caller means that nobody knows whether it took
 * effect. */
#ifndef AWAIT_REDIS_H
#define AWAIT_REDIS_H

#include <await/base.h>
#include <await/error.h>
#include <await/group.h>
#include <await/tls.h>

#define AW_REDIS_DEPTH_MAX 8 /* arrays inside arrays that a reply may hold (hiredis 0.14's limit) */

struct aw_redis_options { /* 0 and NULL stand for the defaults */
    const char *uri;         /* redis://[[user]:password@]host[:port][/database],
                                rediss:// for the same in TLS, or unix:///path/of/socket[?db=n];
                                redis+sentinel://[[user]:password@]host[:port],.../master[/db]
                                [?sentinel_user=u&sentinel_password=p], or redis+cluster://
                                [[user]:password@]host[:port],...; rediss+ for TLS;
                                NULL: redis://127.0.0.1:6379/0 */
    const struct aw_tls_options *tls; /* of rediss://; NULL: the system's authorities */
    const char *password;    /* used in place of the URI's */
    const char *client_name; /* what CLIENT LIST shows; "await" */
    /* Of a cluster, for each of its nodes: */
    uint32_t connections_max;          /* shared connections; 4 */
    uint32_t blocking_connections_max; /* connections for commands that block; 16 */
    uint32_t leased_connections_max;   /* connections for leases; 0: none */
    uint32_t in_flight_max;            /* commands sent and not answered, a connection; 1,024 */
    size_t in_flight_bytes_max;        /* their size, a connection (one bigger command goes alone);
                                          16 MiB */
    size_t command_size_max;           /* 64 MiB */
    size_t reply_size_max;             /* on the wire; 64 MiB */
    uint32_t reply_elements_max;       /* values in a reply, nested ones included; 1,048,576 */
    uint32_t connect_timeout_ms;       /* for name lookup, connect, AUTH, SELECT and PING; 5,000 */
    uint32_t silence_ms;               /* a connection that owes an answer for so long is checked
                                          with a PING on a second one, and given up when that has no
                                          answer within connect_timeout_ms either; 15,000 */
    /* Called when the server goes down (with the reason) or comes up. It must not suspend. A pool
     * begins up; it goes down when no connection can be made, or a reply says LOADING, MASTERDOWN
     * or CLUSTERDOWN, and comes up when a new connection has been answered. */
    void (*changed)(void *context, bool up, const char *reason);
    void *context;
};

enum aw_redis_type {
    AW_REDIS_STATUS,  /* text: "OK" */
    AW_REDIS_ERROR,   /* text: "ERR ..."; only inside arrays */
    AW_REDIS_INTEGER,
    AW_REDIS_STRING,  /* bytes */
    AW_REDIS_NULL,
    AW_REDIS_ARRAY,
};

/* A reply: a tree whose root the caller frees with aw_redis_reply_free. */
struct aw_redis_reply {
    enum aw_redis_type type;
    int64_t integer;
    char *text;      /* STATUS, ERROR, STRING: `size` bytes, which may hold NULs, and a NUL after
                        them */
    size_t size;
    struct aw_redis_reply **elements; /* ARRAY: `count` of them */
    size_t count;
    size_t capacity; /* private */
};

struct aw_redis_pool;

/* Makes a pool and starts its tasks in `group`; the first connection opens in the background. When
 * the group is cancelled the pool stops working; aw_redis_pool_close is needed in every case.
 * -EINVAL: the URI or an option (*reterr says what); -ENOENT,
 * -EBADMSG: a file for TLS, which is read at once; -ENOMEM; what aw_group_spawn gives. */
AW_API AW_MUST_CHECK int aw_redis_pool_create(const struct aw_redis_options *options,
                                              struct aw_group *group,
                                              struct aw_redis_pool **ret_pool,
                                              struct aw_error *reterr);

/* Closes the connections and frees the pool (NULL is fine). Commands not yet sent get
 * -ESHUTDOWN, the others -ECONNRESET; their tasks must not touch the pool again. Not a cancellation
 * point. */
AW_API AW_SUSPENDS void aw_redis_pool_close(struct aw_redis_pool *pool);

/* Whether the server answered last time, or nobody has asked it yet. */
AW_API bool aw_redis_pool_is_up(const struct aw_redis_pool *pool);

/* Whether a pool takes this command, whose `count` arguments and sizes are as in aw_redis_command
 * (sizes may be NULL): 0, or -EINVAL (no command), -EOPNOTSUPP (refused on shared
 * connections), with why and what to do instead in *reterr. */
AW_API AW_MUST_CHECK int aw_redis_check(size_t count, const char *const arguments[],
                                        const size_t sizes[], struct aw_error *reterr);

/* Sends a command of `count` arguments, its name the first of them, and waits for its reply. They
 * may hold any bytes: sizes[i] of arguments[i]; `sizes` may be NULL for NUL-terminated ones;
 * reply_size_max lowers the pool's limit for this reply (0: the pool's).
 *
 * 0: *ret_reply holds the reply, the caller's to free. Otherwise *reterr says why:
 *   -EREMOTEIO   the server answered with an error; code is its first word ("WRONGTYPE")
 *   -ENOTCONN    not sent: the server cannot be reached, or does not serve now
 *   -ECONNRESET  sent, then the connection was lost: it may have run
 *   -ECANCELED, -ETIME  the caller was interrupted; code is WITHDRAWN (not sent) or UNKNOWN (sent)
 *   -EMSGSIZE    it ran, but the reply is above a limit and was dropped
 *   -E2BIG       the command is above command_size_max
 *   -EINVAL, -EOPNOTSUPP  as aw_redis_check
 *   -ESHUTDOWN   the pool is being closed
 *   -ENOMEM */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_command(struct aw_redis_pool *pool, size_t count,
                                                      const char *const arguments[],
                                                      const size_t sizes[], size_t reply_size_max,
                                                      struct aw_redis_reply **ret_reply,
                                                      struct aw_error *reterr);

/* --- leases: a connection for one task alone, for MULTI and WATCH --------------------------------
 *
 * It is opened at aw_redis_lease_enter and closed at aw_redis_lease_exit, so Redis discards what is
 * open. A command whose caller is interrupted ends the lease. */
struct aw_redis_lease;
struct aw_event;

/* Connects. `changed` is set whenever the lease may have been lost; it must outlive the lease.
 * 0: *ret_lease is the caller's, to aw_redis_lease_exit. -EBUSY: leased_connections_max are in use;
 * -EOPNOTSUPP: the pool is of a cluster; -ENOTCONN: no connection could be made; -ESHUTDOWN,
 * -ENOMEM, -ECANCELED, -ETIME. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_lease_enter(struct aw_redis_pool *pool,
                                                          struct aw_event *changed,
                                                          struct aw_redis_lease **ret_lease,
                                                          struct aw_error *reterr);

/* As aw_redis_check, for a leased connection, where less is refused. `arguments` as there, `sizes`
 * is needed. 0, -EINVAL (no command) or -EOPNOTSUPP (refused there too). Never suspends. */
AW_API AW_MUST_CHECK int aw_redis_lease_check(size_t count, const char *const arguments[],
                                              const size_t sizes[], struct aw_error *reterr);

/* As aw_redis_command, with its arguments, reply_size_max and errors, on the leased connection.
 * `sizes` is needed. -ENOTCONN: not sent, the connection is lost. After -ECANCELED, -ETIME (code
 * UNKNOWN), -ECONNRESET and -EMSGSIZE the lease is lost. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_lease_command(
    struct aw_redis_lease *lease, size_t count, const char *const arguments[],
    const size_t sizes[], size_t reply_size_max, struct aw_redis_reply **ret_reply,
    struct aw_error *reterr);

/* Whether the connection is still there; if not, *reterr says why. */
AW_API bool aw_redis_lease_is_alive(const struct aw_redis_lease *lease, struct aw_error *reterr);

/* Closes the connection and frees the lease. Whether a MULTI was open. Not a cancellation point. */
AW_API AW_SUSPENDS bool aw_redis_lease_exit(struct aw_redis_lease *lease);

/* Frees a reply with everything in it; NULL is fine. */
AW_API void aw_redis_reply_free(struct aw_redis_reply *reply);

#endif
