/* value_pick.h - one value out of a result, for BIND.
 *
 * Rows and columns count from 0. What they mean follows from the result:
 *   rows of SQL      row and column; the row of column names is not counted
 *   TX               its last statement's result
 *   other arrays     the row is the element; the column is one of its elements if it is an array,
 *                    else 0
 *   maps             the row is the pair, column 0 its key, column 1 its value
 *   anything else    row 0, column 0
 * The value is the text of a string, number or boolean; null gives a NULL. */
#ifndef PROTOCOL_VALUE_PICK_H
#define PROTOCOL_VALUE_PICK_H

#include "protocol/argument.h"

#include <await.h>

/* `data` is a complete RESP3 value, NULL: none. *ret_value is a view into it. 0; -ENOENT and why,
 * for people. */
AW_MUST_CHECK int value_pick(const char *data, size_t size, bool is_sql, uint32_t row,
                             uint32_t column, struct argument *ret_value,
                             const char **ret_reason);

#endif
