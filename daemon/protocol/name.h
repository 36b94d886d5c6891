/* name.h - names of targets, queues and sockets: 1 to 64 of A-Z a-z 0-9 _ . : - beginning with a
 * letter, and no word that is an option, since a command's options stand before its target. */
#ifndef PROTOCOL_NAME_H
#define PROTOCOL_NAME_H

#include <await/base.h>

#define NAME_SIZE_MAX 64

/* *ret_reason (if not NULL) gets why it is none: "does not begin with a letter". */
bool name_is_valid(const char *data, size_t size, const char **ret_reason);

#endif
