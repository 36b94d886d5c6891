/* postgres_reply.h - PostgreSQL results as a RESP3 value.
 *
 * A statement without rows is its command tag as a simple string. Rows are an array of the column
 * names and then one array a row (bulk or null), or with FORMAT_JSON one bulk string with an
 * array of objects: numbers where they are finite, booleans, json and jsonb as they are,
 * everything else as strings. */
#ifndef TARGETS_POSTGRES_REPLY_H
#define TARGETS_POSTGRES_REPLY_H

#include "targets/target.h"

#include <await/pg.h>

/* Appends the value of all statements from number `first` on (`several`), or of that one.
 * -EFBIG above size_max, -ENOMEM. */
AW_MUST_CHECK int postgres_reply(struct buffer *out, const struct aw_pg_results *results,
                                 uint32_t first, bool several, enum result_format format,
                                 size_t size_max);

#endif
