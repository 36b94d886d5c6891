/* command_lease.c - ENTER and EXIT, and the leases of a connection (leases.h). RUN itself is in
 * command_submit.c. */
#include "server/command.h"

#include "protocol/number.h"
#include "protocol/value.h"
#include "protocol/word.h"
#include "server/access.h"
#include "server/connection.h"
#include "server/leases.h"
#include "server/server.h"

#include <errno.h>
#include <string.h>

struct lease *leases_find(const struct connection *connection, const struct argument *name)
{
    struct lease *lease = connection->leases;
    for (; lease; lease = lease->next) {
        const char *target = lease->target->settings.name;
        if (strlen(target) == name->size && memcmp(target, name->data, name->size) == 0)
            return lease;
    }
    return NULL;
}

static uint32_t count_leases(const struct connection *connection)
{
    uint32_t count = 0;
    for (const struct lease *lease = connection->leases; lease; lease = lease->next)
        count++;
    return count;
}

/* Takes an ended lease out of the list and frees it. */
static void drop(struct connection *connection, struct lease *lease)
{
    struct lease **slot = &connection->leases;
    while (*slot != lease)
        slot = &(*slot)->next;
    *slot = lease->next;
    lease_free(lease);
}

void leases_end_all(struct connection *connection)
{
    while (connection->leases) {
        lease_end(connection->leases);
        drop(connection, connection->leases);
    }
}

/* --- ENTER ----------------------------------------------------------------------------- */

/* False: the error is in `reply`. */
static bool parse_timeout(const struct argument *arguments, uint32_t count,
                          const struct target *target, uint64_t *ret_ms, struct buffer *reply)
{
    uint64_t max_ms = target->settings.lease_max_ms;
    *ret_ms = max_ms;
    if (count == 2)
        return true;
    if (count == 4 && word_equal(arguments[2].data, arguments[2].size, "TIMEOUT") &&
        number_parse_unsigned(arguments[3].data, arguments[3].size, 1, max_ms, ret_ms) == 0)
        return true;
    value_error(reply, "ERR",
                "after the target ENTER takes TIMEOUT and milliseconds from 1 to %llu (lease_max "
                "of %s)",
                (unsigned long long)max_ms, target->settings.name);
    return false;
}

static bool has_room(struct connection *connection, const struct argument *name,
                     struct buffer *reply)
{
    struct lease *lease = leases_find(connection, name);
    if (lease && lease->state == LEASE_ENDED) {
        drop(connection, lease);
    } else if (lease) {
        value_error(reply, "ERR", "this client has a lease on %s already: EXIT ends it",
                    lease->target->settings.name);
        return false;
    }
    if (count_leases(connection) < LEASES_MAX)
        return true;
    value_error(reply, "ERR", "this client has %u leases, which is the most: EXIT ends one",
                LEASES_MAX);
    return false;
}

static void answer_error(const struct aw_error *error, struct buffer *reply)
{
    value_error(reply, error->code[0] ? error->code : "ERR", "%s", error->message);
}

void command_enter(struct connection *connection, struct argument *arguments, uint32_t count,
                   struct buffer *reply)
{
    struct target *target;
    struct aw_error error = {0};
    uint64_t timeout_ms;
    if (access_check(connection, &arguments[1], &error) < 0 ||
        broker_find_target(connection->server->broker, arguments[1], &target, &error) < 0)
        return answer_error(&error, reply);
    if (!parse_timeout(arguments, count, target, &timeout_ms, reply) ||
        !has_room(connection, &arguments[1], reply))
        return;
    struct lease *lease;
    if (lease_start(&lease, &connection->lease_tasks, target, timeout_ms, &error) < 0)
        return answer_error(&error, reply);
    lease->next = connection->leases;
    connection->leases = lease;
    if (lease_wait_held(lease) == 0) {
        value_simple(reply, "OK");
        return;
    }
    if (lease->state != LEASE_ENDED) /* interrupted: the client or awaitd is going */
        aw_group_cancel(&connection->lease_tasks);
    lease_end(lease);
    if (lease_explain(lease, &error) == 0)
        aw_error_set_code(&error, -ECANCELED, "UNAVAILABLE", "awaitd is stopping");
    answer_error(&error, reply);
    drop(connection, lease);
}

/* --- EXIT ------------------------------------------------------------------------------ */

/* The lease that is meant; NULL: the error is in `reply`. */
static struct lease *choose(struct connection *connection, const struct argument *arguments,
                            uint32_t count, struct buffer *reply)
{
    struct lease *lease = count == 2 ? leases_find(connection, &arguments[1]) : connection->leases;
    if (!lease && count == 2)
        value_error(reply, "ERR", "this client has no lease on %.*s",
                    argument_shown_size(&arguments[1]), arguments[1].data);
    else if (!lease)
        value_error(reply, "ERR", "this client has no lease");
    if (!lease || count == 2 || !lease->next)
        return lease;
    value_error(reply, "ERR", "this client has %u leases: EXIT needs the target",
                count_leases(connection));
    return NULL;
}

void command_exit(struct connection *connection, struct argument *arguments, uint32_t count,
                  struct buffer *reply)
{
    struct lease *lease = choose(connection, arguments, count, reply);
    if (!lease)
        return;
    lease_end(lease);
    struct aw_error error = {0};
    if (lease_explain(lease, &error) < 0)
        answer_error(&error, reply);
    else
        value_simple(reply, lease->rolled_back ? "ROLLBACK" : "OK");
    drop(connection, lease);
}
