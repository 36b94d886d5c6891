/* http_text.h - the words of HTTP that every client of ours checks the same way (RFC 9110). */
#ifndef CLIENTS_HTTP_TEXT_H
#define CLIENTS_HTTP_TEXT_H

#include <await/base.h>

/* Whether it is a name of a header or a method: a token of RFC 9110. NULL is none. */
bool http_is_token(const char *text);

/* Whether it can be a header's value: no line may begin inside it, since what follows would be a
 * header of somebody else's choice. NULL is none. */
bool http_is_value(const char *text);

/* Names of headers, and tokens such as "Upgrade", are the same in any case. */
bool http_name_is(const char *name, const char *other);

#endif
