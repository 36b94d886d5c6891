/* redis_key.h - Redis: which key a command is about, and the slot of a cluster that holds it. */
#ifndef AWAIT_REDIS_KEY_H
#define AWAIT_REDIS_KEY_H

#include <await/base.h>

#define AW_REDIS_SLOTS 16384

/* The part of a key that decides about its slot: what stands between the first { and the next }, if
 * that is not empty, else all of it. Gives where it begins in `key`, and its size. */
AW_API size_t aw_redis_hash_tag(const char *key, size_t size, size_t *ret_size);

/* The slot of a key: CRC16 (XMODEM) of its hash tag, modulo AW_REDIS_SLOTS. Source: "Redis cluster
 * specification", key distribution model. */
AW_API uint32_t aw_redis_slot(const char *key, size_t size);

/* The index of a command's first key among its arguments (0 is the command's name); 0: it has none,
 * or is too short. A command this list does not know, such as a module's, has it at 1. `sizes` is
 * needed. */
AW_API size_t aw_redis_first_key(size_t count, const char *const arguments[], const size_t sizes[]);

#endif
