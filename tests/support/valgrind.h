/* valgrind.h - what Valgrind cannot show: it keeps the limit of descriptors (setrlimit(2)) to itself,
 * and the kernel, which opens them for the ring, never hears of it. */
#ifndef SUPPORT_VALGRIND_H
#define SUPPORT_VALGRIND_H

#include <criterion/criterion.h>
#include <valgrind/valgrind.h>

#define NEEDS_A_LIMIT_OF_DESCRIPTORS() \
    do { \
        if (RUNNING_ON_VALGRIND) \
            cr_skip_test("Valgrind keeps the limit of descriptors to itself"); \
    } while (0)

#endif
