/* input.c - see input.h. */
#include "ctl/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum exit_code add_stream(struct words *words, FILE *stream, const char *name)
{
    struct text content = {0};
    char block[65536];
    size_t size;
    while ((size = fread(block, 1, sizeof block, stream)) > 0 && content.size <= INPUT_SIZE_MAX)
        text_append(&content, block, size);
    enum exit_code code = EXIT_OK;
    if (ferror(stream))
        code = complain(EXIT_USAGE, "cannot read %s: %s", name, strerror(errno));
    else if (content.size > INPUT_SIZE_MAX)
        code = complain(EXIT_USAGE, "cannot use %s: more than %lu bytes", name, INPUT_SIZE_MAX);
    else
        words_add_bytes(words, content.data, content.size);
    text_free(&content);
    return code;
}

enum exit_code input_add(struct words *words, const char *argument)
{
    if (strcmp(argument, "-") == 0)
        return add_stream(words, stdin, "standard input");
    if (argument[0] != '@' || argument[1] == '@') {
        words_add(words, argument[0] == '@' ? argument + 1 : argument);
        return EXIT_OK;
    }
    FILE *file = fopen(argument + 1, "re");
    if (file == NULL)
        return complain(EXIT_USAGE, "cannot open %s: %s", argument + 1, strerror(errno));
    enum exit_code code = add_stream(words, file, argument + 1);
    fclose(file);
    return code;
}
