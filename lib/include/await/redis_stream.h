/* redis_stream.h - Redis: streams, read entry by entry, alone or as a consumer of a group.
 *
 *     struct aw_redis_stream_options options = {.key = "orders", .group = "mail", .consumer = "a"};
 *     struct aw_redis_stream_holder holder = {.pool = pool, .options = &options};
 *     AW_WITH(result, aw_redis_with_stream(&holder)) {
 *         const struct aw_redis_entry *entry;
 *         while ((result = aw_redis_stream_next(holder.stream, &entry, &error)) == 0) {
 *             ... entry->id, entry->fields[0]->text
 *             result = aw_redis_stream_ack(holder.stream, entry->id, &error);
 *         }
 *     }
 *
 * A reader that waits has one of the pool's connections for blocking commands to itself (redis.h:
 * blocking_connections_max). When the server is away it waits for it, with backoff (100 ms to 5 s),
 * and goes on behind the last entry it gave: what came meanwhile is in the stream. */
#ifndef AWAIT_REDIS_STREAM_H
#define AWAIT_REDIS_STREAM_H

#include <await/redis.h>
#include <await/with.h>

#define AW_REDIS_ID_SIZE 44 /* two numbers of 64 bits, a dash and a NUL */

struct aw_redis_stream;

struct aw_redis_stream_options {
    const char *key;
    const char *group;    /* NULL: no group, every reader gets all entries */
    const char *consumer; /* of the group; needed with it */
    const char *after;  /* the id after which to begin; NULL: what comes from now on. With a group:
                           where the group begins if it has to be made */
    uint32_t count_max; /* entries taken from Redis at once; 100, at most 10,000 */
};

struct aw_redis_entry {
    const char *id;
    size_t count; /* of the fields' names and values together; 0: deleted while it was pending */
    struct aw_redis_reply *const *fields; /* name, value, name, value ... */
};

/* Opens a reader: finds the stream's end, or makes the group and the stream where they are missing.
 * The pool must outlive it, the options' strings need not. -EINVAL: an option; -EREMOTEIO: Redis
 * refused it (code: WRONGTYPE ...); else as aw_redis_command. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_stream_open(
    struct aw_redis_stream **ret_stream, struct aw_redis_pool *pool,
    const struct aw_redis_stream_options *options, struct aw_error *reterr);

/* Waits for the next entry, which is valid until the next call. A consumer first gets what was
 * given to its name before and not acknowledged. -ETIME, -ECANCELED: interrupted, nothing is lost;
 * -EREMOTEIO: Redis refused it (code: WRONGTYPE, NOGROUP, NOPERM ...); -EPROTO, -EMSGSIZE (entries
 * above the pool's limits: lower count_max), -ESHUTDOWN, -ENOMEM. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_stream_next(struct aw_redis_stream *stream,
                                                          const struct aw_redis_entry **ret_entry,
                                                          struct aw_error *reterr);

/* Acknowledges the entry `id` of the group (XACK); one that has been is no error. 0; -EINVAL: a
 * reader without a group; else as aw_redis_command. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_stream_ack(struct aw_redis_stream *stream,
                                                         const char *id, struct aw_error *reterr);

/* Frees the reader; NULL does nothing. Never suspends. */
AW_API void aw_redis_stream_close(struct aw_redis_stream *stream);

/* Appends an entry to the stream `key` (XADD): `fields` are `count` names and values together, an
 * even number from 2 to 1,000; `sizes` may be NULL for NUL-terminated ones. length_max: the stream
 * is trimmed to about so many entries; 0: never. *ret_id is where it is now. -EINVAL; else as
 * aw_redis_command. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_redis_stream_add(struct aw_redis_pool *pool,
                                                         const char *key, uint64_t length_max,
                                                         size_t count, const char *const fields[],
                                                         const size_t sizes[],
                                                         char ret_id[AW_REDIS_ID_SIZE],
                                                         struct aw_error *reterr);

struct aw_redis_stream_holder {
    struct aw_redis_pool *pool; /* must outlive the block, as the options */
    const struct aw_redis_stream_options *options;
    struct aw_redis_stream *stream; /* inside the block */
    struct aw_error error;          /* why enter failed */
};

/* A block with a reader: enter and its errors are aw_redis_stream_open's, exit closes it. */
AW_API struct aw_with aw_redis_with_stream(struct aw_redis_stream_holder *holder);

#endif
