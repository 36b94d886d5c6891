/* redis_rules.h - which commands may travel on a connection that many tasks share. */
#ifndef CLIENTS_REDIS_RULES_H
#define CLIENTS_REDIS_RULES_H

#include <await/base.h>

enum redis_use {
    REDIS_USE_SHARED,   /* any connection */
    REDIS_USE_BLOCKING, /* a connection of its own while it runs */
    REDIS_USE_REFUSED,
};

/* Classifies a command of `count` >= 1 arguments; *ret_reason (static text: why, and what to do) is
 * set only for REDIS_USE_REFUSED. */
enum redis_use redis_use_of(size_t count, const char *const arguments[], const size_t sizes[],
                            const char **ret_reason);

/* Why a command may not run on a leased connection either (static text), or NULL. */
const char *redis_lease_refusal(size_t count, const char *const arguments[], const size_t sizes[]);

#endif
