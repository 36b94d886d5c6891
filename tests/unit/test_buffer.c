/* test_buffer.c - the growing run of bytes. */
#include "protocol/buffer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

Test(buffer, appends_across_growth)
{
    struct buffer buffer = {0};
    for (int i = 0; i < 1000; i++)
        buffer_append(&buffer, "0123456789", 10);
    cr_assert_eq(buffer.size, 10000);
    for (size_t i = 0; i < buffer.size; i++)
        cr_assert_eq(buffer.data[i], (char)('0' + i % 10));
    buffer_free(&buffer);
    cr_assert_null(buffer.data);
    cr_assert_eq(buffer.capacity, 0);
}

Test(buffer, keeps_nul_bytes)
{
    struct buffer buffer = {0};
    buffer_append(&buffer, "a\0b", 3);
    cr_assert_eq(buffer.size, 3);
    cr_assert_arr_eq(buffer.data, "a\0b", 3);
    buffer_free(&buffer);
}

Test(buffer, printf_fits_the_room_or_grows)
{
    struct buffer buffer = {0};
    char expected[4096];
    size_t size = 0;
    for (int i = 0; i < 300; i++) {
        buffer_printf(&buffer, "%d-", i);
        size += (size_t)sprintf(expected + size, "%d-", i);
    }
    cr_assert_eq(buffer.size, size);
    cr_assert_arr_eq(buffer.data, expected, size);
    buffer_free(&buffer);
}

Test(buffer, consume_removes_from_the_front)
{
    struct buffer buffer = {0};
    buffer_append_text(&buffer, "abcdef");
    buffer_consume(&buffer, 0);
    cr_assert_eq(buffer.size, 6);
    buffer_consume(&buffer, 2);
    cr_assert_eq(buffer.size, 4);
    cr_assert_arr_eq(buffer.data, "cdef", 4);
    buffer_consume(&buffer, 4);
    cr_assert_eq(buffer.size, 0);
    buffer_free(&buffer);
}

Test(buffer, clear_keeps_the_memory)
{
    struct buffer buffer = {0};
    buffer_append_text(&buffer, "abcdef");
    size_t capacity = buffer.capacity;
    buffer_clear(&buffer);
    cr_assert_eq(buffer.size, 0);
    cr_assert_eq(buffer.capacity, capacity);
    buffer_free(&buffer);
}

Test(buffer, failed_growth_keeps_the_content_and_is_remembered)
{
    struct buffer buffer = {0};
    buffer_append_text(&buffer, "kept");
    cr_assert_eq(buffer_reserve(&buffer, SIZE_MAX - 1), -ENOMEM);
    cr_assert(buffer.failed);
    buffer_append_text(&buffer, "dropped");
    buffer_printf(&buffer, "%d", 5);
    cr_assert_eq(buffer_reserve(&buffer, 1), -ENOMEM);
    cr_assert_eq(buffer.size, 4);
    cr_assert_arr_eq(buffer.data, "kept", 4);
    buffer_clear(&buffer);
    cr_assert_not(buffer.failed);
    buffer_append_text(&buffer, "new");
    cr_assert_eq(buffer.size, 3);
    buffer_free(&buffer);
}
