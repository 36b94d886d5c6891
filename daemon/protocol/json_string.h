/* json_string.h - text as a JSON string, quotes included. A byte that is no UTF-8 (a database in
 * SQL_ASCII checks nothing) becomes U+FFFD. */
#ifndef PROTOCOL_JSON_STRING_H
#define PROTOCOL_JSON_STRING_H

#include "protocol/buffer.h"

void json_string(struct buffer *out, const char *data, size_t size);

#endif
