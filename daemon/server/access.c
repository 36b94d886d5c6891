/* access.c - see access.h. */
#include "server/access.h"

#include "admin/log.h"
#include "server/command.h"
#include "server/connection.h"
#include "server/server.h"

#include <errno.h>
#include <string.h>

#define COMPLAINT_INTERVAL_NS (60 * AW_NS_PER_S)

static const struct config_target *find(const struct config *configuration,
                                        const struct argument *name)
{
    for (uint32_t i = 0; i < configuration->target_count; i++) {
        const struct config_target *target = &configuration->targets[i];
        if (strlen(target->name) == name->size &&
            memcmp(target->name, name->data, name->size) == 0)
            return target;
    }
    return NULL;
}

static bool has(const struct config_ids *ids, uint32_t id)
{
    for (uint32_t i = 0; i < ids->count; i++)
        if (ids->list[i] == id)
            return true;
    return false;
}

/* Only asked for where a target names groups: it is a system call. */
static bool has_group(const struct connection *connection, const struct config_ids *ids)
{
    gid_t groups[ACCESS_GROUPS_MAX];
    if (ids->count == 0)
        return false;
    if (has(ids, connection->peer.gid))
        return true;
    int count = aw_peer_groups(connection->fd, groups, ACCESS_GROUPS_MAX);
    for (int i = 0; i < count; i++)
        if (has(ids, groups[i]))
            return true;
    return false;
}

static void complain(struct connection *connection, const struct config_target *target)
{
    struct server *server = connection->server;
    uint64_t now_ns = aw_now_ns();
    server->refused_silently++;
    if (server->refused_ns && now_ns - server->refused_ns < COMPLAINT_INTERVAL_NS)
        return;
    log_line(LOG_LEVEL_WARNING,
             "refused: uid %u (gid %u, pid %d) may not use target %s (%llu refusals since the last "
             "such line; at most one a minute)",
             (unsigned)connection->peer.uid, (unsigned)connection->peer.gid,
             (int)connection->peer.pid, target->name,
             (unsigned long long)server->refused_silently);
    server->refused_ns = now_ns;
    server->refused_silently = 0;
}

int access_check(struct connection *connection, const struct argument *target,
                 struct aw_error *reterr)
{
    const struct config_target *wanted = find(connection->server->configuration, target);
    if (!wanted || (!wanted->users && !wanted->groups))
        return 0;
    if (has(&wanted->uids, connection->peer.uid) || has_group(connection, &wanted->gids))
        return 0;
    complain(connection, wanted);
    return aw_error_set_code(reterr, -EACCES, "NOPERM",
                             "uid %u may not use target %s: neither users nor groups of its "
                             "section name it",
                             (unsigned)connection->peer.uid, wanted->name);
}
