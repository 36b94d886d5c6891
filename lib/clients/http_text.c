/* http_text.c - see http_text.h. */
#include "clients/http_text.h"

#include <string.h>
#include <strings.h>

bool http_is_token(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789!#$%&'*+-.^_`|~";
    return text != NULL && text[0] != '\0' && text[strspn(text, letters)] == '\0';
}

bool http_is_value(const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return text != NULL;
}

bool http_name_is(const char *name, const char *other)
{
    return strcasecmp(name, other) == 0;
}
