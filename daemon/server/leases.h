/* leases.h - the leases of one client: at most one a target and LEASES_MAX in all.
 *
 * A lease that has ended by itself (its deadline, a lost connection) stays in the list until EXIT,
 * ENTER or RESET: what the client meant for its transaction must not run outside of it. */
#ifndef SERVER_LEASES_H
#define SERVER_LEASES_H

#include "protocol/argument.h"
#include "targets/lease.h"

#define LEASES_MAX 4u

struct connection;

/* The client's lease on the target of that name, or NULL. */
struct lease *leases_find(const struct connection *connection, const struct argument *name);

/* Ends them all and waits for that. Not a cancellation point. */
AW_SUSPENDS void leases_end_all(struct connection *connection);

#endif
