/* access.h - who may use which target: `users` and `groups` of its section, compared with who the
 * kernel says has connected. Root is a user like any other. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "protocol/argument.h"

#include <await/error.h>

struct connection;

#define ACCESS_GROUPS_MAX 1024 /* a client in more is only known by its user and group */

/* 0, also for a target there is not; -EACCES with the reply in *reterr, and a line in the log. */
AW_MUST_CHECK int access_check(struct connection *connection, const struct argument *target,
                               struct aw_error *reterr);

#endif
