/* redis_site.h - which servers a Redis URI speaks of: one, the sentinels that know a master, or
 * nodes of a cluster.
 *
 *     redis://[[user]:password@]host[:port][/database]             one (rediss://, unix:// too)
 *     redis+sentinel://[[user]:password@]host[:port],.../master[/database]
 *     redis+cluster://[[user]:password@]host[:port],...
 *
 * rediss+sentinel:// and rediss+cluster:// are in TLS throughout. User and password are those of
 * the servers; sentinels with an account of their own have it after the master's name:
 * ?sentinel_user=u&sentinel_password=p. */
#ifndef CLIENTS_REDIS_SITE_H
#define CLIENTS_REDIS_SITE_H

#include "clients/redis_uri.h"

#define REDIS_ADDRESSES_MAX 16
#define REDIS_MASTER_SIZE 128

enum redis_topology { REDIS_SINGLE, REDIS_SENTINEL, REDIS_CLUSTER };

struct redis_site {
    enum redis_topology topology;
    struct redis_endpoint server; /* SINGLE: the server; else the account alone, and a label */
    struct redis_endpoint addresses[REDIS_ADDRESSES_MAX]; /* sentinels, or nodes to begin with */
    uint32_t address_count;
    char master[REDIS_MASTER_SIZE]; /* SENTINEL: the name it is watched by */
};

/* Parses `uri` and `password` as redis_endpoint_parse does. -EINVAL with the reason. */
AW_MUST_CHECK int redis_site_parse(struct redis_site *site, const char *uri, const char *password,
                                   struct aw_error *reterr);

#endif
