/* value.h - results: RESP3 text in memory and in the store, turned into the client's RESP version
 * on the way out.
 *
 * A value is one complete RESP3 reply. Writers add to a buffer piece by piece (an array's header
 * first, then its elements); the caller keeps the count right. Only these are used inside results:
 * simple string, error, integer, bulk string, null (`_`), array, map, double, boolean, push. */
#ifndef PROTOCOL_VALUE_H
#define PROTOCOL_VALUE_H

#include "protocol/buffer.h"

/* The shape of an SQL result (option FORMAT): an array of rows, or one JSON text. */
enum result_format { FORMAT_ROWS, FORMAT_JSON };

void value_simple(struct buffer *out, const char *text); /* +OK; line breaks become spaces */
void value_error(struct buffer *out, const char *word, const char *format, ...) AW_PRINTF(3, 4);
void value_integer(struct buffer *out, int64_t number);
void value_bulk(struct buffer *out, const void *data, size_t size);
void value_bulk_text(struct buffer *out, const char *text);
void value_bulk_number(struct buffer *out, uint64_t number); /* decimal, as ids are */
void value_null(struct buffer *out);
void value_array(struct buffer *out, size_t count);
void value_map(struct buffer *out, size_t pairs); /* RESP2: flat array of 2 * pairs */
void value_push(struct buffer *out, size_t count); /* RESP2: array */
void value_double(struct buffer *out, double number); /* RESP2: bulk string */
void value_boolean(struct buffer *out, bool yes); /* RESP2: integer 1 or 0 */

/* Appends the value(s) in `data` to `out` in RESP `version` (2 or 3). -EPROTO when they are not
 * well-formed or nest deeper than 32 (nothing is appended then). */
AW_MUST_CHECK int value_write(struct buffer *out, const char *data, size_t size, int version);

/* The length of the first complete value at `data`: 0 when it is cut short, -EPROTO when
 * malformed. */
AW_MUST_CHECK long value_length(const char *data, size_t size);

#endif
