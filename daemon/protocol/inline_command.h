/* inline_command.h - a line typed by a person, split into arguments as Redis does it
 * (sdssplitargs): blanks separate, "..." takes \n \r \t \b \a \" \\ \xHH, '...' takes only \', and
 * a closing quote is followed by a blank or the end. */
#ifndef PROTOCOL_INLINE_COMMAND_H
#define PROTOCOL_INLINE_COMMAND_H

#include <await/base.h>

struct inline_command {
    char *at;          /* what is not yet read of the line */
    char *end;
    const char *error; /* why inline_command_next failed */
};

/* Finds the next argument and takes its quotes and escapes out in place. 1, 0 at the end of the
 * line, or -EPROTO. */
AW_MUST_CHECK int inline_command_next(struct inline_command *command, char **ret_argument,
                                      size_t *ret_size);

#endif
