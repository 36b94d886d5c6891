/* inline_command.c - see inline_command.h. Taking quotes and escapes out only ever shortens, so
 * that the argument is written over the text it was read from. */
#include "protocol/inline_command.h"

#include <errno.h>

static bool is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int hexadecimal_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static char escaped(char byte)
{
    switch (byte) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return byte;
    }
}

/* Reads the escape after a backslash that has at least one byte behind it. */
static char read_escape(struct inline_command *command)
{
    char byte = *command->at++;
    if (byte != 'x' || command->end - command->at < 2)
        return escaped(byte);
    int high = hexadecimal_digit(command->at[0]);
    int low = hexadecimal_digit(command->at[1]);
    if (high < 0 || low < 0)
        return byte;
    command->at += 2;
    return (char)(high * 16 + low);
}

static int refuse(struct inline_command *command, const char *error)
{
    command->error = error;
    return -EPROTO;
}

/* Reads up to the closing `quote` (the opening one is read) and writes to *write. */
static int read_quoted(struct inline_command *command, char quote, char **write)
{
    while (command->at < command->end) {
        char byte = *command->at++;
        bool more = command->at < command->end;
        if (byte == quote) {
            if (more && !is_blank(*command->at))
                break;
            return 0;
        }
        if (byte == '\0')
            return refuse(command, "NUL byte in inline request");
        if (byte == '\\' && quote == '"' && more)
            *(*write)++ = read_escape(command);
        else if (byte == '\\' && quote == '\'' && more && *command->at == '\'')
            *(*write)++ = *command->at++;
        else
            *(*write)++ = byte;
    }
    return refuse(command, "unbalanced quotes in request");
}

int inline_command_next(struct inline_command *command, char **ret_argument, size_t *ret_size)
{
    while (command->at < command->end && is_blank(*command->at))
        command->at++;
    if (command->at == command->end)
        return 0;

    char *start = command->at;
    char *write = start;
    while (command->at < command->end) {
        char byte = *command->at;
        if (byte == ' ' || byte == '\t' || byte == '\r')
            break;
        if (byte == '\0')
            return refuse(command, "NUL byte in inline request");
        command->at++;
        if (byte != '"' && byte != '\'') {
            *write++ = byte;
            continue;
        }
        int result = read_quoted(command, byte, &write);
        if (result < 0)
            return result;
        break;
    }
    *ret_argument = start;
    *ret_size = (size_t)(write - start);
    return 1;
}
