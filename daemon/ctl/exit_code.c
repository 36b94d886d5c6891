/* exit_code.c - see exit_code.h. */
#include "ctl/exit_code.h"

#include "ctl/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum exit_code complain(enum exit_code code, const char *format, ...)
{
    char *sentence = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&sentence, format, arguments);
    va_end(arguments);
    memory_need(size < 0 ? NULL : sentence);
    struct text line = {0};
    text_append_visible(&line, sentence, (size_t)size, TEXT_ESCAPE_LINES);
    fflush(stdout);
    fprintf(stderr, "awaitctl: %s\n", line.data);
    text_free(&line);
    free(sentence);
    return code;
}
