/* resolve.c - names to addresses. Numeric forms are read here; names go to getaddrinfo(3) on a
 * thread of the offload pool, since it reads files, talks to servers and can take half a minute.
 *
 * The lookup lives on the heap: a caller that is interrupted leaves it to the thread, and the pool
 * frees it when the answer nobody wants has come. */
#include <await/offload.h>
#include <await/resolve.h>
#include <await/scope.h>

#include "ring/system.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOST_SIZE_MAX 253 /* of a DNS name in its written form */

struct lookup {
    struct sockaddr_storage found[AW_ADDRESSES_MAX];
    int max;
    char host[HOST_SIZE_MAX + 1];
};

static void set_v4(struct aw_address *address, const struct in_addr *number, uint16_t port)
{
    *address = (struct aw_address){.length = sizeof address->v4};
    address->v4.sin_family = AF_INET;
    address->v4.sin_addr = *number;
    address->v4.sin_port = htons(port);
    inet_ntop(AF_INET, number, address->text, sizeof address->text);
}

static void set_v6(struct aw_address *address, const struct in6_addr *number, uint32_t scope_id,
                   uint16_t port)
{
    *address = (struct aw_address){.length = sizeof address->v6};
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_addr = *number;
    address->v6.sin6_scope_id = scope_id;
    address->v6.sin6_port = htons(port);
    inet_ntop(AF_INET6, number, address->text, sizeof address->text);
}

static bool resolve_numeric(const char *host, uint16_t port, struct aw_address *ret_address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        set_v4(ret_address, &v4, port);
    else if (inet_pton(AF_INET6, host, &v6) == 1)
        set_v6(ret_address, &v6, 0, port);
    else
        return false;
    return true;
}

static int run_lookup(void *argument)
{
    struct lookup *lookup = argument;
    int result = system_lookup(lookup->host, lookup->found, lookup->max);
    /* These two mean "interrupted" to whoever waits; a resolver has no business saying them. */
    return result == -ECANCELED || result == -ETIME ? -EAGAIN : result;
}

static int resolve_name(const char *host, uint16_t port, struct aw_address *ret_addresses, int max)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return -ENOMEM;
    lookup->max = max;
    memcpy(lookup->host, host, strlen(host) + 1);
    int result = aw_to_thread_abandonable(run_lookup, lookup, free);
    if (result == -ECANCELED || result == -ETIME)
        return result; /* the lookup is the pool's to free */
    for (int i = 0; i < result; i++) {
        const struct sockaddr_storage *found = &lookup->found[i];
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)found;
        if (found->ss_family == AF_INET)
            set_v4(&ret_addresses[i], &((const struct sockaddr_in *)found)->sin_addr, port);
        else
            set_v6(&ret_addresses[i], &v6->sin6_addr, v6->sin6_scope_id, port);
    }
    free(lookup);
    return result;
}

static int resolve_error(struct aw_error *reterr, int number, const char *host)
{
    switch (-number) {
    case ENOENT:
        return aw_error_set(reterr, number, "cannot resolve host \"%s\": no such host", host);
    case EAGAIN:
        return aw_error_set(reterr, number,
                            "cannot resolve host \"%s\": the resolver did not answer; check "
                            "/etc/resolv.conf and the network", host);
    default:
        return aw_error_set(reterr, number, "cannot resolve host \"%s\": %s", host,
                            aw_error_text(number));
    }
}

int aw_resolve(const char *host, uint16_t port, struct aw_address *ret_addresses, int max,
               struct aw_error *reterr)
{
    int interrupted = aw_interrupted();
    if (interrupted < 0)
        return resolve_error(reterr, interrupted, host);
    if (max < 1 || host[0] == '\0')
        return aw_error_set(reterr, -EINVAL, host[0] == '\0'
                                                 ? "cannot resolve a host: its name is empty"
                                                 : "cannot resolve into no addresses at all");
    size_t length = strlen(host);
    if (length > HOST_SIZE_MAX)
        return aw_error_set(reterr, -ENAMETOOLONG,
                            "cannot resolve host \"%.32s...\": its name has %zu bytes; at most %d "
                            "are possible", host, length, HOST_SIZE_MAX);
    if (resolve_numeric(host, port, &ret_addresses[0]))
        return 1;
    int result = resolve_name(host, port, ret_addresses,
                              max < AW_ADDRESSES_MAX ? max : AW_ADDRESSES_MAX);
    return result < 0 ? resolve_error(reterr, result, host) : result;
}
