/* redis_site.c - see redis_site.h. */
#include "clients/redis_site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SENTINEL_PORT 26379
#define SERVER_PORT 6379

static int refuse(struct aw_error *reterr, const char *why)
{
    return aw_error_set(reterr, -EINVAL,
                        "cannot use the Redis URI: %s; write "
                        "redis+sentinel://[[user]:password@]host[:port],.../master[/database] or "
                        "redis+cluster://[[user]:password@]host[:port],... (rediss+ for TLS)",
                        why);
}

static int parse_addresses(struct redis_site *site, const char *text, size_t length,
                           struct aw_error *reterr)
{
    uint16_t port = site->topology == REDIS_SENTINEL ? SENTINEL_PORT : SERVER_PORT;
    const char *end = text + length;
    while (text <= end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        size_t size = (size_t)((comma ? comma : end) - text);
        if (site->address_count == REDIS_ADDRESSES_MAX)
            return refuse(reterr, "it names more than 16 hosts");
        struct redis_endpoint *address = &site->addresses[site->address_count++];
        int result = redis_uri_host(address, text, size, port, reterr);
        if (result < 0)
            return result;
        if (!redis_endpoint_place(address, address->host, strlen(address->host), address->port))
            return refuse(reterr, "a host is missing");
        text += size + 1;
    }
    return 0;
}

/* One "name=value" after the ?. The sentinels' account stands in the first address until
 * fill_addresses gives it to all. */
static int parse_parameter(struct redis_site *site, const char *text, size_t length,
                           struct aw_error *reterr)
{
    const char *equals = memchr(text, '=', length);
    size_t name = equals ? (size_t)(equals - text) : length;
    const char *value = text + name + (equals ? 1 : 0);
    size_t size = length - name - (equals ? 1 : 0);
    struct redis_endpoint *first = &site->addresses[0];
    bool fits;
    if (name == 2 && memcmp(text, "db", 2) == 0)
        fits = redis_uri_number(value, size, REDIS_DATABASE_MAX, &site->server.database);
    else if (site->topology == REDIS_SENTINEL && name == 13 &&
             memcmp(text, "sentinel_user", 13) == 0)
        fits = redis_uri_decode(first->user, sizeof first->user, value, size);
    else if (site->topology == REDIS_SENTINEL && name == 17 &&
             memcmp(text, "sentinel_password", 17) == 0)
        fits = redis_uri_decode(first->password, sizeof first->password, value, size);
    else
        return refuse(reterr, "after the ? only db, sentinel_user and sentinel_password are known");
    return fits ? 0 : refuse(reterr, "a value after the ? is no number, too long or badly escaped");
}

static int parse_query(struct redis_site *site, const char *text, struct aw_error *reterr)
{
    int result = 0;
    while (*text && result == 0) {
        text++; /* the ? or & */
        size_t length = strcspn(text, "&");
        result = parse_parameter(site, text, length, reterr);
        text += length;
    }
    return result;
}

/* "/master[/database]" of sentinels, at most "/0" of a cluster; then the query. */
static int parse_path(struct redis_site *site, const char *text, struct aw_error *reterr)
{
    if (site->topology == REDIS_SENTINEL) {
        size_t length = *text == '/' ? strcspn(text + 1, "/?") : 0;
        if (length == 0)
            return refuse(reterr, "the name of the master is missing after the hosts");
        if (!redis_uri_decode(site->master, sizeof site->master, text + 1, length))
            return refuse(reterr, "the name of the master is longer than 127 bytes or badly "
                                  "escaped");
        text += 1 + length;
    }
    if (*text == '/') {
        size_t length = strcspn(++text, "?");
        if (length > 0 &&
            !redis_uri_number(text, length, REDIS_DATABASE_MAX, &site->server.database))
            return refuse(reterr, "the database after the / is no number");
        text += length;
    }
    int result = parse_query(site, text, reterr);
    if (result == 0 && site->topology == REDIS_CLUSTER && site->server.database != 0)
        result = refuse(reterr, "a cluster has only the database 0");
    return result;
}

/* What all addresses have in common with the first, or with the servers. */
static int fill_addresses(struct redis_site *site, struct aw_error *reterr)
{
    const struct redis_endpoint *account =
        site->topology == REDIS_SENTINEL ? &site->addresses[0] : &site->server;
    if (account->user[0] && !account->password[0])
        return refuse(reterr, "there is a user name but no password");
    for (uint32_t i = 0; i < site->address_count; i++) {
        struct redis_endpoint *address = &site->addresses[i];
        address->is_tls = site->server.is_tls;
        if (address == account)
            continue;
        strcpy(address->user, account->user);
        strcpy(address->password, account->password);
    }
    return 0;
}

static int parse_several(struct redis_site *site, const char *text, const char *password,
                         struct aw_error *reterr)
{
    size_t authority = strcspn(text, "/?");
    const char *at = memrchr(text, '@', authority);
    int result = at ? redis_uri_user(&site->server, text, (size_t)(at - text), reterr) : 0;
    if (result == 0)
        result = redis_uri_password(&site->server, password, reterr);
    const char *hosts = at ? at + 1 : text;
    if (result == 0)
        result = parse_addresses(site, hosts, (size_t)(text + authority - hosts), reterr);
    if (result == 0)
        result = parse_path(site, text + authority, reterr);
    if (result == 0)
        result = fill_addresses(site, reterr);
    if (site->topology == REDIS_SENTINEL)
        snprintf(site->server.label, sizeof site->server.label, "the Redis master %s",
                 site->master);
    else
        snprintf(site->server.label, sizeof site->server.label, "the Redis cluster of %.300s",
                 site->addresses[0].label + strlen("Redis at "));
    return result;
}

int redis_site_parse(struct redis_site *site, const char *uri, const char *password,
                     struct aw_error *reterr)
{
    static const struct {
        const char *scheme;
        enum redis_topology topology;
        bool is_tls;
    } schemes[] = {
        {"redis+sentinel://", REDIS_SENTINEL, false},
        {"rediss+sentinel://", REDIS_SENTINEL, true},
        {"redis+cluster://", REDIS_CLUSTER, false},
        {"rediss+cluster://", REDIS_CLUSTER, true},
    };
    *site = (struct redis_site){0};
    for (size_t i = 0; uri && i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t length = strlen(schemes[i].scheme);
        if (strncmp(uri, schemes[i].scheme, length) != 0)
            continue;
        site->topology = schemes[i].topology;
        site->server.is_tls = schemes[i].is_tls;
        return parse_several(site, uri + length, password, reterr);
    }
    return redis_endpoint_parse(&site->server, uri, password, reterr);
}
