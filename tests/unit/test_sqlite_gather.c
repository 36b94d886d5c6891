/* test_sqlite_gather.c - gathered writes, laid over a file, are what the file would hold. */
#include "clients/sqlite_gather.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(sqlite_gather, equals_a_plain_file)
{
    enum { SIZE = 4096 };
    char plain[SIZE];
    bool written[SIZE] = { false };
    memset(plain, 0, sizeof(plain));
    struct gather gather = { 0 };
    srand(7);
    for (int round = 0; round < 2000; round++) {
        size_t offset = (size_t)rand() % SIZE;
        size_t size = 1 + (size_t)rand() % 200;
        if (offset + size > SIZE)
            size = SIZE - offset;
        if (round % 97 == 96) {
            gather_truncate(&gather, offset);
            memset(plain + offset, 0, SIZE - offset);
            memset(written + offset, 0, SIZE - offset);
            continue;
        }
        char data[200];
        memset(data, 'a' + rand() % 26, sizeof(data));
        cr_assert_eq(gather_write(&gather, data, size, offset), 0);
        memcpy(plain + offset, data, size);
        memset(written + offset, 1, size);

        char seen[SIZE];
        memset(seen, 0, sizeof(seen));
        gather_overlay(&gather, seen, SIZE, 0);
        cr_assert_eq(memcmp(seen, plain, SIZE), 0);
        size_t end = SIZE;
        while (end > 0 && !written[end - 1])
            end--;
        cr_assert_eq(gather_end(&gather), end);
        bool covered = memchr(written + offset, 0, size) == NULL;
        cr_assert_eq(gather_covers(&gather, size, offset), covered);
        size_t total = 0;
        for (unsigned i = 0; i < gather.count; i++)
            total += gather.extents[i].size;
        cr_assert_eq(total, gather.size_bytes);
    }
    gather_free(&gather);
}
