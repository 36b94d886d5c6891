/* resolve.h - host names to addresses, off the loop (getaddrinfo(3) on the offload pool). */
#ifndef AWAIT_RESOLVE_H
#define AWAIT_RESOLVE_H

#include <await/base.h>
#include <await/error.h>
#include <netinet/in.h>

#define AW_ADDRESSES_MAX 16

struct aw_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t length;
    char text[INET6_ADDRSTRLEN]; /* numeric, without the port */
};

/* Resolves `host` (numeric forms without leaving the loop) to at most `max` addresses in the order
 * of RFC 6724. Returns how many. -ENOENT: no such host; -EAGAIN: the resolver did not answer, try
 * again; -ENAMETOOLONG: over 253 bytes; -ENOMEM. A caller that is cancelled returns at once; the
 * lookup ends on its thread and its answer is dropped. */
AW_API AW_MUST_CHECK AW_SUSPENDS int aw_resolve(const char *host, uint16_t port,
                                                struct aw_address *ret_addresses, int max,
                                                struct aw_error *reterr);

#endif
