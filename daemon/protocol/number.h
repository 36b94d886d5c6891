/* number.h - decimal numbers out of bytes that do not end with a NUL. Strict: digits only (one '-'
 * for a negative one), no blanks, no plus sign, no leading zeros. */
#ifndef PROTOCOL_NUMBER_H
#define PROTOCOL_NUMBER_H

#include <await/base.h>

/* 0; -EINVAL: no number; -ERANGE: a number, but not one from min to max. */
AW_MUST_CHECK int number_parse_unsigned(const char *data, size_t size, uint64_t min, uint64_t max,
                                        uint64_t *ret_number);
AW_MUST_CHECK int number_parse_signed(const char *data, size_t size, int64_t min, int64_t max,
                                      int64_t *ret_number);

#endif
