/* error.c - struct aw_error; see await/error.h. */
#include <await/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes one printable line of the message and does not end it inside a UTF-8 character. */
static void tidy(char *message, size_t written)
{
    size_t length = strlen(message);
    if (written > length) {
        size_t end = length;
        while (end > 0 && ((unsigned char)message[end - 1] & 0xc0) == 0x80)
            end--;
        if (end > 0 && (unsigned char)message[end - 1] >= 0xc0) {
            unsigned char lead = (unsigned char)message[end - 1];
            size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
            if (length - (end - 1) < wanted)
                length = end - 1;
        }
        message[length] = '\0';
    }
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    while (length > 0 && message[length - 1] == ' ')
        message[--length] = '\0';
}

AW_PRINTF(4, 0)
static int set(struct aw_error *error, int number, const char *code, const char *format,
               va_list arguments)
{
    if (!error)
        return number;
    /* made aside: the old message or code may be among the arguments of the new one */
    struct aw_error made = {.number = number};
    (void)snprintf(made.code, sizeof made.code, "%s", code ? code : "");
    int written = vsnprintf(made.message, sizeof made.message, format, arguments);
    tidy(made.message, written < 0 ? 0 : (size_t)written);
    *error = made;
    return number;
}

int aw_error_set(struct aw_error *error, int number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = set(error, number, NULL, format, arguments);
    va_end(arguments);
    return result;
}

int aw_error_set_code(struct aw_error *error, int number, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = set(error, number, code, format, arguments);
    va_end(arguments);
    return result;
}

const char *aw_error_name(int number)
{
    const char *name = strerrorname_np(abs(number));
    return name ? name : "unknown error";
}

const char *aw_error_text(int number)
{
    const char *text = strerrordesc_np(abs(number));
    return text ? text : "Unknown error";
}
