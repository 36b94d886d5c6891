/* number.c - see number.h. */
#include "protocol/number.h"

#include <errno.h>

/* The digits as a number, or -ERANGE above UINT64_MAX. */
static int parse_digits(const char *data, size_t size, uint64_t *ret_number)
{
    if (size == 0 || (size > 1 && data[0] == '0'))
        return -EINVAL;
    uint64_t number = 0;
    bool overflow = false;
    for (size_t i = 0; i < size; i++) {
        if (data[i] < '0' || data[i] > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(data[i] - '0');
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number))
            overflow = true;
    }
    if (overflow)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

int number_parse_unsigned(const char *data, size_t size, uint64_t min, uint64_t max,
                          uint64_t *ret_number)
{
    uint64_t number;
    int result = parse_digits(data, size, &number);
    if (result < 0)
        return result;
    if (number < min || number > max)
        return -ERANGE;
    *ret_number = number;
    return 0;
}

int number_parse_signed(const char *data, size_t size, int64_t min, int64_t max,
                        int64_t *ret_number)
{
    bool negative = size > 0 && data[0] == '-';
    uint64_t magnitude;
    int result = parse_digits(data + negative, size - negative, &magnitude);
    if (result < 0)
        return result;
    if (negative && magnitude == 0)
        return -EINVAL;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    int64_t number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (number < min || number > max)
        return -ERANGE;
    *ret_number = number;
    return 0;
}
