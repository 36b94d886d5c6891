/* opening.c - see opening.h. A process opens one queue, on the loop's thread. */
#include "queue/opening.h"

#include <stdarg.h>
#include <stdio.h>

static char step[96];

void opening_step(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(step, sizeof step, format, arguments);
    va_end(arguments);
}

const char *opening_current(void)
{
    return step;
}
