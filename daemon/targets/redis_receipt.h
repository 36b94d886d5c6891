/* redis_receipt.h - exactly-once on Redis: a receipt key and the command in one script.
 *
 * The script sets the key with NX; where it was there already the job was done before, and the
 * command does not run. A command that fails takes its receipt with it. Scripts are atomic, so both
 * last or neither does: as long as Redis keeps its data. What it loses with its memory (a restart
 * without AOF, the last second with appendfsync everysec, a failover) it loses together.
 *
 * The receipt lives for REDIS_RECEIPT_TTL_S, in the slot of the command's first key, named
 *     awaitd:{<hash tag of that key>}:<store>:<job>
 * or, where that tag has a } in it, with a number of the same slot in its place.
 *
 * Both keys are the script's. Without the command's own a node that takes over a slot would run the
 * script as soon as it has the receipt's place, and so write a key whose value is still with the
 * other node: a counter would begin again. With both it says TRYAGAIN until it has the key.
 *
 * Not every command can run in a script, and Lua's numbers are doubles: an integer reply beyond
 * 2^53 comes back rounded. */
#ifndef TARGETS_REDIS_RECEIPT_H
#define TARGETS_REDIS_RECEIPT_H

#include "targets/target.h"

#define REDIS_RECEIPT_TTL_S "86400"
/* What goes before the command: EVAL, the script, 2, the receipt's key, the command's first key,
 * the receipt's time to live; or 1 and no key of the command. */
#define REDIS_RECEIPT_WORDS_MAX 6u

/* Whether the command can run in a script: 0, or -EINVAL with the reason. */
int redis_receipt_check(const struct argument *arguments, uint32_t count, struct aw_error *reterr);

/* Fills REDIS_RECEIPT_WORDS_MAX words before the command, from *ret_first on; *key holds what they
 * point at, for the caller to free. The script gives the command's reply, or the status
 * REDIS_RECEIPT_EXISTS. */
#define REDIS_RECEIPT_EXISTS "AWAITD-DONE-BEFORE"
AW_MUST_CHECK int redis_receipt_fill(const struct target *target,
                                     const struct execution *execution, const char **words,
                                     size_t *sizes, uint32_t *ret_first, struct buffer *key);

#endif
